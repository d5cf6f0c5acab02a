"""What is S3's own: regions, addresses, who pays, and credentials that die. The server is Swift, or AWS's impostor."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
import pytest
import requests
from botocore.config import Config
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from servers.s3 import S3Server
from servers.tls_proxy import Answer, Question, TlsProxy, running_tls_proxy

from diffgram_flows.errors import (
    AccessDenied,
    ConfigurationError,
    ObjectNotFound,
    SigningError,
    StorageError,
    StorageUnavailable,
)
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import MAX_SIGNED_TTL, StorageSettings
from diffgram_flows.storage.s3 import S3Store
from diffgram_flows.storage.sigv4 import UrlSigner

HOUR = timedelta(hours=1)
HOSTS = (
    "s3.us-east-1.amazonaws.com",
    "s3.eu-central-1.amazonaws.com",
    "photos.s3.eu-central-1.amazonaws.com",
)
STS = "sts.eu-central-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/photos"
EMPTY_LIST = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Name>photos</Name><EncodingType>url</EncodingType><KeyCount>0</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"""
ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag>"
    "<Size>5</Size><StorageClass>{}</StorageClass>{}</Contents>"
)
RESTORED = (
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>{}-12-31T00:00:00.000Z"
    "</RestoreExpiryDate></RestoreStatus>"
)
ARCHIVE = EMPTY_LIST.replace(
    b"</ListBucketResult>",
    "".join(
        ENTRY.format(*entry)
        for entry in (
            ("cold.jpg", "GLACIER_IR", ""),
            ("deep.jpg", "DEEP_ARCHIVE", ""),
            ("frozen.jpg", "GLACIER", "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"),
            ("restored.jpg", "GLACIER", RESTORED.format(2999)),
            ("warm+%2B.jpg", "STANDARD", ""),
            ("was-restored.jpg", "GLACIER", RESTORED.format(2020)),
        )
    ).encode()
    + b"</ListBucketResult>",
)
SSE_C = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided."
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>{}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


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


