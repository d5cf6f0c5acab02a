"""A local folder behind signed URLs: what S3 and Google do for their buckets, on the standard library alone.

A URL is ``http://host:port/<key>?expires=<unix seconds>&signature=<hex>``, where the signature is the HMAC-SHA256 of
key and expiry under a secret that never leaves the process. Without a good signature nothing can be read or even
learnt: whether a file exists is answered only to those who may fetch it. Usable alone::

    with FileServer(Path("/data/photos")) as server:
        url = server.sign("cats/1.jpg", datetime.now(UTC) + timedelta(hours=1))
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import parse_qs, quote, unquote

from diffgram_flows.errors import ConfigurationError, ObjectNotFound, StorageUnavailable
from diffgram_flows.storage.media import TYPES

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""Bytes that are read and sent at a time."""

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")  # several ranges at once may be ignored, and are


def inside(root: Path, key: str) -> Path:
    """The real path of a key below ``root`` (itself a real path); symbolic links are followed inside the root only.

    Raises:
        ObjectNotFound: The key leads out of the root, or there is no regular file.
        PermissionError: The way to it may not be walked.
    """
    try:
        path = Path(os.path.realpath(root / key, strict=True))
        if path.is_relative_to(root) and path.is_file():
            return path
    except PermissionError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the key
        raise _not_in(root, key) from error
    raise _not_in(root, key)


def open_inside(root: Path, key: str) -> BinaryIO:
    """Open the file of a key for reading.

    Raises:
        ObjectNotFound: As :func:`inside`.
        PermissionError: It may not be read.
    """
    try:
        return inside(root, key).open("rb")
    except FileNotFoundError as error:
        raise _not_in(root, key) from error


def _not_in(root: Path, key: str) -> ObjectNotFound:
    return ObjectNotFound(f"There is no file {key!r} in {root}.", cure="List the folder again.")


def version_of(stat: os.stat_result) -> str:
    """What changes when a file's content changes: ``<mtime in ns>-<size in bytes>``."""
    return f"{stat.st_mtime_ns}-{stat.st_size}"


class FileServer:
    """Serves the files below a folder to whoever holds a URL that it signed.

    Args:
        root: The folder.
        host: Address to listen on. ``0.0.0.0`` needs a ``public_url``.
        port: Port to listen on, 0 for a free one.
        public_url: Under which URL others reach it, if not under its address and port.
        secret: Key of the signatures; by default a new one, so that URLs die with this object.
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str | None = None,
        secret: bytes | None = None,
    ) -> None:
        if public_url is None and host in ("", "0.0.0.0"):  # noqa: S104 - compared, not bound
            raise ConfigurationError(
                f"The file server listens on {host!r}, which is no address that others can call.",
                cure="Give its public URL too (file_public_url).",
            )
        self.root = Path(os.path.realpath(root))
        self._address = (host, port)
        self._public_url = public_url
        self._secret = secret or secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen from now on; nothing happens if it does already.

        Raises:
            StorageUnavailable: The address or the port cannot be used.
        """
        with self._lock:
            if self._server is not None:
                return
            try:
                self._server = _Server(self._address, self)
            except OSError as error:
                host, port = self._address
                raise StorageUnavailable(
                    f"The file server cannot listen on {host}:{port}: {error.strerror or error}.",
                    cure="Choose another file_port, or 0 for a free one.",
                ) from error
            serve = partial(self._server.serve_forever, poll_interval=0.1)  # seconds that closing waits at most
            self._thread = threading.Thread(target=serve, name="file-server", daemon=True)
            self._thread.start()

    @property
    def url(self) -> str:
        """Where it can be reached, without a trailing slash. Starts it if need be."""
        self.start()
        if self._public_url is not None:
            return self._public_url.rstrip("/")
        host, port = self._server.server_address[:2] if self._server else self._address
        return f"http://{host!s}:{port}"

    def sign(self, key: str, expires_at: datetime) -> str:
        """A URL of the key that is good until ``expires_at`` (whole seconds). Starts the server if need be."""
        expires = str(int(expires_at.timestamp()))
        return f"{self.url}/{quote(key)}?expires={expires}&signature={self._signature(key, expires)}"

    def verify(self, key: str, expires: str, signature: str) -> str:
        """Why a request is refused, or nothing if it is good."""
        if not hmac.compare_digest(self._signature(key, expires).encode(), signature.encode()):
            return "The signature does not match."
        if int(expires) <= datetime.now(UTC).timestamp():
            return "The URL has expired."
        return ""

    def close(self) -> None:
        """Stop listening. Running downloads are cut off when the process ends."""
        with self._lock:
            server, thread, self._server, self._thread = self._server, self._thread, None, None
        if server is not None:
            server.shutdown()
            server.server_close()
        if thread is not None:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _signature(self, key: str, expires: str) -> str:
        return hmac.digest(self._secret, f"{expires}\n{key}".encode(errors="surrogateescape"), "sha256").hex()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], files: FileServer) -> None:
        self.files = files
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("A download by %s broke off.", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "diffgram-flows"
    sys_version = ""
    timeout = 30  # seconds that a silent client is waited for

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say what was asked for, without the query string, which is a secret."""
        log.debug("%s %s", self.command, getattr(self, "path", "").partition("?")[0])

    def _answer(self, *, with_body: bool) -> None:
        raw_key, _, query = self.path.removeprefix("/").partition("?")
        key = unquote(raw_key, errors="surrogateescape")
        fields = parse_qs(query)
        refusal = self.server.files.verify(key, fields.get("expires", [""])[0], fields.get("signature", [""])[0])
        if refusal:
            self._refuse(HTTPStatus.FORBIDDEN, refusal)
            return
        try:
            file = open_inside(self.server.files.root, key)
        except (ObjectNotFound, OSError):
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such file.")
            return
        with file:
            self._send(file, key, with_body=with_body)

    def _send(self, file: BinaryIO, key: str, *, with_body: bool) -> None:
        stat = os.fstat(file.fileno())
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        span = _span(asked, stat.st_size)
        if not span and asked:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "No such range.", total=stat.st_size)
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        self.send_header("Content-Type", TYPES.get(os.path.splitext(key)[1].lower(), "application/octet-stream"))
        self.send_header("Content-Length", str(len(span)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{version_of(stat)}"')
        self.send_header("X-Content-Type-Options", "nosniff")
        if asked:
            self.send_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{stat.st_size}")
        self.end_headers()
        if with_body:
            self._send_bytes(file, span)

    def _send_bytes(self, file: BinaryIO, span: range) -> None:
        file.seek(span.start)
        for chunk in _chunks(file, len(span)):
            self.wfile.write(chunk)
        if file.tell() != span.stop:  # it shrank: the promised length cannot be kept, so the connection must end
            self.close_connection = True

    def _refuse(self, status: HTTPStatus, reason: str, *, total: int | None = None) -> None:
        body = f"{reason}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if total is not None:
            self.send_header("Content-Range", f"bytes */{total}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _span(asked: re.Match[str] | None, size: int) -> range:
    """The bytes that a Range header asks for, possibly none; all of them where it is absent or may be ignored."""
    if asked is None:
        return range(size)
    first, last, tail = asked.groups()
    if tail is not None:
        return range(max(0, size - int(tail)), size)
    return range(int(first), min(size, int(last) + 1) if last else size)


def _chunks(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0 and (chunk := file.read(min(CHUNK, count))):
        count -= len(chunk)
        yield chunk
