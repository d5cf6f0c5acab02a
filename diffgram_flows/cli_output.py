"""What commands print, and how they end."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from diffgram_flows.cli_messages import prefect_is_away
from diffgram_flows.disk import write_file
from diffgram_flows.errors import ConfigurationError, DiffgramFlowsError, PlanOutdated
from diffgram_flows.models import Failure

DONE, FAILED, MISUSED, UNREACHABLE, PARTLY, OUTDATED = range(6)
STOPPED = 130  # as a shell says it
_SHOWN_FAILURES = 20

console = Console(emoji=False)  # a key like a:car:.png is shown as it is
errors = Console(stderr=True, emoji=False)


def show(title: str, facts: dict[str, Any]) -> None:
    """Print facts as a table of two columns. Brackets in them are brackets: styles are a ``Text``."""
    table = Table(title=escape(title), show_header=False, title_justify="left", min_width=40)
    table.add_column()
    table.add_column(overflow="fold")  # a path is there to be copied, not to be cut
    for name, value in facts.items():
        table.add_row(escape(name), value if isinstance(value, Text) else escape(str(value)))
    console.print(table)


def show_failures(failures: Sequence[Failure], kept_in: str = "the ledger") -> int:
    """Print what could not be dealt with; the exit code."""
    for failure in failures[:_SHOWN_FAILURES]:
        told = f" {failure.name} " in f" {failure.reason} "  # as a word, not as the end of some path
        name = "" if told else f"[yellow]{escape(failure.name)}[/]: "
        errors.print(f"{name}{escape(failure.reason)}", highlight=False)
    if len(failures) > _SHOWN_FAILURES:
        more = f"... and {len(failures) - _SHOWN_FAILURES} more, all of them in {escape(kept_in)}."
        errors.print(more, soft_wrap=True)  # a path is there to be copied
    return PARTLY if failures else DONE


def keep_failures(failures: Sequence[Failure], path: Path) -> int:
    """Write what could not be dealt with into a file, and print some of it; the exit code."""
    # In ASCII: keys of a folder need not be text.
    write_file(path, json.dumps([asdict(failure) for failure in failures], indent=2).encode())
    return show_failures(failures, kept_in=str(path))


def explain(error: DiffgramFlowsError) -> int:
    """Print one of our own errors and its cure; the exit code."""
    errors.print(f"[red bold]{escape(error.what)}[/]", highlight=False)
    if error.cure:
        errors.print(escape(error.cure), highlight=False)
    if isinstance(error, ConfigurationError):
        return MISUSED
    if isinstance(error, PlanOutdated):
        return OUTDATED
    return UNREACHABLE if error.retryable else FAILED


def explain_unexpected(error: Exception) -> int:
    """Print any other error; the exit code."""
    if type(error).__module__.startswith("cyclopts"):
        return MISUSED
    if prefect_is_away(error):
        errors.print(f"[red bold]There is no Prefect server:[/] {escape(str(error))}", highlight=False)
        errors.print("Start it, or unset PREFECT_API_URL: a command then starts one of its own.")
        return UNREACHABLE
    errors.print(f"[red bold]Unexpected {type(error).__name__}:[/] {escape(str(error))}", highlight=False)
    if os.environ.get("DIFFGRAM_FLOWS_DEBUG"):
        errors.print_exception()
    else:
        errors.print("This is a bug. Set DIFFGRAM_FLOWS_DEBUG=1 to see where, and report it.")
    return FAILED
