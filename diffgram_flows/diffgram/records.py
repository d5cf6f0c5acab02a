"""What the server tells, as thin frozen records.

Unknown fields are ignored and ``null`` counts as "not there", because both differ between versions of the server.
Times are UTC and aware, or ``None`` where the server gave none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar, cast

from pydantic import AliasChoices, AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic import ValidationError as _ValidationError

from diffgram_flows.errors import UnexpectedReply
from diffgram_flows.models import Annotation, AnnotationType, Box


def _read_time(value: object) -> datetime | None:
    """Read the three spellings of the recordings: HTTP date, ISO with or without "T"; "None" is a time, too."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value)
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None


ServerTime = Annotated[datetime | None, BeforeValidator(_read_time)]


def _at(*path: str) -> AliasChoices:
    """Accept a field under its own name (the last argument) or at a place further down in the reply."""
    *deep, name = path
    return AliasChoices(name, AliasPath(*deep))


class Record(BaseModel):
    """The base: frozen, tolerant to unknown and null fields, silent about values in validation errors."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data


class Member(Record):
    """A person or an API credential of a project; jobs want the member id, not the user id."""

    member_id: int
    kind: str = Field("", validation_alias=AliasChoices("kind", "member_kind"))
    email: str = ""


class Directory(Record):
    """A dataset, which the API calls directory."""

    id: int = Field(validation_alias=AliasChoices("id", "directory_id"))
    name: str = Field("", validation_alias=AliasChoices("name", "nickname"))
    created: ServerTime = Field(None, validation_alias=AliasChoices("created", "created_time"))


class ProjectInfo(Record):
    """A project with its people and datasets. ``name`` is the readable one, ``project`` the one in URLs."""

    id: int
    name: str = ""
    project: str = Field("", validation_alias=AliasChoices("project", "project_string_id"))
    members: list[Member] = Field(default_factory=list, validation_alias=AliasChoices("members", "member_list"))
    directories: list[Directory] = Field(
        default_factory=list, validation_alias=AliasChoices("directories", "directory_list")
    )


class LabelSchema(Record):
    """A set of labels; a job has exactly one."""

    id: int
    name: str = ""
    is_default: bool = False
    archived: bool = False


class Label(Record):
    """A label of a schema. ``label_file_id`` is what instances refer to (contract section 4)."""

    label_file_id: int = Field(validation_alias=AliasChoices("label_file_id", "id"))
    name: str = Field("", validation_alias=_at("label", "name", "name"))
    colour_hex: str = Field("", validation_alias=_at("colour", "hex", "colour_hex"))


class JobStat(Record):
    """Counts of the tasks of a job."""

    total: int = 0
    completed: int = 0
    in_progress: int = 0
    in_review: int = 0
    requires_changes: int = 0
    instances_created: int = 0


class JobRow(Record):
    """A job. Statuses: draft, active, complete, archived. ``file_count`` is a statistic that lags behind."""

    id: int
    name: str = ""
    status: str = ""
    label_schema_id: int | None = None
    instance_type: str = ""
    file_count: int | None = Field(None, validation_alias=AliasChoices("file_count", "file_count_statistic"))
    time_created: ServerTime = None
    time_updated: ServerTime = None


class TaskRow(Record):
    """A file in a job: available, deferred, in_progress, in_review, requires_changes, complete or archived."""

    id: int
    status: str = ""
    file_id: int | None = Field(None, validation_alias=_at("file", "id", "file_id"))
    file_name: str = Field("", validation_alias=_at("file", "original_filename", "file_name"))
    job_id: int | None = Field(None, validation_alias=_at("job", "id", "job_id"))
    time_completed: ServerTime = None
    time_updated: ServerTime = None


class FileRow(Record):
    """A file of a dataset. ``updated`` moves when its annotations change.

    ``width``, ``height`` (pixels) and ``rotation_degrees`` are told by calls about a single file and by queries only;
    they are 0 elsewhere. ``ordinal`` is its place in a compound file.
    """

    id: int
    name: str = Field("", validation_alias=AliasChoices("name", "original_filename"))
    type: str = ""
    created: ServerTime = Field(None, validation_alias=AliasChoices("created", "created_time"))
    updated: ServerTime = Field(None, validation_alias=AliasChoices("updated", "time_last_updated"))
    width: int = Field(0, validation_alias=_at("image", "width", "width"))
    height: int = Field(0, validation_alias=_at("image", "height", "height"))
    rotation_degrees: int = Field(0, validation_alias=_at("image", "rotation_degrees", "rotation_degrees"))
    ordinal: int = 0


class Instance(Record):
    """One annotation of a file. Coordinates are pixels, and ``None`` for kinds without a box.

    ``attribute_groups`` are the answers as they were sent: group id to ``{"id", "name"}`` of an option, or free text.
    """

    id: int
    type: str = ""
    label_file_id: int | None = None
    label_name: str = Field("", validation_alias=_at("label_file", "label", "name", "label_name"))
    x_min: int | None = None
    y_min: int | None = None
    x_max: int | None = None
    y_max: int | None = None
    points: list[dict[str, Any]] = Field(default_factory=list)
    attribute_groups: dict[str, Any] = Field(default_factory=dict)
    score: float | None = None
    machine_made: bool = False
    model_id: int | None = None
    model_run_id: int | None = None
    member_created_id: int | None = None
    soft_delete: bool = False
    action_type: str = ""
    created: ServerTime = Field(None, validation_alias=AliasChoices("created", "created_time"))

    @property
    def box(self) -> Box | None:
        """The rectangle, or ``None`` where this is no box or has no label."""
        x_min, y_min, x_max, y_max = self.x_min, self.y_min, self.x_max, self.y_max
        if self.type != "box" or self.label_file_id is None:
            return None
        if x_min is None or y_min is None or x_max is None or y_max is None:
            return None
        return Box(self.label_file_id, x_min, y_min, x_max, y_max, self.score)

    @property
    def annotation(self) -> Annotation | None:
        """What it is and where, without its attributes; ``None`` for kinds that no brain draws, and without a label."""
        if box := self.box:
            return Annotation.of_box(box)
        if self.type not in ("polygon", "line", "point", "tag") or self.label_file_id is None:
            return None
        points = tuple((point["x"], point["y"]) for point in self.points)
        return Annotation(cast(AnnotationType, self.type), self.label_file_id, points, score=self.score)


class FileAnnotations(Record):
    """A file with all that is drawn on it.

    Attributes:
        width, height: Pixels, 0 where the server did not tell.
        instances: Parsed, in the server's order.
        raw: The same, verbatim: what :meth:`save_annotations` must be given back so that nothing is lost.
    """

    file: FileRow
    width: int = 0
    height: int = 0
    instances: list[Instance]
    raw: list[dict[str, Any]] = Field(repr=False)


class SaveResult(Record):
    """What a save did.

    Attributes:
        added: Ids of instances that are new or were changed (a changed one gets a new id).
        deleted: Ids that no longer exist.
        warning: The server's complaint that the list was outdated, empty without one.
        missing: Ids that existed on the server, were not sent, and were therefore removed: somebody else's work
            if it was drawn between reading and saving.
    """

    added: list[int] = Field(default_factory=list)
    deleted: list[int] = Field(default_factory=list)
    warning: str = ""
    missing: list[int] = Field(default_factory=list)


class ModelRun(Record):
    """One run of a model, as the packets' ``model_run_ref`` made it. Model names cannot be listed."""

    id: int
    model_id: int | None = None
    reference_id: str = ""


