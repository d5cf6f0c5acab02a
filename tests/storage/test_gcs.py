"""What is Google's own: pinned generations, identities without a key, and who pays."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from servers.gcs import GoogleServer
from servers.tls_proxy import Answer, Question, TlsProxy, running_tls_proxy

from diffgram_flows.errors import AccessDenied, ConfigurationError, SigningError, StorageUnavailable
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import MAX_SIGNED_TTL, StorageSettings, Wanted
from diffgram_flows.storage.gcs import GoogleStore
from diffgram_flows.storage.gcs_credentials import MAX_KEYLESS_TTL
from diffgram_flows.storage.sigv4 import UrlSigner

HOUR = timedelta(hours=1)
PERSON = {
    "type": "authorized_user",
    "client_id": "id",
    "client_secret": "s",
    "refresh_token": "r",
    "quota_project_id": "p",
}


@pytest.fixture
def bucket(gcs_server: GoogleServer) -> str:
    """A bucket with one object."""
    name = f"b-{uuid.uuid4().hex}"
    gcs_server.client.create_bucket(name)
    gcs_server.client.bucket(name).blob("1.jpg").upload_from_string(b"bytes")
    return name


@pytest.fixture
def settings(gcs_server: GoogleServer) -> StorageSettings:
    return StorageSettings(gcs_endpoint=gcs_server.endpoint, gcs_key_file=str(gcs_server.key_file))


@pytest.fixture
def machine(gcs_server: GoogleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProxy]:
    """A machine of Google's: the owner's account is attached, there is no key, and signBlob signs in its place."""

    def answer(question: Question) -> Answer:
        if not question.target.startswith(f"/v1/projects/-/serviceAccounts/{gcs_server.owner.email}:signBlob"):
            return Answer(404)
        signature = gcs_server.owner.sign(base64.b64decode(json.loads(question.body)["payload"]))
        return Answer(200, body=json.dumps({"signedBlob": base64.b64encode(signature).decode()}).encode())

    address = gcs_server.endpoint.removeprefix("http://")
    monkeypatch.delenv("NO_GCE_CHECK")
    monkeypatch.setenv("GCE_METADATA_IP", address)
    monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", address)
    with running_tls_proxy(tmp_path, ("iamcredentials.googleapis.com",), answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxy.certificate))
        yield proxy


def test_a_lease_is_pinned_to_the_generation(gcs_server: GoogleServer, settings: StorageSettings, bucket: str) -> None:
    with GoogleStore(bucket, settings) as store:
        obj = next(store.iter_objects())
        url = store.lease(obj, HOUR).url
    assert parse_qs(urlsplit(url).query)["generation"] == [obj.version]
    assert requests.get(url, timeout=10).content == b"bytes"
    gcs_server.client.bucket(bucket).blob("1.jpg").upload_from_string(b"other")
    assert requests.get(url, timeout=10).status_code == 404


def test_an_attached_account_signs_for_half_a_day(gcs_server: GoogleServer, machine: TlsProxy, bucket: str) -> None:
    with GoogleStore(bucket, StorageSettings(gcs_endpoint=gcs_server.endpoint)) as store:
        lease = store.lease(next(store.iter_objects()), timedelta(days=7))
        assert store.max_ttl() == MAX_KEYLESS_TTL
    assert lease.expires_at <= datetime.now(UTC) + MAX_KEYLESS_TTL
    assert requests.get(lease.url, timeout=10).content == b"bytes"


def test_an_account_that_may_not_sign_is_told_what_it_lacks(
    gcs_server: GoogleServer, machine: TlsProxy, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running_tls_proxy(tmp_path, ("iamcredentials.googleapis.com",), lambda _: Answer(403)) as refusing:
        monkeypatch.setenv("HTTPS_PROXY", refusing.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(refusing.certificate))
        with (
            GoogleStore(bucket, StorageSettings(gcs_endpoint=gcs_server.endpoint)) as store,
            pytest.raises(SigningError, match="serviceAccountTokenCreator"),
        ):
            store.lease(next(store.iter_objects()), HOUR)


def test_waits_when_google_has_no_quota_left(
    gcs_server: GoogleServer, bucket: str, machine: TlsProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("diffgram_flows.storage.gcs_remote.WAITS", (0.001,) * 3)
    statuses = iter([429, 503, 200, *[429] * 4])

    def answer(question: Question) -> Answer:
        signature = gcs_server.owner.sign(base64.b64decode(json.loads(question.body)["payload"]))
        body = json.dumps({"signedBlob": base64.b64encode(signature).decode()}).encode()
        return Answer(next(statuses), body=body)

    with running_tls_proxy(tmp_path, ("iamcredentials.googleapis.com",), answer) as busy:
        monkeypatch.setenv("HTTPS_PROXY", busy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(busy.certificate))
        with GoogleStore(bucket, StorageSettings(gcs_endpoint=gcs_server.endpoint)) as store:
            obj = next(store.iter_objects())
            assert requests.get(store.lease(obj, HOUR).url, timeout=10).content == b"bytes"
            with pytest.raises(StorageUnavailable, match="429") as caught:
                store.lease(obj, HOUR)
    assert caught.value.retryable


def test_google_signs_many_in_their_order(gcs_server: GoogleServer, machine: TlsProxy, bucket: str) -> None:
    for number in range(2, 30):
        gcs_server.client.bucket(bucket).blob(f"{number:02}.jpg").upload_from_string(b"bytes")
    with GoogleStore(bucket, StorageSettings(gcs_endpoint=gcs_server.endpoint)) as store:
        objects = list(store.iter_objects())
        leases = list(store.sign_many(objects, HOUR))
    assert [lease.uri for lease in leases] == [obj.uri for obj in objects]
    assert requests.get(leases[-1].url, timeout=10).content == b"bytes"


@pytest.mark.parametrize("agrees", [True, False], ids=["fast", "by the library"])
def test_an_hmac_key_signs(
    gcs_server: GoogleServer, settings: StorageSettings, bucket: str, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    if not agrees:
        monkeypatch.setattr(UrlSigner, "sign", lambda *_, **__: "https://x/?X-Amz-Date=20260101T000000Z")
    key, secret = gcs_server.hmac
    monkeypatch.setenv("GS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("GS_SECRET_ACCESS_KEY", secret)
    gcs_server.client.bucket(bucket).blob("ü 2+%20.png").upload_from_string(b"bytes")
    with GoogleStore(bucket, replace(settings, gcs_hmac=True, requester_pays=True)) as store:
        objects = list(store.iter_objects())
        leases = list(store.sign_many(objects, timedelta(days=7)))
        assert store.max_ttl() == MAX_SIGNED_TTL
    for obj, lease in zip(objects, leases, strict=True):
        reply = requests.get(lease.url, timeout=10)
        assert (reply.content, reply.headers["Content-Type"][:6]) == (b"bytes", "image/")
        assert parse_qs(urlsplit(lease.url).query)["generation"] == [obj.version]
        assert requests.get(lease.url.replace("generation=", "generation=9"), timeout=10).status_code == 403
    gcs_server.client.bucket(bucket).blob(objects[0].key).upload_from_string(b"other")
    assert requests.get(leases[0].url, timeout=10).status_code == 404


def test_an_hmac_key_that_is_missing_is_asked_for(settings: StorageSettings, bucket: str) -> None:
    with GoogleStore(bucket, replace(settings, gcs_hmac=True)) as store:
        with pytest.raises(ConfigurationError, match="GS_SECRET_ACCESS_KEY"):
            store.lease(next(store.iter_objects()), HOUR)
        assert "GS_SECRET_ACCESS_KEY" in store.preflight().findings[0].cure


def test_googles_archive_is_read_at_once() -> None:
    assert Wanted().skip_reason(StoredObject("gs://b", "1.jpg", 1, "1", storage_class="ARCHIVE")) is None


def test_a_person_cannot_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "login.json").write_text(json.dumps(PERSON))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "login.json"))
    token = Answer(200, body=b'{"access_token": "t", "expires_in": 3600}')
    with running_tls_proxy(tmp_path, ("oauth2.googleapis.com",), lambda _: token) as google:
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(google.certificate))
        with GoogleStore("photos") as store, pytest.raises(SigningError, match="no service account"):
            store.lease(StoredObject("gs://photos", "1.jpg", 5, "1"), HOUR)


def test_the_key_file_of_the_environment_is_found(
    gcs_server: GoogleServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcs_server.key_file))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.endpoint)
    with GoogleStore(bucket) as store:
        url = store.lease(next(store.iter_objects()), HOUR).url
    assert requests.get(url, timeout=10).content == b"bytes"


def test_the_requester_names_its_project(gcs_server: GoogleServer, bucket: str) -> None:
    settings = StorageSettings(
        gcs_endpoint=gcs_server.endpoint, gcs_key_file=str(gcs_server.key_file), requester_pays=True
    )
    with GoogleStore(bucket, settings) as store:
        url = store.lease(next(store.iter_objects()), HOUR).url
    assert parse_qs(urlsplit(url).query)["userProject"] == ["test-project"]
    assert requests.get(url, timeout=10).content == b"bytes"


def test_without_a_credential_the_cure_is_told() -> None:
    with GoogleStore("photos") as store, pytest.raises(ConfigurationError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        store.check()


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"type": "service_account"}'], ids=["absent", "empty", "{}", "part"]
)
def test_a_key_file_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    settings = StorageSettings(gcs_key_file=str(path))
    with GoogleStore("photos", settings) as store, pytest.raises(ConfigurationError, match=r"key\.json"):
        store.check()


def test_a_key_that_google_does_not_know_is_refused(gcs_server: GoogleServer, tmp_path: Path) -> None:
    key = json.loads(gcs_server.key_file.read_text())
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key | {"client_email": "stranger@test-project.iam.gserviceaccount.com"}))
    settings = StorageSettings(gcs_endpoint=gcs_server.endpoint, gcs_key_file=str(path))
    with GoogleStore("photos", settings) as store, pytest.raises(AccessDenied, match="refuses the credential"):
        store.check()


def test_nobody_there(gcs_server: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffgram_flows.storage.gcs.RETRY_SECONDS", 0.5)
    settings = StorageSettings(gcs_endpoint="http://127.0.0.1:1", gcs_key_file=str(gcs_server.key_file))
    with GoogleStore("photos", settings) as store, pytest.raises(StorageUnavailable, match="gs://photos") as caught:
        store.check()
    assert caught.value.retryable
