"""Requests and replies of the paths that the official SDK calls: what OpenAPI says of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

_IMAGE = {"type": "string", "format": "binary", "description": "The file of an image."}
_BRAIN = {
    "type": "string",
    "description": "Which brain: cars, or one version, cars@3. Only needed where there are several.",
    "examples": ["cars"],
}


class Ai(BaseModel):
    """How far a brain is."""

    id: int | None = Field(None, description="A number for the SDK; missing while a training says how far it is.")
    name: str = Field(examples=["cars"])
    status: str = Field(description="queued, exporting, training, evaluating, ready or failed.", examples=["training"])
    state: str = Field(description="The same.", examples=["training"])
    percent: int = Field(ge=0, le=100, examples=[40])
    brain: str = Field("", description="The version, once it exists.", examples=["cars@3"])
    reason: str = Field("", description="What the evaluation found, or why the training failed.")


class AiStatus(BaseModel):
    """The reply about a training."""

    ai: Ai


class Graph(BaseModel):
    """A brain that can be taken away."""

    id: int = Field(description="Its version.", examples=[3])
    name: str = Field(examples=["cars"])
    label_dict: dict[str, int] = Field(
        description="Label file id to the number of the class in the graph.", examples=[{"70": 1, "40": 2}]
    )
    url_model: str = Field(description="A link to the frozen graph of TensorFlow 1; it is good for ten minutes.")


class LocalInfo(BaseModel):
    """The reply for who wants to run a brain on another machine."""

    ai: Graph


class Found(BaseModel):
    """What a brain saw in one image; four lists of the same length, best first."""

    id: int
    status: str = Field(examples=["complete"])
    method: str = Field(examples=["object_detection"])
    brain: str = Field(description="Which version looked.", examples=["cars@3"])
    box_list: list[list[float]] = Field(
        description="y_min, x_min, y_max, x_max, as fractions of the upright image.", examples=[[[0.1, 0.2, 0.5, 0.6]]]
    )
    score_list: list[float | None] = Field(description="From 0 to 1.", examples=[[0.93]])
    label_list: list[int] = Field(description="Label file ids.", examples=[[70]])
    label_name_list: list[str] = Field(examples=[["cat"]])


class Inference(BaseModel):
    """The answer of a brain."""

    inference: Found


class Log(BaseModel):
    """Why there is no answer, as Diffgram tells such."""

    error: dict[str, str] = Field(
        description="One word for programs, and a text.",
        examples=[{"ImageRejected": "The image cat.txt is not an image."}],
    )
    info: dict[str, str] = Field({}, description="Always empty.")
    success: bool = Field(False, description="Always false.")


class SdkRefused(BaseModel):
    """The reply to a request that is refused."""

    log: Log


class SdkForbidden(BaseModel):
    """The reply to who is not let in."""

    error: str = Field(examples=["403 Forbidden: (Project Scope) No access."])


_TOLD = {
    400: "Refused, and the text says why: no such brain or file, no image, too large, busy. The SDK shows this text.",
    401: "No credential.",
    403: "A wrong credential, or one that may not do this.",
    502: "Diffgram has failed.",
    503: "Overloaded, no champion, or Diffgram is away.",
    504: "Out of time.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a path answers instead of a 200, for FastAPI's ``responses``; what every path has comes by itself."""
    return {
        status: {"model": SdkForbidden if status in (401, 403) else SdkRefused, "description": _TOLD[status]}
        for status in sorted({400, 401, 403, 503, *statuses})
    }


def takes(*required: str, media_type: str = "application/json", **properties: dict[str, Any]) -> dict[str, Any]:
    """The body that a path takes, for FastAPI's ``openapi_extra``; every one may name the brain."""
    schema = {"type": "object", "properties": {"ai_name": _BRAIN, **properties}, "required": list(required)}
    if not required:
        del schema["required"]
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


OF_TRAINING = takes(
    "ai_name",
    directory_id={"type": ["integer", "null"], "description": "The dataset that is learned from.", "examples": [2]},
    training_options={
        "type": "object",
        "description": "As the options of /v1: method, from_champion, steps, image_size, ...",
        "examples": [{"steps": 800}],
    },
)
OF_BRAIN = takes()
OF_URL = takes("url", url={"type": "string", "examples": ["https://example.com/cat.jpg"]})
OF_LOCAL = takes("file", media_type="multipart/form-data", file=_IMAGE)
OF_FILE = takes(
    "file_list",
    file_list={
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "description": "One file of Diffgram.",
        "items": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        "examples": [[{"id": 111546}]],
    },
)
