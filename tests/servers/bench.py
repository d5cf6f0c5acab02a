"""A bucket in a local folder, a ledger in a file, and a sandbox server that behaves like the recorded Diffgram."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest
from PIL import Image

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.importing import import_new
from diffgram_flows.ledger import Ledger, ObjectRow, open_ledger
from diffgram_flows.models import Box
from diffgram_flows.sandbox.annotator import Annotator
from diffgram_flows.sandbox.process import SandboxProcess
from diffgram_flows.sandbox.truth import TrueBox
from diffgram_flows.storage import ObjectStore, open_store

TARGET = "sandbox/project/1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Bench:
    """Everything that an import needs, with a dataset and a folder of its own."""

    sandbox: SandboxProcess
    client: DiffgramClient
    store: ObjectStore
    ledger: Ledger
    directory_id: int
    folder: Path

    def draw(self, count: int, prefix: str = "image") -> None:
        """Put images of 64 x 48 pixels into the bucket."""
        draw(self.folder, count, prefix)

    def import_all(
        self, count: int = 0, prefix: str = "image", *, prelabel: Prelabels | None = None
    ) -> list[ObjectRow]:
        """Import what is in the bucket and give the imported rows."""
        self.draw(count, prefix)
        import_new(
            self.client,
            self.store,
            "",
            self.ledger,
            directory_id=self.directory_id,
            prelabel=prelabel,
            poll=0.05,
            timeout=120,
        )
        return self.ledger.objects.rows("imported")

    def work(self, job_id: int, limit: int | None = None, truth: Sequence[TrueBox] = ()) -> None:
        """Let a person finish tasks of a job; by default there is nothing to be seen in the images."""
        found = list(truth)
        person = Annotator(self.sandbox.url, self.sandbox.email, self.sandbox.password, lambda name: found)
        person.annotate(job_id, limit)

    def recipe(self) -> dict[str, str]:
        """What another process needs to do the same import."""
        return {
            "url": self.sandbox.url,
            "project": self.sandbox.project,
            "client_id": self.sandbox.client_id,
            "client_secret": self.sandbox.client_secret,
            "directory_id": str(self.directory_id),
            "folder": str(self.folder),
            "ledger": str(self.folder.parent / "ledger.db"),
        }

    def states(self) -> dict[str, int]:
        return self.ledger.objects.counts()

    def names(self) -> list[str]:
        """The names of all files in the dataset."""
        return sorted(file.name for file in self.client.files(self.directory_id))

    def packets(self) -> Counter[str]:
        """How many imports of each name the server has seen in the dataset."""
        rows = self.client.imports()
        return Counter(row.original_filename for row in rows if row.directory_id == self.directory_id and not row.mode)

    def boxes(self, file_id: int) -> list[Box]:
        """What is drawn on a file, by anybody."""
        return [instance.box for instance in self.client.annotations(file_id).instances if instance.box]

    def label(self, name: str = "car") -> int:
        """The label file id of a label of the first schema, made if it is missing."""
        schema = self.client.schemas()[0]
        return self.client.ensure_labels(schema.id, [name])[name]


@dataclass
class Prelabels:
    """A brain that sees what it is told to see, in every image."""

    boxes: tuple[Box, ...]
    brain: str = "digits@1"
    asked: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[ObjectRow]) -> Mapping[str, tuple[Box, ...]]:
        self.asked += [row.file_name for row in rows]
        return {row.file_name: self.boxes for row in rows}


def draw(folder: Path, count: int, prefix: str = "image") -> None:
    """Put images of 64 x 48 pixels into a folder."""
    for number in range(count):
        color = (number * 7 % 256, number * 29 % 256, number * 101 % 256)
        Image.new("RGB", (64, 48), color).save(folder / f"{prefix}-{number:03}.jpg")


def client_of(
    sandbox: SandboxProcess, *, kind: type[DiffgramClient] = DiffgramClient, url: str = "", timeout: float = 10
) -> DiffgramClient:
    keys = (sandbox.client_id, sandbox.client_secret)
    return kind(url or sandbox.url, sandbox.project, *keys, timeout=timeout, retries=1)


def import_in_child(recipe: dict[str, str], begun: Event) -> None:
    """The import of a bench in a process of its own, to be killed."""
    keys = (recipe["url"], recipe["project"], recipe["client_id"], recipe["client_secret"])
    client = DiffgramClient(*keys, timeout=10, retries=1)
    store, prefix = open_store(f"file://{recipe['folder']}")
    ledger = open_ledger(recipe["ledger"], TARGET)
    begun.set()
    directory_id = int(recipe["directory_id"])
    import_new(
        client, store, prefix, ledger, directory_id=directory_id, chunk_size=10, window=20, poll=0.05, timeout=60
    )


def work_in_child(recipe: dict[str, str], together: Barrier, results: Queue[int]) -> None:
    """One of several workers, each a process of its own; tells how many files it made."""
    keys = (recipe["url"], recipe["project"], recipe["client_id"], recipe["client_secret"])
    client = DiffgramClient(*keys, timeout=10, retries=1)
    store, prefix = open_store(f"file://{recipe['folder']}")
    ledger = open_ledger(recipe["ledger"], TARGET)
    together.wait(60)
    directory_id = int(recipe["directory_id"])
    report = import_new(
        client, store, prefix, ledger, directory_id=directory_id, chunk_size=10, window=20, poll=0.05, timeout=60
    )
    ledger.close()
    results.put(report.imported)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bucket"
    path.mkdir()
    return path


@pytest.fixture
def store(folder: Path) -> Iterator[ObjectStore]:
    with open_store(f"file://{folder}")[0] as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(str(tmp_path / "ledger.db"), TARGET)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture
def make_bench(folder: Path, store: ObjectStore, ledger: Ledger) -> Iterator[Callable[[SandboxProcess], Bench]]:
    """Builds a bench on any sandbox; the dataset is new each time."""
    clients: list[DiffgramClient] = []

    def make(sandbox: SandboxProcess) -> Bench:
        client = client_of(sandbox)
        clients.append(client)
        directory = client.ensure_directory(f"dataset {next(_numbers)}")
        return Bench(sandbox, client, store, ledger, directory.id, folder)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def bench(make_bench: Callable[[SandboxProcess], Bench], sandbox: SandboxProcess) -> Bench:
    return make_bench(sandbox)
