"""Requests and replies of ``/v1``: what its OpenAPI says."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from diffgram_flows.brains import BrainRecord
from diffgram_flows.models import Annotation, Box, LabelMap, Prediction, Seen


class Problem(BaseModel):
    """Why there is no answer."""

    kind: str = Field(description="One word for programs.", examples=["ImageRejected"])
    what: str = Field(description="What is wrong.", examples=["The image cat.txt is not an image."])
    cure: str = Field("", description="What can be done about it.")


class Refused(BaseModel):
    """The reply to a request that is refused."""

    error: Problem


class Where(BaseModel):
    """An image that is not sent: behind a URL, or a file of Diffgram. One of the two."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(None, min_length=1, max_length=8192, examples=["https://example.com/cat.jpg"])
    file_id: int | None = Field(None, ge=1, examples=[111546])


class Instance(BaseModel):
    """One thing in an image, in pixels of the upright image."""

    type: str = Field(description="box, polygon, tag, ...", examples=["box"])
    label: str = Field(examples=["cat"])
    label_file_id: int = Field(examples=[70])
    score: float = Field(ge=0, le=1, examples=[0.93])
    points: list[tuple[int, int]] = Field(
        description="(x, y): top left and bottom right of a box, the outline of a polygon, nothing of a tag.",
        examples=[[[12, 30], [115, 160]]],
    )
    attributes: dict[int, str] = Field({}, description="By id of the attribute group.")


class Image(BaseModel):
    """What was seen in one image."""

    name: str = Field(examples=["cat.jpg"])
    width: int = Field(description="Pixels of the upright image.", examples=[640])
    height: int = Field(examples=[480])
    instances: list[Instance] = Field(description="Best first.")
    error: str = Field("", description="Why this one of several images was not looked at.")


class Predicted(BaseModel):
    """The answer of a brain."""

    brain: str = Field(description="Which version looked.", examples=["cars@3"])
    method: str = Field(examples=["object_detection"])
    label_map_digest: str
    images: list[Image]


class BrainInfo(BaseModel):
    """A brain of the service."""

    name: str = Field(examples=["cars"])
    champion: str | None = Field(description="Which version should be in use.", examples=["cars@3"])
    serving: str | None = Field(description="Which version is in use.", examples=["cars@3"])
    problem: str = Field("", description="Why they are not the same.")


class BrainDetails(BrainInfo):
    """A brain with what is known about the version in use."""

    method: str | None = None
    labels: dict[int, str] = Field({}, description="Label file id to name.")
    image_size: int | None = None
    score_threshold: float | None = None
    created: str | None = None
    snapshot_id: str | None = None
    scores: dict[str, float] = Field({}, description="On the test images, when it was trained.")


class TrainingOrder(BaseModel):
    """What is to be trained."""

    model_config = ConfigDict(extra="forbid")

    method: str = Field("object_detection", examples=["object_detection"])
    directory_id: int | None = Field(None, description="The dataset that is learned from.", examples=[2])
    from_champion: bool = True
    options: dict[str, float | int | str | bool] = Field({}, examples=[{"steps": 800, "image_size": 192}])


class Training(BaseModel):
    """How far a training is."""

    name: str
    state: str = Field(description="queued, exporting, training, evaluating, ready or failed.", examples=["training"])
    percent: int = Field(ge=0, le=100, examples=[40])
    brain: str = Field("", description="The version, once it exists.")
    promoted: bool | None = None
    map50: float | None = None
    reason: str = Field("", description="What the evaluation found, or why it failed.")


class Ready(BaseModel):
    """Whether every brain can be asked."""

    ready: bool
    brains: list[BrainInfo]


def predicted(record: BrainRecord, predictions: tuple[Prediction, ...]) -> Predicted:
    """The reply for what a brain saw."""
    manifest = record.manifest
    return Predicted(
        brain=str(record.ref),
        method=manifest.method,
        label_map_digest=manifest.label_map.digest,
        images=[
            Image(
                name=one.key,
                width=one.width,
                height=one.height,
                instances=[_instance(seen, manifest.label_map) for seen in one.seen],
                error=one.error,
            )
            for one in predictions
        ],
    )


def _instance(seen: Seen, label_map: LabelMap) -> Instance:
    one = Annotation.of_box(seen) if isinstance(seen, Box) else seen
    return Instance(
        type=one.type,
        label=label_map.name_of()[one.label_file_id],
        label_file_id=one.label_file_id,
        score=1.0 if one.score is None else one.score,
        points=list(one.points),
        attributes=dict(one.attributes),
    )
