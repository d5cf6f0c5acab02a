"""A proxy that answers HTTPS itself, in the name of hosts that a test must not really call (AWS, Google).

Set ``HTTPS_PROXY`` to its URL and trust its certificate (``AWS_CA_BUNDLE``, ``REQUESTS_CA_BUNDLE``); then a library
talks to it exactly as it talks to the cloud, TLS and all.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Question:
    """What was asked of whom; ``target`` is the path with the query."""

    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class TlsProxy:
    """Its URL, its certificate, and everything that it was asked so far."""

    url: str
    certificate: Path
    asked: list[Question]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, answer: Callable[[Question], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.answer = answer
        self.asked: list[Question] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10
    host = ""

    def do_CONNECT(self) -> None:
        """Pretend to be the host, from now on and on this connection."""
        self.host = self.path.partition(":")[0]
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        question = Question(self.host, self.command, self.path, dict(self.headers.items()), body)
        self.server.asked.append(question)
        answer = self.server.answer(question)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def write_certificate(folder: Path, hosts: tuple[str, ...]) -> tuple[Path, Path]:
    """A throw-away certificate for the hosts, its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    usage = dict.fromkeys(("key_encipherment", "content_commitment", "data_encipherment", "key_agreement"), False)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=12))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
        .sign(key, SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@contextmanager
def running_tls_proxy(folder: Path, hosts: tuple[str, ...], answer: Callable[[Question], Answer]) -> Iterator[TlsProxy]:
    """Answer for the hosts until the end of the block."""
    certificate, key = write_certificate(folder, hosts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _Server(context, answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="tls-proxy", daemon=True)
        thread.start()
        try:
            yield TlsProxy(f"http://127.0.0.1:{server.server_address[1]}", certificate, server.asked)
        finally:
            server.shutdown()
            thread.join()
