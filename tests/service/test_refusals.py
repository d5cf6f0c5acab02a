"""What the service refuses."""

from __future__ import annotations

import io
import logging
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from project.conftest import adopt
from servers.brain_service import serving, wait_for
from servers.scripted import Answer, ScriptedServer
from service.conftest import Client, image_of, registry_of

from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.errors import AccessDenied, StorageError, StorageUnavailable
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings
from diffgram_flows.service.addresses import is_public
from diffgram_flows.service.refusals import Refusal

FROM_URL = "/api/walrus/v1/project/{project}/inference/from_url"
FROM_LOCAL = "/api/walrus/v1/project/{project}/inference/from_local"


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        pytest.param(None, 401, id="none"),
        pytest.param(("{id}", "wrong"), 403, id="secret"),
        pytest.param(("nobody", "{secret}"), 403, id="id"),
        pytest.param(("{id}", ""), 403, id="no secret"),
    ],
)
def test_wrong_credentials(
    client: Client, sandbox: SandboxProcess, picture: bytes, auth: tuple[str, str] | None, status: int
) -> None:
    keys = {"id": sandbox.client_id, "secret": sandbox.client_secret}
    given = auth and (auth[0].format(**keys), auth[1].format(**keys))
    for path in ("predict", "train"):
        reply = requests.post(f"{client.url}/v1/brains/detector/{path}", data=picture, auth=given, timeout=30)
        assert reply.status_code == status
        assert sandbox.client_secret not in reply.text
    official = client.url + FROM_URL.format(project=sandbox.project)
    reply = requests.post(official, json={"url": "http://x"}, auth=given, timeout=30)
    assert reply.status_code == status
    assert reply.json()["error"].startswith("403 Forbidden: ")


def test_another_project_and_a_wrong_token(client: Client, picture: bytes) -> None:
    reply = client.post(FROM_LOCAL.format(project="other"), files={"file": picture})
    assert (reply.status_code, reply.json()) == (403, {"error": "403 Forbidden: Can't find project"})
    for token, status in (("a token for tests", 200), ("a token for test", 403)):
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{client.url}/v1/brains/detector/predict"
        assert requests.post(url, data=picture, headers=headers, timeout=30).status_code == status


def test_a_diffgram_that_is_away_is_told(
    registry: Registry, open_settings: Callable[..., ServiceSettings], picture: bytes
) -> None:
    with serving(
        registry, open_settings(diffgram_url="http://127.0.0.1:9", client_id="own", client_secret="key")
    ) as url:
        assert Client(url, ("own", "key")).predict(picture).status_code == 200  # known without asking
        reply = Client(url, ("other", "key")).predict(picture)
    assert (reply.status_code, reply.json()["error"]["kind"]) == (503, "ServerUnreachable")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"),
        *("nonsense", "0.0.0.0"),  # noqa: S104
    ],
)
def test_addresses_of_the_own_network(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("http://127.0.0.1/x.png", "not public", id="loopback"),
        pytest.param("http://localhost/x.png", "not public", id="name"),
        pytest.param("http://2130706433/x.png", "not public", id="decimal"),
        pytest.param("http://0177.0.0.1/x.png", "not public", id="octal"),
        pytest.param("http://0x7f.1/x.png", "not public", id="hexadecimal"),
        pytest.param("http://0/x.png", "not public", id="zero"),
        pytest.param("http://[::1]/x.png", "not public", id="IPv6"),
        pytest.param("http://[::ffff:127.0.0.1]/x.png", "not public", id="mapped"),
        pytest.param("http://169.254.169.254/latest/meta-data", "not public", id="metadata"),
        pytest.param("http://93.184.216.34:22/x.png", "port 22", id="port"),
        pytest.param("file:///etc/passwd", "no URL of http", id="file"),
        pytest.param("gopher://127.0.0.1/", "no URL of http", id="gopher"),
        pytest.param("http://user:pass@93.184.216.34/x.png", "name or a password", id="credential"),
        pytest.param("http://[::1/x.png", "malformed", id="malformed"),
        pytest.param("http://nowhere.invalid/x.png?token=secret", "not known", id="unknown"),
    ],
)
def test_urls_that_are_not_fetched(client: Client, sandbox: SandboxProcess, url: str, said: str) -> None:
    reply = client.post("/v1/brains/detector/predict", json={"url": url})
    assert reply.status_code == 422
    assert said in reply.json()["error"]["what"]
    assert "secret" not in reply.text
    assert "pass@" not in reply.text
    official = client.post(FROM_URL.format(project=sandbox.project), json={"url": url, "ai_name": "detector"})
    assert official.status_code == 400
    assert said in official.json()["log"]["error"]["ImageRejected"]


