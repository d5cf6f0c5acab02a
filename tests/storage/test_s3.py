"""What is S3's own: regions, addresses, who pays, and credentials that die. The server is Swift, or AWS's impostor."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests
from servers.s3 import S3Server
from servers.tls_proxy import Answer, Question, TlsProxy, running_tls_proxy

from diffgram_flows.errors import AccessDenied, ConfigurationError, SigningError, StorageUnavailable
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import MAX_SIGNED_TTL, StorageSettings
from diffgram_flows.storage.s3 import S3Store

HOUR = timedelta(hours=1)
HOSTS = (
    "s3.us-east-1.amazonaws.com",
    "s3.eu-central-1.amazonaws.com",
    "photos.s3.eu-central-1.amazonaws.com",
)
EMPTY_LIST = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Name>photos</Name><KeyCount>0</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"""


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with one object; the owner's keys are in the environment."""
    log_in(monkeypatch, *s3_server.owner)
    name = f"b-{uuid.uuid4().hex}"
    s3_server.client.create_bucket(Bucket=name)
    s3_server.client.put_object(Bucket=name, Key="1.jpg", Body=b"bytes")
    return name


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProxy]:
    """An AWS whose buckets all live in eu-central-1, but for ``refused``, whose region is told with a refusal."""

    def answer(question: Question) -> Answer:
        here = "eu-central-1" in question.host
        if question.method == "HEAD":
            status = 403 if "refused" in question.target else 200 if here else 301
            return Answer(status, {"x-amz-bucket-region": "eu-central-1"})
        return Answer(200 if here else 400, {"Content-Type": "application/xml"}, EMPTY_LIST)

    with running_tls_proxy(tmp_path, HOSTS, answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(proxy.certificate))
        log_in(monkeypatch, "AKIDEXAMPLE", "secret-key")
        yield proxy


def log_in(monkeypatch: pytest.MonkeyPatch, key: str, secret: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def an_object(name: str) -> StoredObject:
    return StoredObject(f"s3://{name}", "1.jpg", 5, "etag")


@pytest.mark.parametrize("region", [None, "us-east-1", "eu-test-1"])
def test_signs_for_the_buckets_own_region_whatever_is_configured(
    s3_server: S3Server, bucket: str, region: str | None
) -> None:
    with S3Store(bucket, StorageSettings(s3_endpoint=s3_server.endpoint, s3_region=region)) as store:
        url = store.lease(next(store.iter_objects()), HOUR).url
    assert "/eu-test-1/s3/" in unquote(url)
    assert requests.get(url, timeout=10).content == b"bytes"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("photos", "https://photos.s3.eu-central-1.amazonaws.com/1.jpg"),
        ("refused", "https://refused.s3.eu-central-1.amazonaws.com/1.jpg"),
        ("my.photos", "https://s3.eu-central-1.amazonaws.com/my.photos/1.jpg"),
    ],
    ids=["plain", "region told with a 403", "dots"],
)
def test_addresses_aws_by_bucket_and_region(aws: TlsProxy, name: str, address: str) -> None:
    with S3Store(name) as store:
        url = store.lease(an_object(name), HOUR).url
    assert url.partition("?")[0] == address
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "/eu-central-1/s3/aws4_request" in unquote(url)


def test_asks_aws_for_the_region_once(aws: TlsProxy) -> None:
    with S3Store("photos") as store:
        store.check()
        store.lease(an_object("photos"), HOUR)
        store.check()
    asked = [(question.method, question.host) for question in aws.asked]
    own = ("GET", "photos.s3.eu-central-1.amazonaws.com")
    assert [pair for pair in asked if pair[0] == "GET"] == [own, own]
    assert asked.count(("HEAD", "s3.us-east-1.amazonaws.com")) == 1


@pytest.mark.parametrize(("style", "host"), [(True, "s3.eu-central-1"), (False, "photos.s3.eu-central-1")])
def test_the_addressing_style_can_be_set(aws: TlsProxy, style: bool, host: str) -> None:
    with S3Store("photos", StorageSettings(s3_path_style=style, s3_region="eu-central-1")) as store:
        assert urlsplit(store.lease(an_object("photos"), HOUR).url).hostname == f"{host}.amazonaws.com"


