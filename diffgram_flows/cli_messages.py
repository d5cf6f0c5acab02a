"""What a terminal says of values that are refused, one clear line for each, and of a Prefect server that is away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cyclopts import CycloptsError, CycloptsPanel
from pydantic import ValidationError
from rich.text import Text

_PATTERNS = {
    r"^(s3|gs|az|file)://.+": "write s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix "
    "or file:///absolute/folder",
    r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$": "use letters, digits, dots, dashes and underscores, and no dot in front",
}


def wrong_command_line(error: CycloptsError) -> Any:
    """What is printed about a command line that cannot be understood; values that pydantic refused are a line each."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return CycloptsPanel(error)
    above = error.argument.name if error.argument else ""
    group = f"{above.removeprefix('--')}." if above.startswith("--") else ""
    lines = [f"--{group}{name.replace('_', '-')} {problem}" for name, problem in _problems(cause)]
    return CycloptsPanel(Text("\n".join(lines)))


def refused_values(error: ValidationError) -> str:
    """The problems of a form that a command has filled in, a line each."""
    names = {"uri": "bucket"}  # as the command lines call it
    return "\n".join(f"{names.get(name, name)} {problem}" for name, problem in _problems(error))


def prefect_is_away(error: Exception) -> bool:
    """Whether a flow ended because there is no Prefect server: Prefect (3.8) says so in these words only."""
    words = ("Failed to reach API at", "Timed out while attempting to connect to ephemeral")
    return isinstance(error, RuntimeError) and str(error).startswith(words)


def _problems(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Name and problem of each field."""
    for problem in error.errors(include_url=False):
        pattern = problem.get("ctx", {}).get("pattern", "")
        message = problem["msg"].partition(", unable to parse")[0].replace("Input should be", "must be")
        given = "" if problem["type"] == "missing" else f"is {problem['input']!r}: "
        yield ".".join(map(str, problem["loc"])), f"{given}{_PATTERNS.get(pattern, message)}."
