"""The one object that scripts and notebooks start from."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import BrainNotFound, ConfigurationError, NoChampion
from diffgram_flows.models import BrainRef
from diffgram_flows.project.brain import Brain
from diffgram_flows.project.context import Context
from diffgram_flows.project.directories import Directories
from diffgram_flows.project.exports import Exports
from diffgram_flows.project.files import Files
from diffgram_flows.project.inputs import Inputs
from diffgram_flows.project.jobs import Jobs, Tasks
from diffgram_flows.project.labels import Attributes, Labels, Schemas
from diffgram_flows.project.online import SERVICE_URL, OnlineBrain, Service
from diffgram_flows.project.pacing import WorkdirPacer
from diffgram_flows.project.people import Connections, Guides, Members
from diffgram_flows.project.training import Train

WORKDIR = Path("diffgram-flows-data")


class Project:
    """A Diffgram project. Making one sends nothing, writes nothing and loads neither TensorFlow nor a storage library.

    Args:
        host: The server: ``https://diffgram.example.com`` or ``http://localhost:8085``.
        project_string_id: The project's string id, as in the address of its web page.
        client_id, client_secret: An API credential of the project, with the role Editor or admin.
        workdir: Where brains, snapshots, images and the ledger lie; the flows use the same folder by default.
        store_uri: Where brains and snapshots lie instead, for all machines: a folder, or a prefix of ``s3://`` or
            ``gs://``, as in the target of the flows. Give what the deployment has that trains. Endpoint and
            credentials are found as boto3 and google-cloud-storage find them.
        label_schema: The schema whose labels are meant, empty for the project's default one.
        packets_per_second: How many imports the server takes from one address; 0 where it has no limit.
        timeout: Seconds to connect, and seconds of silence that end the wait for a reply.

    Attributes:
        client: The wire client, for everything that is not here.

    Raises:
        ConfigurationError: A setting is missing or malformed.
    """

    def __init__(
        self,
        host: str,
        project_string_id: str,
        client_id: str,
        client_secret: str,
        *,
        workdir: Path | str = WORKDIR,
        store_uri: str = "",
        label_schema: str = "",
        packets_per_second: float = 20.0,
        timeout: float = 30.0,
    ) -> None:
        folder = Path(workdir).expanduser()
        self._pacer = WorkdirPacer(folder, host.strip().rstrip("/"), packets_per_second)
        self.client = DiffgramClient(
            host, project_string_id, client_id, client_secret, timeout=timeout, pacer=self._pacer
        )
        self.workdir = folder
        self._context = Context(self.client, folder, label_schema, store_uri)
        self._credential = (client_id, client_secret)

    @classmethod
    def from_environment(cls, **settings: Any) -> Self:
        """The project that DIFFGRAM_URL, DIFFGRAM_PROJECT, DIFFGRAM_CLIENT_ID and DIFFGRAM_CLIENT_SECRET name.

        Args:
            **settings: As for the class; they win.

        Raises:
            ConfigurationError: A variable is not set; it is named.
        """
        variables = {
            "host": "DIFFGRAM_URL",
            "project_string_id": "DIFFGRAM_PROJECT",
            "client_id": "DIFFGRAM_CLIENT_ID",
            "client_secret": "DIFFGRAM_CLIENT_SECRET",
        }
        found = {field: os.environ.get(name, "") for field, name in variables.items()} | settings
        missing = [name for field, name in variables.items() if not found[field]]
        if missing:
            raise ConfigurationError(
                f"Nothing says which Diffgram project is meant: {', '.join(missing)} not given.",
                cure="Set these environment variables, or give host, project_string_id, client_id and client_secret.",
            )
        return cls(**found)

    def __repr__(self) -> str:
        return f"Project(host={self.client.url!r}, project_string_id={self.client.project!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server, the ledger and the store. Calls made afterwards open new ones."""
        self.client.close()
        self._context.places.close()
        self._pacer.close()

    @cached_property
    def directory(self) -> Directories:
        """Datasets: new, list, get, default; the files of one."""
        return Directories(self._context)

    @cached_property
    def file(self) -> Files:
        """Files: from_url, from_packet, from_local, get_by_id, update, transfer, ..."""
        return Files(self._context)

    @cached_property
    def label(self) -> Labels:
        """Labels: list, get, new."""
        return Labels(self._context)

    @cached_property
    def schema(self) -> Schemas:
        """Label schemas: list, default, new."""
        return Schemas(self._context)

    @cached_property
    def attribute(self) -> Attributes:
        """Attributes: list, new."""
        return Attributes(self._context)

    @cached_property
    def job(self) -> Jobs:
        """Jobs: new, list, get, get_by_id, archive; the tasks and exports of one."""
        return Jobs(self._context)

    @cached_property
    def task(self) -> Tasks:
        """Tasks: list. The rest needs a person who is logged in."""
        return Tasks(self._context)

    @cached_property
    def export(self) -> Exports:
        """Exports: new, list, get_by_id; the data of one."""
        return Exports(self._context)

    @cached_property
    def guide(self) -> Guides:
        """Guides for annotators: new."""
        return Guides(self._context)

    @cached_property
    def member(self) -> Members:
        """People and API credentials: list, get."""
        return Members(self._context)

    @cached_property
    def connection(self) -> Connections:
        """The server's own connections to storage: list."""
        return Connections(self._context)

    @cached_property
    def input(self) -> Inputs:
        """Imports: list, get, retry, archive, wait."""
        return Inputs(self._context)

    @cached_property
    def train(self) -> Train:
        """Trainings: start, get."""
        return Train(self._context, *self._credential)

    def get_model(
        self, name: str | None = None, version: int | None = None, *, local: bool = True, service_url: str = ""
    ) -> Brain:
        """A trained brain, to be shown images on this machine or by a brain service.

        Args:
            name: Which one; ``None`` takes the only one there is.
            version: Which version; ``None`` takes the one in use, the champion.
            local: Whether this machine looks, with a brain of the work folder or ``store_uri``; otherwise the service.
            service_url: Of ``diffgram-flows brain serve``; by default the environment's DIFFGRAM_BRAIN_SERVICE_URL.

        Raises:
            BrainNotFound: There is no such brain or version, or several and no name.
            NoChampion: No version of it was promoted yet.
            ConfigurationError: ``local=False``, and no service is named.
            ServerUnreachable: The service does not answer.
            StorageUnavailable, AccessDenied, BucketNotFound: The store cannot be read.
        """
        if not local:
            asked = Service(service_url or os.environ.get(SERVICE_URL, ""), *self._credential)
            return OnlineBrain(self._context, asked, name, version)
        registry = self._context.places.registry
        chosen = name or _only_one(registry)
        record = _champion(registry, chosen) if version is None else registry.get(BrainRef(chosen, version))
        return Brain(self._context, chosen, record=record)


def _only_one(registry: Registry) -> str:
    names = registry.names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise BrainNotFound(
            f"There is no brain in {registry.folder}.",
            cure="Train one with project.train.start, or give another workdir or store_uri.",
        )
    raise BrainNotFound(
        f"There are {len(names)} brains in {registry.folder}: {', '.join(names)}.", cure="Name the one that is meant."
    )


def _champion(registry: Registry, name: str) -> BrainRecord:
    record = registry.champion(name)
    if record is not None:
        return record
    versions = registry.versions(name)
    if not versions:
        raise BrainNotFound(
            f"There is no brain {name!r} in {registry.folder}; there is {', '.join(registry.names()) or 'none'}.",
            cure="Name one that exists, or train one with project.train.start.",
        )
    raise NoChampion(
        f"No version of the brain {name!r} was promoted yet.",
        cure=f"Train again with more finished files, or take one by its number: version={versions[-1].ref.version}.",
    )
