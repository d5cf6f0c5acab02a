"""A bench where people have annotated: what exports and snapshots are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers.bench import Bench, Prelabels

from diffgram_flows.datasets import (
    FinishedExport,
    ImageCache,
    SnapshotOptions,
    SnapshotReport,
    export_finished,
    make_snapshot,
)
from diffgram_flows.importing import assign, refresh_tasks
from diffgram_flows.models import Snapshot
from diffgram_flows.sandbox import Annotator, SandboxProcess, TrueBox
from diffgram_flows.sandbox.truth import plain_name
from diffgram_flows.storage import ObjectStore

Drawn = Mapping[str, list[TrueBox]]


@dataclass(frozen=True)
class Studio:
    """A bench, its people, and the folders of this package."""

    bench: Bench
    workdir: Path

    @property
    def cache(self) -> ImageCache:
        return ImageCache(self.workdir / "images")

    @property
    def snapshots(self) -> Path:
        return self.workdir / "snapshots"

    @property
    def schema_id(self) -> int:
        return self.bench.client.schemas()[0].id

    def labels(self, *names: str) -> list[int]:
        """Label file ids of labels, made if they are missing."""
        found = self.bench.client.ensure_labels(self.schema_id, names)
        return [found[name] for name in names]

    def finish(self, drawn: Drawn, *, prelabel: Prelabels | None = None) -> None:
        """Import the bucket, and let a person finish the images that ``drawn`` names by their plain names."""
        self.labels(*{box.label for boxes in drawn.values() for box in boxes})
        bench = self.bench
        bench.import_all(prelabel=prelabel)
        jobs = assign(
            bench.client,
            bench.ledger,
            directory_id=bench.directory_id,
            job_name=f"job of {bench.directory_id}",
            schema_id=self.schema_id,
        )
        keys = bench.sandbox

        def truth(name: str) -> list[TrueBox] | None:
            return drawn.get(plain_name(name))

        for job_id in jobs.job_ids:
            Annotator(keys.url, keys.email, keys.password, truth).annotate(job_id)
        refresh_tasks(bench.client, bench.ledger)

    def export(self, **options: Any) -> AbstractContextManager[FinishedExport]:
        defaults: dict[str, Any] = {"schema_id": self.schema_id, "folder": self.workdir, "poll": 0.02, "timeout": 20}
        bench = self.bench
        return export_finished(bench.client, bench.ledger, directory_id=bench.directory_id, **(defaults | options))

    def snapshot(
        self, *, store: ObjectStore | None = None, options: SnapshotOptions | None = None, **export: Any
    ) -> tuple[Snapshot, SnapshotReport]:
        """A snapshot of what is finished now, with images from ``store``, else from the bench's."""
        bench = self.bench
        with self.export(**export) as finished:
            return make_snapshot(
                finished,
                bench.ledger,
                self.cache,
                store or bench.store,
                bench.client,
                folder=self.snapshots,
                options=options,
            )


def box(label: str, x_min: int = 4, y_min: int = 6, x_max: int = 30, y_max: int = 40) -> TrueBox:
    """A box in an image of 64 x 48 pixels."""
    return TrueBox(label, x_min, y_min, x_max, y_max)


@pytest.fixture
def make_studio(make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path) -> Callable[[SandboxProcess], Studio]:
    return lambda sandbox: Studio(make_bench(sandbox), tmp_path / "work")


@pytest.fixture
def studio(make_studio: Callable[[SandboxProcess], Studio], sandbox: SandboxProcess) -> Studio:
    return make_studio(sandbox)
