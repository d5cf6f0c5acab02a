"""From bytes to a file: download, measure, store, draw. Used by the queue's workers and by direct uploads."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from diffgram_flows.sandbox.media import MediaStore
from diffgram_flows.sandbox.settings import SandboxSettings
from diffgram_flows.sandbox.store import files, instances, jobs, labels, models
from diffgram_flows.sandbox.store.files import Picture
from diffgram_flows.sandbox.store.inputs import VERSION, Outcome

FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Seconds to connect, and between two bytes. The recorded server waits for ever; this one must end its threads.
PATIENCE = (10.0, 120.0)
FRAMES = "Traceback (most recent call last): <frames removed> "


class IngestError(Exception):
    """An import that ends here; holds the outcome that its row shows."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.status_text)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Target:
    """Where an import goes."""

    project: sqlite3.Row
    directory_id: int
    job_id: int | None = None


def failure(text: str, **details: Any) -> IngestError:
    """A failure whose reason is in ``status_text`` and in ``update_log.error``."""
    log = {"error": {"status_text": text}, "info": {}, "success": False}
    return IngestError(Outcome("failed", text, update_log=log, **details))


def download(url: str, limit: int) -> bytes:
    """Fetch an image, redirects followed.

    The failure texts quote the URL with its query string, as the recorded ones do: a client must clean them.

    Raises:
        IngestError: No connection, no 200, or more bytes than allowed.
    """
    try:
        with requests.get(url, timeout=PATIENCE, stream=True) as response:
            if response.status_code != 200:
                text = response.raw.read(1000, decode_content=True).decode(errors="replace").strip()
                raise failure(
                    f"Exceeded retry limit, no valid response ({response.status_code}) from {url} Response: {text}"
                )
            return b"".join(_bounded(response, limit))
    except (requests.RequestException, OSError) as error:
        crash = "expected str, bytes or os.PathLike object, not NoneType"
        log = {
            "download_media": str(error),
            "error": {"process_one_image": crash, "trace": f"{FRAMES}TypeError: {crash}"},
            "info": {},
            "success": False,
            "trace": f"{FRAMES}requests.exceptions.{type(error).__name__}: {error}",
        }
        raise IngestError(Outcome("failed", "Error downloading media.", update_log=log)) from error


def _bounded(response: requests.Response, limit: int) -> Iterator[bytes]:
    received = 0
    for chunk in response.iter_content(1 << 18):
        received += len(chunk)
        if received > limit:
            raise IngestError(Outcome("failed", "Could not open file"))
        yield chunk


def measure(data: bytes, name: str, settings: SandboxSettings) -> Picture:
    """Check that bytes are an image that can be decoded, and find its size.

    The size is read from the header first: a small file that unfolds to gigabytes is refused without unfolding it.

    Raises:
        IngestError: "Could not open file".
    """
    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
            width, height = image.size
            if width * height > settings.max_pixels:
                raise IngestError(Outcome("failed", "Could not open file"))
            content_type = FORMATS[str(image.format)]
            image.draft("L", (64, 64))  # JPEG only: reads all bytes, computes few pixels
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError) as error:
        raise IngestError(Outcome("failed", "Could not open file")) from error
    return Picture(name, width, height, content_type)


def refuse_twin(cx: sqlite3.Connection, directory_id: int, name: str) -> None:
    """Check that the dataset has no file of this name.

    Raises:
        IngestError: It has one; the text holds its id.
    """
    existing = files.named(cx, directory_id, name)
    if existing is not None:
        raise failure(f"Filename {name} Already Exists in Dir. Existing ID is:{existing}")


def store(
    cx: sqlite3.Connection, media: MediaStore, target: Target, picture: Picture, received: Path, task_delay: float
) -> int:
    """Make received bytes a file of the target and return its id.

    Raises:
        IngestError: The name was taken meanwhile.
    """
    refuse_twin(cx, target.directory_id, picture.name)
    file_id, blob = files.add(cx, int(target.project["id"]), target.directory_id, picture)
    media.adopt(received, blob)
    jobs.file_arrived(cx, target.directory_id, file_id, target.job_id, task_delay)
    return file_id


def draw(cx: sqlite3.Connection, project: sqlite3.Row, file_id: int, sent: list[Any], *, replace: bool) -> int:
    """Draw the instances of an import on a file; return how many were added.

    What came before a refused instance stays drawn (recorded as ``one_good_one_bad``). With ``replace``, what is not
    sent again is removed, whoever drew it.

    Raises:
        RefusedInstanceError: One is refused.
        CrashedInstanceError: One is incomplete.
    """
    label_file_ids = {row["id"] for row in labels.label_files(cx, project["id"])}
    old = {instances.content_of(row): row["id"] for row in instances.stored(cx, file_id)} if replace else {}
    to_forget = set(old.values())
    added = 0
    try:
        for instance in sent:
            drawn = instances.check(instance, label_file_ids, project["string_id"])
            if drawn.content in old:
                to_forget.discard(old[drawn.content])
            else:
                instances.add(cx, file_id, drawn, instances.Author())
                added += 1
        instances.forget(cx, sorted(to_forget))
    finally:
        if added:
            instances.count_changes(cx, file_id, added)
    return added


def draw_outcome(
    cx: sqlite3.Connection, project: sqlite3.Row, file_id: int, sent: list[Any] | None, *, mode: str | None = None
) -> Outcome:
    """Draw, and say how an import ended whose image is already there.

    A refused instance leaves the row at 100 percent for a new image and at 0 for an update (both recorded).
    """
    done = 0.0 if mode else 100.0
    if sent and any(instance is None for instance in sent):
        crash = {"process_one_image": "Instance cannot be None", "trace": f"{FRAMES}Exception: Instance cannot be None"}
        log = {"error": crash, "info": {}, "success": False}
        return Outcome("failed", VERSION, file_id=file_id, update_log=log)
    try:
        for instance in sent or []:
            models.resolve(cx, project["id"], instance)
        draw(cx, project, file_id, sent or [], replace=mode == "update_with_existing")
    except instances.RefusedInstanceError as refusal:
        cure = "On SDK?: Some types of errors may be resolved by updating to latest."
        return Outcome("failed", f"Instance List Error:{refusal.fields} {cure}", done, file_id)
    except (instances.CrashedInstanceError, TypeError, AttributeError) as crash:
        return Outcome("failed", f"Instance List Creation error: {FRAMES}{crash}", done, file_id)
    return Outcome("success", VERSION, 100.0, file_id)