def test_the_requester_pays_by_the_query_so_that_a_plain_get_does(s3_server: S3Server, bucket: str) -> None:
    with S3Store(bucket, StorageSettings(s3_endpoint=s3_server.endpoint, requester_pays=True)) as store:
        obj = next(store.iter_objects())
        assert store.read(obj) == b"bytes"
        url = store.lease(obj, HOUR).url
    assert "SignedHeaders=host&" in f"{url}&"
    assert requests.get(url, timeout=10).content == b"bytes"
    without = url.replace("x-amz-request-payer=requester&", "").replace("&x-amz-request-payer=requester", "")
    assert without != url
    assert requests.get(without, timeout=10).status_code == 403


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        (timedelta(hours=2), timedelta(hours=1, minutes=55)),
        (timedelta(days=10), MAX_SIGNED_TTL),
        (None, timedelta(hours=1)),
    ],
    ids=["two hours", "ten days", "unknown"],
)
def test_a_lease_ends_before_its_credential(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, lives: timedelta | None, expected: timedelta
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    if lives:
        monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (datetime.now(UTC) + lives).isoformat())
    with S3Store(bucket, StorageSettings(s3_endpoint=s3_server.endpoint)) as store:
        left = store.lease(an_object(bucket), timedelta(days=30)).expires_at - datetime.now(UTC)
        assert expected - timedelta(seconds=10) < left <= expected
        assert store.max_ttl() <= expected


@pytest.mark.parametrize(
    ("lives", "error"),
    [(timedelta(minutes=9), SigningError), (timedelta(minutes=-1), AccessDenied)],
    ids=["dying", "dead"],
)
def test_a_credential_that_is_about_to_die_does_not_sign(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, lives: timedelta, error: type[Exception]
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (datetime.now(UTC) + lives).isoformat())
    with (
        S3Store(bucket, StorageSettings(s3_endpoint=s3_server.endpoint)) as store,
        pytest.raises(error, match="credential"),
    ):
        store.lease(an_object(bucket), HOUR)


def test_without_a_credential_the_cure_is_told(s3_server: S3Server) -> None:
    with (
        S3Store("photos", StorageSettings(s3_endpoint=s3_server.endpoint)) as store,
        pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"),
    ):
        store.lease(an_object("photos"), HOUR)


def test_half_a_credential_is_none(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    with S3Store("photos") as store, pytest.raises(ConfigurationError, match="no AWS credential"):
        store.check()


def test_a_profile_that_does_not_exist_is_named() -> None:
    with (
        S3Store("photos", StorageSettings(s3_profile="absent")) as store,
        pytest.raises(ConfigurationError, match="profile"),
    ):
        store.check()


def test_a_wrong_secret_is_refused_and_told_to_nobody(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, s3_server.owner[0], "wrong-secret")
    with S3Store(bucket, StorageSettings(s3_endpoint=s3_server.endpoint)) as store:
        with pytest.raises(AccessDenied, match="secret key is wrong") as caught:
            store.check()
        assert "wrong-secret" not in f"{caught.value!r} {store!r}"


def test_a_name_that_no_bucket_can_have(s3_server: S3Server, bucket: str) -> None:
    with (
        S3Store("no such/name!", StorageSettings(s3_endpoint=s3_server.endpoint)) as store,
        pytest.raises(ConfigurationError, match="name"),
    ):
        store.check()


def test_an_endpoint_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch, "key", "secret")
    with (
        S3Store("photos", StorageSettings(s3_endpoint="localhost:9000")) as store,
        pytest.raises(ConfigurationError, match="https://host:port"),
    ):
        store.check()


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch, "key", "secret")
    monkeypatch.setattr("diffgram_flows.storage.s3_client.ATTEMPTS", 1)
    settings = StorageSettings(s3_endpoint="http://127.0.0.1:1")
    with (
        S3Store("photos", settings) as store,
        pytest.raises(StorageUnavailable, match=re.escape("127.0.0.1:1")) as caught,
    ):
        store.check()
    assert caught.value.retryable