@pytest.fixture
def store() -> Iterator[ScriptedServer]:
    with closing(ScriptedServer()) as running:
        yield running


@dataclass
class Elsewhere:
    """A server at 127.0.0.2, which plays the internet: there is none in tests."""

    port: int
    asked: list[tuple[str, str | None]]


@pytest.fixture
def elsewhere(picture: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    from diffgram_flows.service import addresses, fetching

    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Host"]))
            target = {"/in": f"http://127.0.0.1:{port}/secret", "/round": "/round"}.get(self.path)
            self.send_response(302 if target else 200)
            if target:
                self.send_header("Location", target)
            self.end_headers()
            self.wfile.write(b"" if target else picture)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.2", 0), Handler)
    port = server.server_address[1]
    real = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.2" or real(address))
    monkeypatch.setitem(fetching._PORTS, "http", port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Elsewhere(port, asked)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_redirect_into_the_own_network(client: Client, elsewhere: Elsewhere) -> None:
    def ask(path: str) -> requests.Response:
        return client.post("/v1/brains/detector/predict", json={"url": f"http://127.0.0.2:{elsewhere.port}{path}"})

    good = ask("/a.png")
    assert good.status_code == 200, good.text
    reply = ask("/in")
    assert reply.status_code == 422
    assert "127.0.0.1 of the image has an address that is not public" in reply.json()["error"]["what"]
    assert [path for path, _ in elsewhere.asked] == ["/a.png", "/in"]  # nobody has asked for the secret
    assert "redirects more than 3 times" in ask("/round").text


def test_a_name_that_means_another_address_the_second_time(
    client: Client, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the address that was looked at is the one that is connected to."""
    real, looked_up = socket.getaddrinfo, []

    def changing(host: Any, *more: Any, **options: Any) -> Any:
        if host != "rebind.test":
            return real(host, *more, **options)
        looked_up.append(host)
        address = "127.0.0.2" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, elsewhere.port))]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    ask = {"url": f"http://rebind.test:{elsewhere.port}/a.png"}
    assert client.post("/v1/brains/detector/predict", json=ask).status_code == 200
    assert elsewhere.asked == [("/a.png", f"rebind.test:{elsewhere.port}")]
    assert len(looked_up) == 1
    assert "not public" in client.post("/v1/brains/detector/predict", json=ask).text


@pytest.fixture
def open_client(
    registry: Registry, open_settings: Callable[..., ServiceSettings], sandbox: SandboxProcess
) -> Iterator[Client]:
    """A service that may fetch from its own network."""
    with serving(registry, open_settings(allow_private=True, fetch_timeout=0.7)) as url:
        yield Client(url, (sandbox.client_id, sandbox.client_secret))


def test_what_is_fetched_is_bounded(open_client: Client, store: ScriptedServer, picture: bytes) -> None:
    ask = {"json": {"url": f"{store.url}/a.png?X-Amz-Signature=secret"}}
    wanted = [
        (Answer(content=picture), ""),
        (Answer(content=picture + bytes(2**20)), "more than 1,048,576 bytes"),
        (Answer(content=b"a text"), "is not an image"),
        (Answer(status=404), "answers 404"),
        (Answer(content=picture[:40], drip=0.1), "was not there after 0.7 s"),
        (Answer(reset=True), "cannot be fetched"),
    ]
    store.script[:] = [answer for answer, _ in wanted]
    for _, said in wanted:
        reply = open_client.post("/v1/brains/detector/predict", **ask)
        assert reply.status_code == (422 if said else 200), reply.text
        assert said in reply.text
        assert "secret" not in reply.text


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims, and has, many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_files_that_are_no_use(client: Client, sandbox: SandboxProcess, picture: bytes) -> None:
    tiff = io.BytesIO()
    Image.new("RGB", (8, 8)).save(tiff, "TIFF")
    small_bomb = bomb(12_000, 12_000)
    assert len(small_bomb) < 2**20
    for content, said in (
        (b"not an image at all", "is not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not an image"),
        (tiff.getvalue(), "is not an image"),
        (small_bomb, "12000 x 12000 pixels"),
        (picture[:2_000], "is damaged"),
    ):
        reply = client.predict(content)
        assert reply.status_code == 422, reply.text
        assert said in reply.json()["error"]["what"]
        official = client.post(FROM_LOCAL.format(project=sandbox.project), files={"file": content})
        assert official.status_code == 400
        assert said in official.json()["log"]["error"]["ImageRejected"]
    assert client.predict(b"").status_code == 400
    deep = b"[" * 60_000
    assert client.post(f"/api/walrus/v1/project/{sandbox.project}/brain/status", data=deep).status_code == 400
    for body in (b"{", b"[]", b"{}", deep, b'{"url": 3}', b'{"url": "http://x", "file_id": 3}', b'{"other": 1}'):
        assert client.predict(body, headers={"Content-Type": "application/json"}).status_code == 400
    assert client.post("/v1/brains/detector/predict", files={"other": (None, "text")}).status_code == 400
    assert client.predict(image_of(40, 30)).status_code == 200


def test_an_upload_of_200_mb(client: Client, sandbox: SandboxProcess) -> None:
    """Told beforehand, and told as it comes; nothing of it stays in memory."""
    size = 200 * 2**20

    def pieces() -> Iterator[bytes]:
        piece = bytes(2**20)
        for _ in range(size // len(piece)):
            yield piece

    before = peak_memory()
    for content in (bytes(size), pieces()):
        reply = client.predict(content)
        assert reply.status_code == 413
        assert reply.json()["error"]["kind"] == "TooLarge"
    official = client.post(FROM_LOCAL.format(project=sandbox.project), data=bytes(2**21))
    assert official.status_code == 400
    assert "TooLarge" in official.json()["log"]["error"]
    assert peak_memory() - before < size + 60 * 2**20  # this process holds the first one itself


def peak_memory() -> int:
    rows = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    return int(rows["VmHWM"].split()[0]) * 1024


def test_a_tampered_model_is_refused_and_the_old_one_stays(
    learned: BrainRecord,
    open_settings: Callable[..., ServiceSettings],
    sandbox: SandboxProcess,
    picture: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = registry_of(learned, tmp_path / "brains")
    with serving(registry, open_settings()) as url, caplog.at_level(logging.ERROR):
        client = Client(url, (sandbox.client_id, sandbox.client_secret))
        second = adopt(registry, learned, "detector")
        program = second.folder / "saved_model" / "saved_model.pb"
        program.write_bytes(program.read_bytes() + b"\x00")
        registry.promote(second.ref)
        wait_for(url, problem="saved_model/saved_model.pb of the brain detector@2 was changed")
        assert client.predict(picture).json()["brain"] == "detector@1"
        assert client.get("/v1/brains").json()[0] | {"problem": ""} == {
            "name": "detector",
            "champion": "detector@2",
            "serving": "detector@1",
            "problem": "",
        }
        assert client.predict(picture, brain="detector@2").status_code == 503
        assert "saved_model.pb of the brain detector@2" in caplog.text
        registry.rollback("detector")
        wait_for(url, serving="detector@1")
        registry.promote(adopt(registry, learned, "detector").ref)
        wait_for(url, serving="detector@3")


def test_without_a_champion_the_reason_is_told(
    learned: BrainRecord,
    open_settings: Callable[..., ServiceSettings],
    sandbox: SandboxProcess,
    picture: bytes,
    tmp_path: Path,
) -> None:
    registry = Registry(tmp_path / "brains")
    first = adopt(registry, learned, "detector")
    with serving(registry, open_settings(), ready=False) as url:
        client = Client(url, (sandbox.client_id, sandbox.client_secret))
        reply = client.predict(picture)
        assert reply.status_code == 503
        assert "No version of the brain 'detector' was promoted yet" in reply.json()["error"]["what"]
        assert requests.get(f"{url}/readyz", timeout=10).status_code == 503
        assert client.predict(picture, brain="detector@1").status_code == 200
        registry.promote(first.ref)
        wait_for(url, serving="detector@1")
        assert client.predict(picture).status_code == 200


@pytest.mark.parametrize("kind", [StorageUnavailable, AccessDenied])
def test_a_bucket_with_brains_that_is_away_is_no_bug(kind: type[StorageError]) -> None:
    refusal = Refusal.of(kind("The bucket brains does not answer.", cure="Try again later."))
    status, body = refusal.body("/v1/brains")
    assert (status, body["error"]["kind"]) == (503, kind.__name__)
    assert refusal.headers == {"Retry-After": "1"}
