"""What people see of a run: progress, tables and pictures, as Prefect artifacts and in a terminal."""

from diffgram_flows.reports.artifacts import failures, picture, table
from diffgram_flows.reports.progress import shown_in_terminal, watched

__all__ = ["failures", "picture", "shown_in_terminal", "table", "watched"]
