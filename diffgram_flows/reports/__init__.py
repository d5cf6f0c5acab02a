"""What people see of a run: progress, tables and pictures, as Prefect artifacts and in a terminal."""

from diffgram_flows.reports.artifacts import failures, picture, table
from diffgram_flows.reports.progress import shown_in_terminal, watched
from diffgram_flows.reports.sheets import sheet

__all__ = ["failures", "picture", "sheet", "shown_in_terminal", "table", "watched"]
