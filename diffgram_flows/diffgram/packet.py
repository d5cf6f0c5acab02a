"""What is sent to be imported: one packet a file (contract sections 5 and 10).

Only images from a URL, and more instances for an existing image, were recorded with a real server. Texts, videos and
blobs of a storage connection are sent as the official SDK 0.15.0 sends them, without its top-level nulls; what the
server says to them was not recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from diffgram_flows.diffgram.instances import check
from diffgram_flows.diffgram.redaction import without_secrets
from diffgram_flows.errors import InvalidRequest

#: Characters of a file name. With 300 the import was seen to hang in ``processing`` for ever (contract section 5).
MAX_NAME = 250
MediaType: TypeAlias = Literal["image", "video", "text", "audio"]
_MEDIA_TYPES = ("image", "video", "text", "audio")
_Objection: TypeAlias = tuple[bool, str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Packet:
    """One import: a new file from one source (``url``, ``text`` or ``blob_path``), or more instances for a file.

    Attributes:
        directory_id: The dataset. Always in the body: the header of that name is dead (contract section 4).
        url: Where the server fetches the file, minutes later. A secret if it is signed.
        file_name: The name it gets. Choose a unique one: it is the only way to find the import again. An extension is
            needed here or in the URL. With ``mode`` and without ``file_id``: the name of the existing file.
        instances: Dictionaries of :mod:`~diffgram_flows.diffgram.shapes`, ready to be sent.
        file_id: The existing file that gets more instances.
        mode: ``update`` appends to ``file_id``, or to the file that ``file_name`` means in the dataset. Sending it
            twice stores the instances twice. ``update_with_existing`` is refused: it erases what people drew.
        job_id: The job that gets a task for the file.
        media_type: What the URL or the blob holds. Not recorded: anything but ``image``.
        text: The content of a text file. As the official SDK sends it; not recorded.
        blob_path, bucket_name, connection_id: A blob in a bucket that the server reads through one of its own storage
            connections. As the official SDK sends it; not recorded.
        frames: For a video: frame number, from 0, to its instances. As the official SDK sends it; not recorded.
        video_split_duration: Into parts of how many seconds a long video is cut. As the official SDK sends it; not
            recorded.
        parent_file_id: The compound file that this file is a part of. As the official SDK sends it; not recorded.
        ordinal: Its place among the parts, from 0.

    Raises:
        InvalidRequest: The server would refuse it, hang, fail minutes later, or destroy human work.
    """

    directory_id: int
    url: str | None = None
    file_name: str | None = None
    instances: Sequence[Mapping[str, Any]] = ()
    file_id: int | None = None
    mode: Literal["update"] | None = None
    job_id: int | None = None
    media_type: MediaType = "image"
    text: str | None = None
    blob_path: str | None = None
    bucket_name: str | None = None
    connection_id: int | None = None
    frames: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    video_split_duration: int | None = None
    parent_file_id: int | None = None
    ordinal: int | None = None

    def __post_init__(self) -> None:
        for objections in (self._of_ids(), self._of_source(), self._of_content()):
            for wrong, what, cure in objections:
                if wrong:
                    raise InvalidRequest(f"{self} {what}.", cure=cure)
        for place, instances in [("", self.instances), *((f", frame {n}", some) for n, some in self.frames.items())]:
            self._check(instances, place)

    def __repr__(self) -> str:
        shown = {
            "directory_id": self.directory_id,
            "url": without_secrets(self.url) if self.url else None,
            "file_name": (self.file_name or "")[: MAX_NAME + 1],
            "file_id": self.file_id,
            "mode": self.mode,
            "job_id": self.job_id,
            "blob_path": self.blob_path,
            "text": None if self.text is None else f"<{len(self.text)} characters>",
            "frames": len(self.frames) or None,
            "instances": len(self.instances),
        }
        return f"Packet({', '.join(f'{key}={value!r}' for key, value in shown.items() if value not in (None, ''))})"

    @property
    def about(self) -> str:
        """What errors call it, with every id that may be the wrong one."""
        name = f"file {self.file_id}" if self.file_id is not None else repr(self._name or "a file without a name")
        job = f", job {self.job_id}" if self.job_id is not None else ""
        connection = f", connection {self.connection_id}" if self.connection_id is not None else ""
        return f"the packet for {name} (dataset {self.directory_id}{job}{connection})"

    def body(self) -> dict[str, Any]:
        """The JSON that is sent. An empty list of instances is left out: the server refuses one."""
        existing = self.mode is not None
        media = {"url": self.url, "type": "text" if self.text is not None else self.media_type}
        body: dict[str, Any] = {
            "directory_id": self.directory_id,
            "media": None if existing else media,
            "original_filename": None if existing else self.file_name,
            "file_name": self.file_name if existing and self.file_id is None else None,
            "file_id": self.file_id,
            "mode": self.mode,
            "job_id": self.job_id,
            "instance_list": [dict(instance) for instance in self.instances],
            "frame_packet_map": self._frame_packet_map(),
            "video_split_duration": self.video_split_duration,
            "parent_file_id": self.parent_file_id,
            "ordinal": self.ordinal,
            **self._source(),
        }
        return {key: value for key, value in body.items() if value is not None and value != [] and value != {}}

    @property
    def _name(self) -> str:
        """The name under which the server will keep it, as far as it can be told."""
        place = self.blob_path or (unquote(urlsplit(self.url).path) if self.url else "")
        return self.file_name or PurePosixPath(place).name

    def _source(self) -> dict[str, Any]:
        if self.text is not None:
            return {"type": "from_text_data", "text_data": self.text}
        if self.blob_path is not None:
            return {
                "type": "from_blob_path",
                "raw_data_blob_path": self.blob_path,
                "bucket_name": self.bucket_name,
                "connection_id": self.connection_id,
                "original_filename": self._name,
            }
        return {}

    def _frame_packet_map(self) -> dict[str, list[dict[str, Any]]]:
        return {
            str(number): [{**instance, "frame_number": number} for instance in instances]
            for number, instances in self.frames.items()
        }

    def _of_ids(self) -> Iterator[_Objection]:
        ids = {
            "directory_id": self.directory_id,
            "file_id": self.file_id,
            "job_id": self.job_id,
            "connection_id": self.connection_id,
            "parent_file_id": self.parent_file_id,
            "video_split_duration": self.video_split_duration,
        }
        for name, value in ids.items():
            wrong = (value is not None or name == "directory_id") and not _is_count(value, least=1)
            yield wrong, f"has the {name} {value!r}", "Give a whole number above 0; the server breaks on anything else."
        yield self.ordinal is not None and not _is_count(self.ordinal), "has no usable ordinal", "Count from 0."
        numbers = all(_is_count(number) for number in self.frames)
        yield not numbers, "has a frame that is no number", "Frames are whole numbers from 0."

    def _of_source(self) -> Iterator[_Objection]:
        sources = [source for source in (self.url, self.text, self.blob_path) if source is not None]
        yield (
            self.mode not in (None, "update"),
            f"has the mode {self.mode!r}",
            "Only 'update' is allowed: 'update_with_existing' erases what people drew.",
        )
        yield (
            self.file_id is not None and self.mode is None,
            "has a file id without a mode",
            "Give mode='update' to add instances to a file.",
        )
        yield (
            self.mode is not None and self.file_id is None and not self.file_name,
            "has a mode without a file id or a file name",
            "Say which file gets the instances.",
        )
        yield (
            len(sources) + (self.mode is not None) != 1,
            "needs either a URL or a file id (or a text, or a blob path), and one only",
            "Give url for a new file, or file_id with mode='update' for more instances on an existing one.",
        )
        yield (
            self.url is not None and not self.url.startswith(("http://", "https://")),
            "has a URL that does not begin with http",
            "The server fetches from http and https only; sign the URL of a bucket's object first.",
        )
        yield (
            (self.blob_path is not None) != bool(self.bucket_name and self.connection_id),
            "names a blob, a bucket or a connection without the others",
            "Give blob_path, bucket_name and connection_id together.",
        )

    def _of_content(self) -> Iterator[_Objection]:
        media = self.media_type
        yield media not in _MEDIA_TYPES, f"has the media type {media!r}", f"Use one of {', '.join(_MEDIA_TYPES)}."
        adds = bool(self.instances or any(self.frames.values()))
        yield self.mode is not None and not adds, "adds nothing", "Give at least one instance."
        yield self.text is not None and not self.file_name, "has a text without a file name", "Name the file."
        yield (
            len(self._name) > MAX_NAME,
            f"has a file name of more than {MAX_NAME} characters",
            "Shorten the name: the server would never finish this import.",
        )
        yield (
            self.url is not None and not (_extension(self._name) or _extension(urlsplit(self.url).path)),
            "has no extension, neither in its name nor in its URL",
            "Give a file_name that ends in .jpg, .png and so on.",
        )
        video = bool(self.frames or self.video_split_duration) and media != "video" and self.mode is None
        yield video, "has frames, but is no video", "Give media_type='video'."

    def _check(self, instances: Sequence[Mapping[str, Any]], place: str) -> None:
        refused: InvalidRequest | None = None
        try:
            check(instances)
        except InvalidRequest as error:
            refused = error
        if refused is not None:
            raise InvalidRequest(f"{self}{place}: {refused.what}", cure=refused.cure, fields=refused.fields)


def _is_count(value: object, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix
