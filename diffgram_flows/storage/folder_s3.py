"""A folder in an S3 bucket, at Amazon or on a server that speaks its language and keeps conditional writes."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from diffgram_flows.errors import StorageUnavailable
from diffgram_flows.storage.base import READ_LIMIT, split_uri
from diffgram_flows.storage.folder_local import staged
from diffgram_flows.storage.folders import ATTEMPTS, PROBE, BaseFolder, checked, heedless, too_much, unfinished, writing
from diffgram_flows.storage.s3_client import at_aws, open_client, open_session
from diffgram_flows.storage.s3_errors import translated
from diffgram_flows.storage.s3_pages import ENTRIES
from diffgram_flows.storage.settings import StorageSettings

SETTLE_SECONDS = 0.5
"""Longer than Swift takes from looking whether a key is there to having written it."""

_PIECE = 1 << 20
_WRITER = "writer"
_RIGHTS = "s3:PutObject and s3:DeleteObject"


def open_uri(uri: str, settings: StorageSettings) -> S3Folder:
    """The folder of ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: It names no bucket.
    """
    _, bucket, prefix = split_uri(uri)
    return S3Folder(_Connection(bucket, settings), prefix)


class _Connection:
    """One client for a bucket, made when it is first needed; and whether the bucket keeps conditional writes."""

    def __init__(self, bucket: str, settings: StorageSettings) -> None:
        self.bucket = bucket
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: Any = None
        self.kept = False

    @property
    def client(self) -> Any:
        with self._lock, translated(f"s3://{self.bucket}"):
            if self._opened is None:
                self._opened = open_client(open_session(self._settings), self.bucket, self._settings)
            return self._opened

    @property
    def payer(self) -> dict[str, str]:
        return {"RequestPayer": "requester"} if self._settings.requester_pays else {}

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None


class S3Folder(BaseFolder):
    """A prefix of a bucket that is ours. Conditional writes are tried out once, unless the bucket is at Amazon."""

    def __init__(self, connection: _Connection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        super().__init__(f"s3://{connection.bucket}/{self._prefix}")

    def list(self, prefix: str = "") -> Iterator[str]:
        place: dict[str, str] = {}
        begin = self._prefix + prefix
        with translated(self.uri):
            while True:
                page = self._call("list_objects_v2", Prefix=begin, EncodingType="url", **place)
                names = [entry[0].removeprefix(self._prefix) for entry in page[ENTRIES]]
                yield from (name for name in names if not unfinished(name))
                if not page["IsTruncated"] or not names:
                    return
                token = page.get("NextContinuationToken")  # some servers forget it
                place = {"ContinuationToken": token} if token else {"StartAfter": self._prefix + names[-1]}

    def read(self, name: str, *, limit: int = READ_LIMIT) -> bytes:
        pieces: list[bytes] = []

        def restart() -> None:
            pieces.clear()

        self._fetch(name, restart, pieces.append, limit)
        return b"".join(pieces)

    def download(self, name: str, path: Path) -> None:
        with staged(path) as part:
            with part.open("wb") as file:

                def restart() -> None:
                    file.seek(0)
                    file.truncate()

                self._fetch(name, restart, file.write, None)
            part.replace(path)

    def put(self, name: str, content: bytes | Path) -> None:
        with translated(self._uri(name)), writing(_RIGHTS), _body(content) as body:
            self._call("put_object", Key=self._key(name), Body=body)

    def put_new(self, name: str, content: bytes | Path) -> bool:
        key, connection = self._key(name), self._connection
        with writing(_RIGHTS):
            if not connection.kept:
                # An old probe is refused at once; a new one tells at the second try.
                probe = self._prefix + PROBE
                if not at_aws(connection.client) and self._create(probe, b"") and self._create(probe, b""):
                    raise heedless(self.uri)
                connection.kept = True
            return self._create(key, content)

    def delete(self, name: str) -> None:
        with translated(self._uri(name)), writing(_RIGHTS):
            self._call("delete_object", Key=self._key(name))

    def child(self, name: str) -> S3Folder:
        return S3Folder(self._connection, self._prefix + checked(name))

    def close(self) -> None:
        self._connection.close()

    def _create(self, key: str, content: bytes | Path) -> bool:
        """Write a key that is not there. A lost reply is repeated by botocore, so who wrote it is asked afterwards."""
        from botocore.exceptions import ClientError

        writer, uri = uuid.uuid4().hex, f"s3://{self._connection.bucket}/{key}"
        for _ in range(ATTEMPTS):
            with translated(uri), _body(content) as body:
                try:
                    reply = self._call("put_object", Key=key, Body=body, IfNoneMatch="*", Metadata={_WRITER: writer})
                    if not _settles_later(reply):
                        return True
                    time.sleep(SETTLE_SECONDS)
                    return self._is_by(writer, key)
                except ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    if status == 412:
                        return self._is_by(writer, key)
                    if status != 409:  # somebody else writes it at this moment, and may yet fail
                        raise
        raise StorageUnavailable(f"Others keep writing {uri} at the same time.", cure="Try again later.")

    def _is_by(self, writer: str, key: str) -> bool:
        return bool(self._call("head_object", Key=key)["Metadata"].get(_WRITER) == writer)

    def _fetch(self, name: str, restart: Any, take: Any, limit: int | None) -> None:
        """Give the content to ``take``, piece by piece; from the beginning again if the connection breaks."""
        from botocore.exceptions import BotoCoreError, HTTPClientError, IncompleteReadError

        error: BotoCoreError | None = None
        for _ in range(ATTEMPTS):
            restart()
            with translated(self._uri(name)):
                reply = self._call("get_object", Key=self._key(name))
                if limit is not None and reply["ContentLength"] > limit:
                    reply["Body"].close()
                    raise too_much(self._uri(name), limit)
                try:
                    _drain(reply, take)
                    return
                except (HTTPClientError, IncompleteReadError) as broken:
                    error = broken
        with translated(self._uri(name)):
            raise error if error is not None else RuntimeError("no attempt was made")

    def _call(self, operation: str, **arguments: Any) -> Any:
        client = self._connection.client
        return getattr(client, operation)(Bucket=self._connection.bucket, **self._connection.payer, **arguments)

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)

    def _uri(self, name: str) -> str:
        return f"{self.uri}/{name}"


def _settles_later(reply: Any) -> bool:
    """Whether the store is OpenStack Swift, which looks whether a key is there, and only then takes the content.

    Writers that meet in between are all told that they were first, and the last one's content stays (measured: 8 of
    8). Whoever has looked has written within :data:`SETTLE_SECONDS`, so what is there afterwards is there for good.
    """
    return "x-openstack-request-id" in reply["ResponseMetadata"]["HTTPHeaders"]


def _drain(reply: Any, take: Any) -> None:
    from botocore.exceptions import IncompleteReadError

    size = 0
    with closing(reply["Body"]) as body:
        while piece := body.read(_PIECE):
            size += len(piece)
            take(piece)
    if size < reply["ContentLength"]:  # botocore notices this only where everything is read at once
        raise IncompleteReadError(actual_bytes=size, expected_bytes=reply["ContentLength"])


@contextmanager
def _body(content: bytes | Path) -> Iterator[Any]:
    with ExitStack() as stack:
        yield stack.enter_context(content.open("rb")) if isinstance(content, Path) else content
