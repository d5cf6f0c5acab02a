"""Prefect 3 tasks and flows that turn a self-hosted Diffgram into an import - train - update cycle.

For scripts and notebooks: ``from diffgram_flows import Project``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffgram_flows.project import Project, predict_many, read_image

__version__ = "0.1.0"
__all__ = ["Project", "predict_many", "read_image", "__version__"]


def __getattr__(name: str) -> Any:
    """Load the room of scripts and notebooks when it is asked for: flows and the command line do without it."""
    if name in ("Project", "predict_many", "read_image"):
        from diffgram_flows import project

        return getattr(project, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
