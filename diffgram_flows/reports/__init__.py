"""What people see of a run: progress, tables and pictures, as Prefect artifacts and in a terminal."""

from diffgram_flows.reports.artifacts import failures, markdown, picture, table
from diffgram_flows.reports.own_server import start_own_prefect
from diffgram_flows.reports.progress import shown_in_terminal, watched
from diffgram_flows.reports.quality import quality_path, quality_report
from diffgram_flows.reports.sheets import sheet
from diffgram_flows.reports.terminal_log import own_errors_told_once

__all__ = [
    "failures",
    "markdown",
    "own_errors_told_once",
    "picture",
    "quality_path",
    "quality_report",
    "sheet",
    "shown_in_terminal",
    "start_own_prefect",
    "table",
    "watched",
]
