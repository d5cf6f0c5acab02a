"""Tables and pictures. Outside of a run they are silently left out: the same code runs without Prefect."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext, TaskRunContext

from diffgram_flows.models import Failure

Cell = str | int | float | bool | None
_MAX_ROWS = 200


def in_run() -> bool:
    """Whether a Prefect run is going on that artifacts can belong to."""
    return TaskRunContext.get() is not None or FlowRunContext.get() is not None


def table(key: str, rows: Sequence[Mapping[str, Cell]], description: str) -> None:
    """Show rows as a table.

    Args:
        key: Lower-case letters, digits and dashes; the history of a key is kept.
        rows: One mapping a row, column to cell.
        description: Markdown above the table.
    """
    if in_run() and rows:
        create_table_artifact(key=key, table=[dict(row) for row in rows[:_MAX_ROWS]], description=description)


def failures(key: str, found: Sequence[Failure]) -> None:
    """List objects that could not be dealt with; nothing is shown where there are none."""
    note = f"{len(found)} could not be dealt with." + (f" The first {_MAX_ROWS}:" if len(found) > _MAX_ROWS else "")
    table(key, [{"object": failure.name, "why": failure.reason} for failure in found], note)


def picture(key: str, path: Path, description: str) -> None:
    """Show a PNG or JPEG file inside the artifact itself, so that it is there wherever the UI runs."""
    if not in_run():
        return
    kind = "png" if path.suffix == ".png" else "jpeg"
    data = base64.b64encode(path.read_bytes()).decode()
    create_markdown_artifact(
        key=key, markdown=f"{description}\n\n![{description}](data:image/{kind};base64,{data})", description=description
    )
