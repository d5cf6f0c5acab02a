"""What is Azure's own: tiers, delegation keys, and identities. An impostor plays what azurite does not know."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from servers.azure import AzureServer
from servers.tls_proxy import Answer, Question, TlsProxy, running_tls_proxy

from diffgram_flows.errors import AccessDenied, ConfigurationError, StorageUnavailable
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import MAX_SIGNED_TTL, StorageSettings, open_store
from diffgram_flows.storage.azure import AzureStore

HOSTS = ("login.microsoftonline.com", "photos.blob.core.windows.net")
DELEGATION = """<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>oid</SignedOid>
<SignedTid>tid</SignedTid><SignedStart>2026-01-01T00:00:00Z</SignedStart><SignedExpiry>{}</SignedExpiry>
<SignedService>b</SignedService><SignedVersion>2020-02-10</SignedVersion><Value>c2VjcmV0</Value></UserDelegationKey>"""
IMAGE = StoredObject("az://photos/images", "1.jpg", 5, "0x8D")


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProxy]:
    """An Azure that knows a service principal and hands out delegation keys, but to nobody else."""

    def answer(question: Question) -> Answer:
        if question.host == HOSTS[0]:
            return Answer(200, {"Content-Type": "application/json"}, json.dumps(login(question.target)).encode())
        if "comp=userdelegationkey" in question.target and question.headers["Authorization"] == "Bearer token":
            end = datetime.now(UTC) + MAX_SIGNED_TTL
            return Answer(
                200, {"Content-Type": "application/xml"}, DELEGATION.format(f"{end:%Y-%m-%dT%H:%M:%SZ}").encode()
            )
        return Answer(403, {"x-ms-error-code": "AuthorizationPermissionMismatch"})

    with running_tls_proxy(tmp_path, HOSTS, answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxy.certificate))
        yield proxy


def login(target: str) -> dict[str, object]:
    """What Microsoft's login answers."""
    base = f"https://{HOSTS[0]}/tenant"
    if target.endswith("/token"):
        return {"token_type": "Bearer", "expires_in": 3600, "access_token": "token"}
    return {
        "tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration",
        "issuer": f"{base}/v2.0",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "metadata": [],
    }


@pytest.fixture
def principal(azure: TlsProxy, monkeypatch: pytest.MonkeyPatch) -> TlsProxy:
    """The environment of a service principal."""
    for name, value in {"TENANT_ID": "tenant", "CLIENT_ID": "client", "CLIENT_SECRET": "principal-secret"}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    return azure


def test_an_identity_signs_with_a_delegation_key_that_is_asked_for_once(principal: TlsProxy) -> None:
    with AzureStore("photos", "images") as store:
        leases = list(store.sign_many([IMAGE] * 3, timedelta(days=30)))
        assert timedelta(days=6, hours=23) < store.max_ttl() < MAX_SIGNED_TTL
    assert sum("userdelegationkey" in question.target for question in principal.asked) == 1
    parts = urlsplit(leases[0].url)
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://photos.blob.core.windows.net/images/1.jpg"
    assert (query["skoid"], query["sp"], query["rsct"]) == (["oid"], ["r"], ["image/jpeg"])
    assert query["se"] == [f"{leases[0].expires_at:%Y-%m-%dT%H:%M:%SZ}"]
    assert leases[0].expires_at < datetime.now(UTC) + MAX_SIGNED_TTL


def test_an_identity_that_may_not_list_is_told_its_role(principal: TlsProxy) -> None:
    with (
        AzureStore("photos", "images") as store,
        pytest.raises(AccessDenied, match="Storage Blob Data Reader") as caught,
    ):
        store.check()
    assert "principal-secret" not in repr(caught.value)


def test_a_connection_string_has_the_key(azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", f"AccountName=a;AccountKey={azure_server.key};EndpointSuffix=x"
    )
    name = f"b-{uuid.uuid4().hex}"
    azure_server.client.create_container(name)
    store, prefix = open_store(
        f"az://{azure_server.account}/{name}/2026/", StorageSettings(azure_endpoint=azure_server.endpoint)
    )
    with store:
        store.check()
    assert (store.bucket, prefix) == (f"az://{azure_server.account}/{name}", "2026/")
    assert azure_server.key not in repr(store)


def test_what_lies_in_the_archive_is_left_out(azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", azure_server.key)
    container = azure_server.client.create_container(f"b-{uuid.uuid4().hex}")
    for key in ("1.jpg", "2.jpg"):
        container.upload_blob(key, b"bytes")
    container.get_blob_client("1.jpg").set_standard_blob_tier("Archive")
    told: list[str] = []
    settings = StorageSettings(azure_endpoint=azure_server.endpoint)
    with AzureStore(azure_server.account, container.container_name, settings) as store:
        objects = store.iter_objects(on_skip=lambda obj, reason: told.append(f"{obj.key}: {reason.value}"))
        assert [obj.key for obj in objects] == ["2.jpg"]
    assert told == ["1.jpg: in an archive storage class"]


@pytest.mark.parametrize("uri", ["az://account", "az://account/"])
def test_a_uri_without_a_container_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="az://account/container/prefix"):
        open_store(uri)


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffgram_flows.storage.azure.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"diffgram-flows\[azure\]"):
        open_store("az://account/images")


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", "QUFB")
    monkeypatch.setattr("diffgram_flows.storage.azure.ATTEMPTS", 1)
    settings = StorageSettings(azure_endpoint="http://127.0.0.1:1/photos")
    with AzureStore("photos", "images", settings) as store, pytest.raises(StorageUnavailable) as caught:
        store.check()
    assert caught.value.retryable