@pytest.fixture
def role(s3_server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProxy]:
    """An STS that hands out the owner's keys, first for 20 minutes and then for an hour each, to the external id 77."""
    lives = iter([20, 60, 60])

    def answer(question: Question) -> Answer:
        asked = dict(parse_qsl(question.body.decode()))
        if (question.host, asked["RoleArn"], asked.get("ExternalId")) != (STS, ROLE, "77"):
            return Answer(403, body=b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
        end = datetime.now(UTC) + timedelta(minutes=next(lives))
        return Answer(200, body=ASSUMED.format(*s3_server.owner, f"{end:%Y-%m-%dT%H:%M:%SZ}").encode())

    with running_tls_proxy(tmp_path, (STS,), answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(proxy.certificate))
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        log_in(monkeypatch, "AKIDEXAMPLE", "secret-key")
        yield proxy


def test_a_role_is_assumed_again_before_its_credential_is_too_short_to_sign(
    s3_server: S3Server, bucket: str, role: TlsProxy
) -> None:
    settings = StorageSettings(s3_endpoint=s3_server.endpoint, s3_role_arn=ROLE, s3_external_id="77")
    with S3Store(bucket, settings) as store:
        obj = next(store.iter_objects())
        lease = store.lease(obj, timedelta(hours=6))
        assert timedelta(minutes=54) < lease.expires_at - datetime.now(UTC) <= timedelta(minutes=55)
        assert [again.uri for again in store.sign_many([obj] * 3, HOUR)] == [obj.uri] * 3
    assert "X-Amz-Security-Token=role-token" in lease.url
    assert requests.get(lease.url, timeout=10).content == b"bytes"
    assert len(role.asked) == 2


def test_a_role_that_may_not_be_assumed_is_named(s3_server: S3Server, bucket: str, role: TlsProxy) -> None:
    settings = StorageSettings(s3_endpoint=s3_server.endpoint, s3_role_arn=ROLE, s3_external_id="88")
    with S3Store(bucket, settings) as store, pytest.raises(AccessDenied, match=r"role/photos.*s3_external_id"):
        store.check()


def test_a_role_that_is_none_is_named(s3_server: S3Server, bucket: str) -> None:
    settings = StorageSettings(s3_endpoint=s3_server.endpoint, s3_role_arn="photos")
    with S3Store(bucket, settings) as store, pytest.raises(ConfigurationError, match="The role photos"):
        store.check()


def test_without_a_credential_no_role_can_be_assumed(s3_server: S3Server) -> None:
    settings = StorageSettings(s3_endpoint=s3_server.endpoint, s3_role_arn=ROLE)
    with S3Store("photos", settings) as store, pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        store.check()


def test_a_url_can_name_the_version(s3_server: S3Server, bucket: str) -> None:
    enabled = {"Status": "Enabled"}
    s3_server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    s3_server.client.put_object(Bucket=bucket, Key="2.jpg", Body=b"first")
    settings = StorageSettings(s3_endpoint=s3_server.endpoint, s3_pin_versions=True)
    with S3Store(bucket, settings) as store:
        old, kept = store.iter_objects()
        unpinned, pinned = store.sign_many([old, kept], HOUR)
        s3_server.client.put_object(Bucket=bucket, Key="2.jpg", Body=b"second")
        assert requests.get(pinned.url, timeout=10).content == b"first"
        with pytest.raises(ObjectNotFound, match="replaced"):
            store.lease(kept, HOUR)
        failed: list[str] = []
        told = store.sign_many([old, kept, old], HOUR, on_failure=lambda obj, _: failed.append(obj.key))
        assert [lease.uri for lease in told] == [old.uri, old.uri]
        assert failed == ["2.jpg"]
    assert "versionId" not in unpinned.url
    assert requests.get(unpinned.url, timeout=10).content == b"bytes"


@pytest.mark.parametrize("token", ["", "a/b+c=="])
def test_signs_as_boto3_does(token: str) -> None:
    client = boto3.client(
        "s3",
        region_name="eu-central-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret/+key",
        aws_session_token=token or None,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    base = "https://photos.s3.eu-central-1.amazonaws.com/"
    signer = UrlSigner("AKIDEXAMPLE", "secret/+key", token, base, "eu-central-1")
    params = {"response-content-type": "image/jpeg", "versionId": "a.b_c/+"}

    @given(key=st.text(st.characters(codec="utf-8"), min_size=1))
    @hypothesis_settings(max_examples=25, deadline=None)
    def agrees(key: str) -> None:
        wanted = {"Bucket": "photos", "Key": key, "ResponseContentType": "image/jpeg", "VersionId": "a.b_c/+"}
        theirs = urlsplit(client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=600))
        query = dict(parse_qsl(theirs.query))
        now = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        mine = urlsplit(signer.sign(key, 600, params, now=now))
        assert (mine.netloc, mine.path, dict(parse_qsl(mine.query))) == (theirs.netloc, theirs.path, query)

    agrees()
    assert "secret" not in repr(signer)


def test_boto3_signs_where_the_fast_signer_does_not_agree(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("diffgram_flows.storage.sigv4._quoted", lambda text: text)
    with S3Store(bucket, StorageSettings(s3_endpoint=s3_server.endpoint)) as store, caplog.at_level("INFO"):
        url = store.lease(next(store.iter_objects()), HOUR).url
    assert "boto3 signs" in caplog.text
    assert requests.get(url, timeout=10).content == b"bytes"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], TlsProxy]]:
    """An AWS whose objects lie in archives, and which answers a GET of any object as it is told."""
    answers: list[Answer] = []

    def answer(question: Question) -> Answer:
        if question.method == "HEAD":
            return Answer(200, {"x-amz-bucket-region": "eu-central-1"})
        return Answer(200, body=ARCHIVE) if "list-type=2" in question.target else answers[0]

    with running_tls_proxy(tmp_path, HOSTS, answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(proxy.certificate))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxy.certificate))
        log_in(monkeypatch, "AKIDEXAMPLE", "secret-key")

        def told(reply: Answer) -> TlsProxy:
            answers[:] = [reply]
            return proxy

        yield told


