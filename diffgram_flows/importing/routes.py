"""How the bytes of an object come to the server: it fetches a URL, we send them, or it reads the bucket by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from diffgram_flows.diffgram import DiffgramClient, Packet
from diffgram_flows.errors import (
    AccessDenied,
    ConfigurationError,
    DiffgramFlowsError,
    InvalidRequest,
    ObjectNotFound,
    SigningError,
)
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import ObjectStore, fetchable

Kind = Literal["sent", "imported", "refused", "failed", "released", "unsure", "lost"]
Instances = Sequence[Mapping[str, Any]]
RouteName = Literal["url", "upload", "connection"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one object at its departure.

    Attributes:
        row: The object.
        kind: ``sent``: queued by the server. ``imported``: the file is there already. ``refused``: not worth sending.
            ``failed``: the server would not take it. ``released``: certainly not delivered, to be sent again.
            ``unsure``: maybe delivered. ``lost``: another worker has it now.
        at: Seconds since the epoch when it left.
    """

    row: ObjectRow
    kind: Kind
    reason: str = ""
    file_id: int | None = None
    input_id: int | None = None
    at: float = 0.0


class Route(Protocol):
    """One of the ways."""

    def ready(self, rows: Sequence[ObjectRow]) -> Mapping[int, Any]:
        """What the rows of a parcel need before they leave, by row id; an error in the place of what cannot be had.

        Raises:
            DiffgramFlowsError: None of them can leave.
        """

    def send(self, row: ObjectRow, ready: Any, instances: Instances) -> Delivery:
        """Let one leave.

        Raises:
            InvalidRequest: The server does not take it.
            DiffgramFlowsError: Nothing can leave now.
        """


class UrlRoute:
    """Signed URLs, made by the parcel right before it leaves.

    Args:
        client: The server.
        store: The bucket.
        directory_id: The dataset.
        lease_for: How long a URL should live.
    """

    def __init__(self, client: DiffgramClient, store: ObjectStore, directory_id: int, lease_for: timedelta) -> None:
        self._client, self._store = client, store
        self._directory_id, self._lease_for = directory_id, lease_for

    def ready(self, rows: Sequence[ObjectRow]) -> Mapping[int, Any]:
        unsigned: dict[str, DiffgramFlowsError] = {}

        def fail(obj: StoredObject, error: DiffgramFlowsError) -> None:
            if isinstance(error, SigningError) and fetchable(obj.key) and not isinstance(error, ObjectNotFound):
                raise error  # the credential's trouble, and not this object's
            unsigned[obj.uri] = error

        objects = (row.object for row in rows)
        urls = {lease.uri: lease.url for lease in self._store.sign_many(objects, self._lease_for, on_failure=fail)}
        return {row.id: urls.get(row.object.uri) or unsigned.get(row.object.uri) for row in rows}

    def send(self, row: ObjectRow, ready: Any, instances: Instances) -> Delivery:
        packet = Packet(self._directory_id, url=ready, file_name=row.file_name, instances=instances)
        self._client.send_packet(packet)
        return Delivery(row, "sent")


class UploadRoute:
    """Bytes that we read from the bucket and send: where the server does not reach it. Each holds a server's worker."""

    def __init__(self, client: DiffgramClient, store: ObjectStore, directory_id: int) -> None:
        self._client, self._store, self._directory_id = client, store, directory_id

    def ready(self, rows: Sequence[ObjectRow]) -> Mapping[int, Any]:
        return {}

    def send(self, row: ObjectRow, ready: Any, instances: Instances) -> Delivery:
        try:
            content = self._store.read(row.object)
        except ObjectNotFound as error:
            return Delivery(row, "refused", str(error))
        except AccessDenied as error:
            self._store.check()  # raises if it is the credential, and not this object
            return Delivery(row, "refused", str(error))
        try:
            made = self._client.upload(
                content, name=row.file_name, directory_id=self._directory_id, instances=instances
            )
        except InvalidRequest as error:
            if (existing := error.fields.get("existing_file_id", "")).isdigit():
                return Delivery(row, "imported", "An earlier packet made the file.", int(existing))
            if error.fields.get("file_id"):  # without its boxes: following finds the import, and repairs it
                return Delivery(row, "sent")
            raise
        if instances:  # what became of them is told by the list of imports, as on the other routes
            return Delivery(row, "sent")
        return Delivery(row, "imported", "", made.file_id, made.id)


class ConnectionRoute:
    """Blobs that the server reads through a storage connection of its own. As the official SDK sends it; not recorded.

    Args:
        client: The server.
        bucket: Root URI of the bucket.
        directory_id: The dataset.
        connection_id: Diffgram's id of the connection.

    Raises:
        ConfigurationError: There is no connection, or the bucket is of a kind that it cannot be for.
    """

    def __init__(self, client: DiffgramClient, bucket: str, directory_id: int, connection_id: int | None) -> None:
        if connection_id is None:
            raise ConfigurationError(
                "The route 'connection' needs the id of a storage connection of the Diffgram project.",
                cure="Make one in Diffgram (Connections) and give its id as connection_id, or use the route 'url'.",
            )
        scheme, _, name = bucket.partition("://")
        if scheme not in ("s3", "gs") or "/" in name or ":" in name:
            raise ConfigurationError(
                f"It is not known how a storage connection of Diffgram names an object of {bucket}.",
                cure="Use the route 'connection' for s3:// and gs:// buckets only, else 'url' or 'upload'.",
            )
        self._client, self._directory_id = client, directory_id
        self._bucket, self._connection_id = name, connection_id

    def ready(self, rows: Sequence[ObjectRow]) -> Mapping[int, Any]:
        return {}

    def send(self, row: ObjectRow, ready: Any, instances: Instances) -> Delivery:
        packet = Packet(
            self._directory_id,
            file_name=row.file_name,
            instances=instances,
            blob_path=row.object.key,
            bucket_name=self._bucket,
            connection_id=self._connection_id,
        )
        self._client.send_packet(packet)
        return Delivery(row, "sent")


def route_of(
    name: RouteName,
    client: DiffgramClient,
    store: ObjectStore,
    directory_id: int,
    *,
    lease_for: timedelta,
    connection_id: int | None = None,
) -> Route:
    """The route of a name.

    Raises:
        ConfigurationError: There is none of this name, or it cannot be used for this bucket.
    """
    if name == "url":
        return UrlRoute(client, store, directory_id, lease_for)
    if name == "upload":
        return UploadRoute(client, store, directory_id)
    if name == "connection":
        return ConnectionRoute(client, store.bucket, directory_id, connection_id)
    raise ConfigurationError(f"There is no route {name!r}.", cure="Use 'url', 'upload' or 'connection'.")