class ExportRow(Record):
    """An export. ``status`` stays ``init`` until it is ``complete``; ``percent`` (0 to 100) moves meanwhile.

    ``complete`` is no promise that every file is in it: compare with :attr:`file_count`.
    """

    id: int
    status: str = ""
    percent: float = Field(0.0, validation_alias=AliasChoices("percent", "percent_complete"))
    file_count: int | None = Field(None, validation_alias=AliasChoices("file_count", "file_list_length"))
    status_text: str = ""
    source: str = ""
    directory_id: int | None = Field(None, validation_alias=_at("directory", "id", "directory_id"))
    job_id: int | None = Field(None, validation_alias=_at("job", "id", "job_id"))
    created: ServerTime = Field(None, validation_alias=AliasChoices("created", "created_time"))

    @property
    def finished(self) -> bool:
        """Whether it can be downloaded."""
        return self.status == "complete"


R = TypeVar("R", bound=Record)


def parse(kind: type[R], data: object, about: str) -> R:
    """Make a record of a part of a reply.

    Raises:
        UnexpectedReply: It lacks something, or is of another type. Says where, never what was there.
    """
    problem = ""
    try:
        return kind.model_validate(data)
    except _ValidationError as error:
        places = [".".join(map(str, item["loc"])) or "the whole" for item in error.errors(include_input=False)]
        problem = ", ".join(dict.fromkeys(places))
    raise UnexpectedReply(
        f"The reply about {about} does not describe a {kind.__name__}: {problem} is missing or of another type.",
        cure="Check that the server is a Diffgram of the recorded version.",
    )


def parse_all(kind: type[R], data: object, about: str) -> list[R]:
    """Make records of a list; ``null`` and ``false`` count as empty, as the server means them (contract section 12).

    Raises:
        UnexpectedReply: It is not a list, or an entry lacks something.
    """
    if data is None or data is False:
        return []
    if not isinstance(data, list):
        raise UnexpectedReply(
            f"The reply about {about} holds a {type(data).__name__} where a list of {kind.__name__} belongs.",
            cure="Check that the server is a Diffgram of the recorded version.",
        )
    return [parse(kind, item, about) for item in data]
