"""What is sent to be imported: packets and the instances in them (contract sections 5 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from diffgram_flows.diffgram.redaction import without_secrets
from diffgram_flows.errors import InvalidRequest
from diffgram_flows.models import Box

#: Characters of a file name. With 300 the import was seen to hang in ``processing`` for ever (contract section 5).
MAX_NAME = 250


@dataclass(frozen=True, slots=True)
class MachineMark:
    """Who drew a box that no person drew; the server makes Model and ModelRun rows of the two references."""

    model_ref: str
    model_run_ref: str


def instance_from_box(box: Box, *, machine: MachineMark | None = None) -> dict[str, Any]:
    """The server's form of a box: integer pixels, and for a machine's box the model, the run and the score.

    Raises:
        InvalidRequest: The box is empty or inverted; the server would fail the whole import for it.
    """
    instance: dict[str, Any] = {
        "type": "box",
        "label_file_id": int(box.label_file_id),
        "x_min": int(box.x_min),
        "y_min": int(box.y_min),
        "x_max": int(box.x_max),
        "y_max": int(box.y_max),
    }
    if instance["x_min"] >= instance["x_max"] or instance["y_min"] >= instance["y_max"]:
        raise InvalidRequest(f"The box {box} has no area.", cure="Clip boxes to the image and drop the empty ones.")
    if machine is not None:
        instance |= {"machine_made": True, "model_ref": machine.model_ref, "model_run_ref": machine.model_run_ref}
        if box.score is not None:
            instance["score"] = float(box.score)
    return instance


@dataclass(frozen=True, slots=True, repr=False)
class Packet:
    """One import: either a new file (``url``) or more instances for an existing one (``file_id`` and ``mode``).

    Attributes:
        directory_id: The dataset. Always in the body: the header of that name is dead (contract section 4).
        url: Where the server fetches the image, minutes later. A secret if it is signed.
        file_name: The name it gets. Choose a unique one: it is the only way to find the import again.
        instances: Dictionaries of :func:`instance_from_box`, or polygons and so on in the same form.
        mode: ``update`` appends to ``file_id``; sending it twice stores the instances twice.
        job_id: The job that gets a task for the file.

    Raises:
        InvalidRequest: The server would refuse it, hang, or destroy human work.
    """

    directory_id: int
    url: str | None = None
    file_name: str | None = None
    instances: Sequence[Mapping[str, Any]] = ()
    file_id: int | None = None
    mode: Literal["update"] | None = None
    job_id: int | None = None

    def __post_init__(self) -> None:
        for wrong, what, cure in self._objections():
            if wrong:
                raise InvalidRequest(f"{self} {what}.", cure=cure)

    def _objections(self) -> tuple[tuple[bool, str, str], ...]:
        return (
            (
                self.mode not in (None, "update"),
                f"has the mode {self.mode!r}",
                "Only 'update' is allowed: 'update_with_existing' erases what people drew.",
            ),
            (
                (self.file_id is None) == (self.url is None),
                "needs either a URL or a file id",
                "Give url for a new file, or file_id with mode='update' for more instances on an existing one.",
            ),
            (
                (self.file_id is None) != (self.mode is None),
                "has a file id without a mode, or a mode without a file id",
                "Give both to add instances to a file, or neither to import a new one.",
            ),
            (self.mode is not None and not self.instances, "adds nothing", "Give at least one instance."),
            (
                len(self.file_name or "") > MAX_NAME,
                f"has a file name of more than {MAX_NAME} characters",
                "Shorten the name: the server would never finish this import.",
            ),
        )

    def __repr__(self) -> str:
        shown = {
            "directory_id": self.directory_id,
            "url": without_secrets(self.url) if self.url else None,
            "file_name": (self.file_name or "")[: MAX_NAME + 1],
            "file_id": self.file_id,
            "mode": self.mode,
            "job_id": self.job_id,
            "instances": len(self.instances),
        }
        return f"Packet({', '.join(f'{key}={value!r}' for key, value in shown.items() if value not in (None, ''))})"

    @property
    def about(self) -> str:
        """What errors call it, with every id that may be the wrong one."""
        name = f"file {self.file_id}" if self.file_id is not None else repr(self.file_name or "a file without a name")
        job = f", job {self.job_id}" if self.job_id is not None else ""
        return f"the packet for {name} (dataset {self.directory_id}{job})"

    def body(self) -> dict[str, Any]:
        """The JSON that is sent. An empty list of instances is left out: the server refuses one."""
        body: dict[str, Any] = {
            "directory_id": self.directory_id,
            "media": {"url": self.url, "type": "image"} if self.url is not None else None,
            "original_filename": self.file_name,
            "file_id": self.file_id,
            "mode": self.mode,
            "job_id": self.job_id,
            "instance_list": [dict(instance) for instance in self.instances],
        }
        return {key: value for key, value in body.items() if value not in (None, [])}
