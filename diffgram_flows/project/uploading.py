"""Files of this machine on their way to the server (contract section 7)."""

from __future__ import annotations

import re
import time
from pathlib import Path

from diffgram_flows.diffgram import safe_name
from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import InvalidRequest
from diffgram_flows.images import check_pixels, image_size
from diffgram_flows.importing import SUFFIXES
from diffgram_flows.project.context import Context
from diffgram_flows.project.file import File
from diffgram_flows.project.naming import name_of_local
from diffgram_flows.project.queued import QueuedImport
from diffgram_flows.project.sending import Instances

_AT_ONCE = 50 * 2**20  # bytes; the server works on an upload while we wait, and proxies do not wait for ever


def upload(
    context: Context,
    path: Path,
    *,
    file_name: str | None,
    directory_id: int,
    job_id: int | None,
    instances: Instances,
    timeout: float,
) -> File:
    """Send a file and wait until it is processed; see ``project.file.from_local``."""
    image = path.suffix.lower() in SUFFIXES
    size = _inspect(path) if image else None
    shapes = context.prepare(instances, size=size)
    adopts = file_name is None and not instances
    if image and path.stat().st_size <= _AT_ONCE:
        name = file_name or name_of_local(path, _digest(path))
        file = _at_once(context, path, name, directory_id, shapes, adopts=adopts)
    else:
        name = file_name or _plain(name_of_local(path, _digest(path)))
        file = _in_pieces(context, path, safe_name(name), directory_id, timeout, adopts=adopts)
        if shapes:
            context.client.save_annotations(file.id, shapes)  # nobody can have drawn on it yet
    if job_id is not None:
        context.client.add_files(job_id, [file.id])  # an upload itself forgets its job
    return file


def _inspect(path: Path) -> tuple[int, int]:
    """Width and height; a damaged image would be a 500 of the server."""
    check_pixels(path, name=path.name)
    return image_size(path, name=path.name)


def _digest(path: Path) -> str:
    problem = ""
    try:
        return sha256_of(path)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    raise InvalidRequest(f"The file {path.name} cannot be read: {problem}.", cure="Give a file that can be read.")


def _at_once(context: Context, path: Path, name: str, directory_id: int, shapes: Instances, *, adopts: bool) -> File:
    try:
        row = context.client.upload(path, name=name, directory_id=directory_id, instances=shapes)
    except InvalidRequest as error:
        existing = error.fields.get("existing_file_id", "")
        if not (adopts and existing.isdigit()):
            raise
        return File(context, int(existing), name, directory_id)
    return File(context, row.file_id or 0, name, directory_id)


def _in_pieces(context: Context, path: Path, name: str, directory_id: int, timeout: float, *, adopts: bool) -> File:
    sent_at = time.time()
    context.client.upload_in_chunks(path, name=name, directory_id=directory_id)
    return QueuedImport(context, name, directory_id, sent_at=sent_at, adopts=adopts).wait(timeout)


def _plain(name: str) -> str:
    """A name without the letters of which nobody knows what the server makes of them in pieces."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).lstrip("-.")