def test_what_lies_in_an_archive_is_left_out_unless_it_was_restored(archive: Callable[[Answer], TlsProxy]) -> None:
    archive(Answer(200))
    told: list[tuple[str, str]] = []
    with S3Store("photos") as store:
        found = list(store.iter_objects(on_skip=lambda obj, reason: told.append((obj.key, reason.value))))
    assert [(obj.key, obj.storage_class) for obj in found] == [
        ("cold.jpg", "GLACIER_IR"),
        ("restored.jpg", "GLACIER (restored)"),
        ("warm +.jpg", "STANDARD"),
    ]
    assert [key for key, _ in told] == ["deep.jpg", "frozen.jpg", "was-restored.jpg"]
    assert {reason for _, reason in told} == {"in an archive storage class"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "what", "cure"),
    [
        (307, {"Location": "https://x"}, "", "redirected", "s3_region"),
        (403, {}, "<Error><Code>InvalidObjectState</Code></Error>", "archive", "Restore"),
        (403, {}, "<Error><Code>AccessDenied</Code></Error>", r"refuses.*AccessDenied", "s3:GetObject"),
        (403, {}, "<Error><Code>AccessDenied</Code><Message>kms:Decrypt ...</Message></Error>", "KMS", "kms:Decrypt"),
        (400, {}, f"<Error><Code>InvalidRequest</Code><Message>{SSE_C}</Message></Error>", "SSE-C", "cannot carry"),
        (200, {"Content-Type": "binary/octet-stream"}, "x", "served as binary", "content_type_by_suffix"),
        (200, {"Content-Type": "image/jpeg"}, "x", "does not answer a part", "Slow"),
    ],
)
def test_a_preflight_says_why_a_url_would_not_be_fetched(
    archive: Callable[[Answer], TlsProxy], status: int, headers: dict[str, str], body: str, what: str, cure: str
) -> None:
    proxy = archive(Answer(status, headers, body.encode()))
    with S3Store("photos") as store:
        report = store.preflight(ttl=HOUR)
    assert report.region == "eu-central-1"
    assert report.ok == (status == 200)
    assert any(re.search(what, finding.what) and re.search(cure, finding.cure) for finding in report.findings)
    fetch = proxy.asked[-1]
    assert fetch.headers["Range"] == "bytes=0-0"
    assert "Authorization" not in fetch.headers
    assert "Signature" not in repr(report)


def test_a_key_of_the_customer_is_named(archive: Callable[[Answer], TlsProxy]) -> None:
    archive(Answer(400, body=f"<Error><Code>InvalidRequest</Code><Message>{SSE_C}</Message></Error>".encode()))
    with S3Store("photos") as store, pytest.raises(AccessDenied, match="SSE-C"):
        store.read(an_object("photos"))


def test_keys_are_decoded_only_where_the_server_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ARCHIVE.replace(b"<EncodingType>url</EncodingType>", b"")
    pages = [plain.replace(b"<IsTruncated>false", b"<IsTruncated>true"), plain]

    def answer(question: Question) -> Answer:
        if question.method == "HEAD":
            return Answer(200, {"x-amz-bucket-region": "eu-central-1"})
        return Answer(200, body=pages["start-after=was-restored.jpg" in question.target])

    with running_tls_proxy(tmp_path, HOSTS, answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(proxy.certificate))
        log_in(monkeypatch, "AKIDEXAMPLE", "secret-key")
        with S3Store("photos") as store:
            keys = [obj.key for obj in store.iter_objects()]
    assert keys == ["cold.jpg", "restored.jpg", "warm+%2B.jpg"] * 2  # and the next page is found without a token


def test_a_listing_that_is_cut_off_is_no_listing(aws: TlsProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "EMPTY_LIST", EMPTY_LIST[:-20])
    with S3Store("photos") as store, pytest.raises(StorageError, match="s3://photos"):
        list(store.iter_objects())


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
