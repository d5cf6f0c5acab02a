"""What every task works with, made from a flow's target once in a process: client, ledger, brains, images."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diffgram_flows.blocks import find_credentials
from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.datasets import ImageCache
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import BrainNotFound, BrainTampered, ConfigurationError
from diffgram_flows.ledger import Ledger, Limit, open_ledger
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.ledger.pacing import SERVER_LIMITS
from diffgram_flows.models import BrainRef
from diffgram_flows.parameters import Bucket, Target
from diffgram_flows.storage import Folder, ObjectStore, StorageSettings, open_store
from diffgram_flows.tasks.places import Places


@dataclass(frozen=True)
class Workspace:
    """One dataset of one project, and all that we keep about it.

    Attributes:
        directory_id: The dataset.
        schema_id: The label schema that its annotations use.
        workdir: Where images and predictions lie, and brains and snapshots, as far as they are on this machine.
        registry: The brains.
        shared_snapshots: Where snapshots are kept for everybody; ``None`` where the work folder is the only place.
    """

    client: DiffgramClient
    ledger: Ledger
    directory_id: int
    schema_id: int
    workdir: Path
    registry: Registry
    shared_snapshots: Folder | None = None

    @property
    def images(self) -> ImageCache:
        return ImageCache(self.workdir / "images")

    @property
    def snapshots(self) -> Path:
        return self.workdir / "snapshots"

    def predictions(self, brain: BrainRef) -> Path:
        """Folder with what one brain version saw."""
        return self.workdir / "predictions" / str(brain)

    def champion(self, name: str) -> BrainRecord | None:
        return self.registry.champion(name)

    def label_names(self) -> dict[int, str]:
        """Label file id to name, as the schema has them now."""
        return {label.label_file_id: label.name for label in self.client.labels(self.schema_id)}


_opened: dict[Target, Workspace] = {}
_opening = threading.Lock()


def open_workspace(target: Target, *, create: bool = False) -> Workspace:
    """The workspace of a target; the server is asked for ids once in a process.

    Args:
        target: Which dataset.
        create: Whether to create the dataset if it is missing.

    Raises:
        ConfigurationError: No credentials, or the dataset or schema does not exist.
        AuthenticationError, ProjectNotFound, ServerUnreachable: The server's answer.
    """
    with _opening:
        if target not in _opened:
            _opened[target] = _open(target, create)
        return _opened[target]


@contextmanager
def open_bucket(bucket: Bucket) -> Iterator[tuple[ObjectStore, str]]:
    """The store and the prefix of a bucket."""
    settings = StorageSettings(**bucket.model_dump(mode="json", exclude={"uri"}))
    store, prefix = open_store(bucket.uri, settings)
    with store:
        yield store, prefix


@contextmanager
def open_bucket_if_any(bucket: Bucket | None) -> Iterator[ObjectStore | None]:
    """The store of a bucket, or ``None`` where a flow was not given one."""
    if bucket is None:
        yield None
        return
    with open_bucket(bucket) as (store, _):
        yield store


def _open(target: Target, create: bool) -> Workspace:
    credentials = find_credentials(target)
    workdir = target.workdir.expanduser().resolve()
    registry, shared_snapshots = open_places(target)
    server = credentials.diffgram_url.rstrip("/")
    ledger = open_ledger(_ledger_url(target), server)
    client = DiffgramClient(
        server,
        credentials.project,
        credentials.client_id,
        credentials.client_secret.get_secret_value(),
        pacer=ledger.pacer(server, _limits(target)),
    )
    client.view_project()  # a wrong credential or project ends here, before anything is created
    schema_id = _schema_id(client, target.label_schema)
    directory_id = _directory_id(client, target.dataset, create)
    ledger = ledger.for_target(f"{server}/{credentials.project}/{directory_id}")
    return Workspace(client, ledger, directory_id, schema_id, workdir, registry, shared_snapshots)


def open_places(target: Target) -> tuple[Registry, Folder | None]:
    """The registry of a target, and where its snapshots are shared, if they are. No call goes out.

    Raises:
        ConfigurationError: ``store_uri`` is of a kind that nothing can be kept in.
    """
    places = Places(target.workdir, target.store_uri)
    return places.registry, places.shared_snapshots


@contextmanager
def open_records(target: Target, name: str) -> Iterator[tuple[Registry, list[Ledger]]]:
    """The registry of a target, and the ledgers that tell of one of its brains. No call goes out to the server.

    These are the ledgers of the datasets that the brain was trained for, the newest training first. The database may
    serve other registries, too, which have a brain of the same name: their trainings are told by the snapshot. A brain
    that nobody has trained here, and that was brought in, is told of in a ledger of the registry's own.

    Args:
        target: Says where registry and ledger are.
        name: Of the brain, without a version.

    Raises:
        ConfigurationError: ``store_uri`` or ``ledger_url`` is of a kind that nothing can be kept in.
        LedgerError: The ledger cannot be opened.
    """
    registry, _ = open_places(target)
    own = open_ledger(_ledger_url(target), registry.folder.uri)
    try:
        trained_for: dict[str, None] = {}
        for dataset, training in own.history.trainings_anywhere(name):
            if dataset not in trained_for and _holds(registry, training):
                trained_for[dataset] = None
        ledgers = [own.for_target(dataset) for dataset in trained_for]
        yield registry, [*ledgers, own] if own.promotions.rows(name) or not ledgers else ledgers
    finally:
        own.close()


def _ledger_url(target: Target) -> str:
    return target.ledger_url or str(target.workdir.expanduser().resolve() / "ledger.db")


def _holds(registry: Registry, training: TrainingRow) -> bool:
    """Whether the registry has what came out of a training."""
    try:
        return registry.manifest(BrainRef.parse(training.brain)).snapshot_id == training.snapshot_id
    except (BrainNotFound, BrainTampered):
        return False


def _limits(target: Target) -> dict[str, Limit]:
    rate = target.packets_per_second
    limits = {name: limit for name, limit in SERVER_LIMITS.items() if name != "input/packet"}
    return {**limits, "input/packet": Limit(per_second=rate)} if rate else limits


def _schema_id(client: DiffgramClient, name: str) -> int:
    schemas = client.schemas()
    for schema in schemas:
        if schema.name == name or (not name and schema.is_default):
            return schema.id
    raise ConfigurationError(
        f"The project {client.project!r} has no label schema {name!r}; it has {[schema.name for schema in schemas]}.",
        cure="Create it in Diffgram with its labels, or name one that exists.",
    )


def _directory_id(client: DiffgramClient, name: str, create: bool) -> int:
    found = client.ensure_directory(name) if create else client.find_directory(name)
    if found is None:
        raise ConfigurationError(
            f"The project {client.project!r} has no dataset {name!r}.",
            cure="Import files first, which creates it, or name a dataset that exists.",
        )
    return found.id
