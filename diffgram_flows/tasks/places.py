"""Where brains and snapshots are kept: in a work folder, or in a store that machines share. Without Prefect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from diffgram_flows.brains import Registry
from diffgram_flows.storage import Folder, open_folder


@dataclass(frozen=True)
class Places:
    """Opening one sends nothing; it is safe to share between threads.

    Args:
        workdir: The work folder, which also keeps a copy of each brain of a bucket that was asked for.
        store_uri: As of :class:`~diffgram_flows.parameters.Target`: a folder, or a prefix of ``s3://`` or ``gs://``,
            that holds brains and snapshots for all machines. Empty: the work folder does.

    Raises:
        ConfigurationError: ``store_uri`` is of a kind that nothing can be kept in.
    """

    workdir: Path
    store_uri: str = ""

    def __post_init__(self) -> None:
        self.registry  # noqa: B018  # so that a wrong store is refused where it is named

    def __str__(self) -> str:
        return self.store_uri or f"the work folder {self.workdir}"

    @cached_property
    def registry(self) -> Registry:
        """The brains."""
        copies = self._root / "brains"
        return Registry(copies) if self._store is None else Registry(self._store.child("brains"), copies)

    @cached_property
    def shared_snapshots(self) -> Folder | None:
        """Where snapshots are copied to for other machines; ``None`` where the work folder is the only place."""
        return self._store and self._store.child("snapshots")

    def close(self) -> None:
        """Close the connections to the store; a later call opens new ones."""
        if self._store is not None:
            self._store.close()

    @cached_property
    def _root(self) -> Path:
        return self.workdir.expanduser().resolve()

    @cached_property
    def _store(self) -> Folder | None:
        return open_folder(self.store_uri) if self.store_uri else None
