"""Tables and pictures. Outside of a run they are silently left out: the same code runs without Prefect."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext, TaskRunContext

from diffgram_flows.models import Failure

_MAX_ROWS = 200
_MAX_SIDE = 1200


def in_run() -> bool:
    """Whether a Prefect run is going on that artifacts can belong to."""
    return TaskRunContext.get() is not None or FlowRunContext.get() is not None


def table(key: str, rows: Sequence[Mapping[str, object]], description: str) -> None:
    """Show rows as a table.

    Args:
        key: Lower-case letters, digits and dashes; the history of a key is kept.
        rows: One mapping a row, column to a text or a number.
        description: Markdown above the table.
    """
    if in_run() and rows:
        create_table_artifact(key=key, table=[dict(row) for row in rows[:_MAX_ROWS]], description=description)


def failures(key: str, found: Sequence[Failure]) -> None:
    """List objects that could not be dealt with; nothing is shown where there are none."""
    note = f"{len(found)} could not be dealt with." + (f" The first {_MAX_ROWS}:" if len(found) > _MAX_ROWS else "")
    table(key, [{"object": failure.name, "why": failure.reason} for failure in found], note)


def markdown(key: str, text: str) -> None:
    """Show a text; whoever makes it has escaped what others wrote in it."""
    if in_run():
        create_markdown_artifact(key=key, markdown=text)


def picture(key: str, path: Path, description: str) -> None:
    """Show a picture file; it travels inside the artifact, so that it is there wherever the UI runs.

    Large pictures are made smaller: the UI leaves artifacts of more than about a megabyte blank.
    """
    if not in_run():
        return
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((_MAX_SIDE, _MAX_SIDE))
    encoded = BytesIO()
    small.save(encoded, "JPEG", quality=80)
    data = base64.b64encode(encoded.getvalue()).decode()
    create_image_artifact(key=key, image_url=f"data:image/jpeg;base64,{data}", description=description)
