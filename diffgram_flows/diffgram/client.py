"""The client: one object for one project, put together from one mix-in a resource."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from diffgram_flows.diffgram.annotations import AnnotationCalls
from diffgram_flows.diffgram.attributes import AttributeCalls
from diffgram_flows.diffgram.batches import BatchCalls
from diffgram_flows.diffgram.exports import ExportCalls
from diffgram_flows.diffgram.files import FileCalls
from diffgram_flows.diffgram.imports import ImportCalls
from diffgram_flows.diffgram.jobs import JobCalls
from diffgram_flows.diffgram.labels import LabelCalls
from diffgram_flows.diffgram.pacing import Pacer, Unpaced
from diffgram_flows.diffgram.project import ProjectCalls
from diffgram_flows.diffgram.tasks import TaskCalls
from diffgram_flows.diffgram.transport import Transport
from diffgram_flows.diffgram.uploads import UploadCalls
from diffgram_flows.errors import ConfigurationError


class DiffgramClient(
    ProjectCalls,
    LabelCalls,
    AttributeCalls,
    ImportCalls,
    UploadCalls,
    BatchCalls,
    JobCalls,
    TaskCalls,
    FileCalls,
    AnnotationCalls,
    ExportCalls,
):
    """A Diffgram project over HTTP. Making one sends nothing; it may be used from many threads.

    Args:
        url: The server: ``https://diffgram.example.com`` or ``http://localhost:8085``.
        project: The project's string id, as in the address of its web page.
        client_id, client_secret: An API credential of the project.
        timeout: Seconds to connect, and seconds of silence that end the wait for a reply.
        retries: How often a call is tried again where that is safe; the docstring of transport.py says where.
        pacer: Keeps the server's quotas; the ledger has one that all processes share.
        pool_size: Connections at the same time; more threads than that wait for one.

    Raises:
        ConfigurationError: A setting is missing or malformed.
    """

    def __init__(
        self,
        url: str,
        project: str,
        client_id: str,
        client_secret: str,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        pacer: Pacer | None = None,
        pool_size: int = 16,
    ) -> None:
        for name, value in (("project", project), ("client id", client_id), ("client secret", client_secret)):
            if not value.strip():
                raise ConfigurationError(f"The {name} for the Diffgram server is empty.", cure=f"Set the {name}.")
        if timeout <= 0 or retries < 0 or pool_size < 1:
            raise ConfigurationError(
                f"The Diffgram client cannot work with timeout={timeout}, retries={retries}, pool_size={pool_size}.",
                cure="Give a positive timeout, 0 or more retries, and at least one connection.",
            )
        self._transport = Transport(
            url,
            client_id,
            client_secret,
            timeout=timeout,
            retries=retries,
            pacer=pacer or Unpaced(),
            pool_size=pool_size,
        )
        self.url = self._transport.url
        self.project = project

    def __repr__(self) -> str:
        return f"DiffgramClient(url={self.url!r}, project={self.project!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calls made afterwards open new ones."""
        self._transport.close()
