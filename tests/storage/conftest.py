"""A shelf is one fresh bucket of a provider, with a way to put things in that does not use the code under test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from servers.azure import AzureServer, azure_server, azurite
from servers.gcs import GoogleServer, gcs_server
from servers.s3 import S3Server, s3_server

from diffgram_flows.models import StoredObject
from diffgram_flows.storage import ObjectStore, StorageSettings, azure, gcs, open_store

__all__ = ["azure_server", "gcs_server", "s3_server"]

NOBODY = 65534
PROVIDERS = ["file", "s3", "gcs", *(["azure"] if azurite() else [])]  # without it, test_azure.py says what is skipped


class Shelf(Protocol):
    """What a contract test needs of a provider.

    Attributes:
        odd_keys: Keys that are hard to write in a URL.
        unordered: Keys that the stand-in does not list in the order of their UTF-8 bytes.
    """

    odd_keys: tuple[str, ...]
    unordered: frozenset[str]

    @property
    def store(self) -> ObjectStore: ...

    def put(self, key: str, data: bytes) -> None: ...

    def missing(self) -> ObjectStore:
        """The store of a bucket that does not exist."""

    def forbidden(self) -> AbstractContextManager[ObjectStore]:
        """The store of this bucket for somebody who may do nothing."""


class FileShelf:
    unordered: frozenset[str] = frozenset()
    odd_keys: tuple[str, ...] = (
        "with space.jpg",
        "ü/日本/😀.jpg",
        "a+b.jpg",
        "100%.jpg",
        "a%20b.jpg",
        "a#b.jpg",
        "a?b=c.jpg",
        "q'\"\\.jpg",
    )

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.store = open_store(f"file://{root}")[0]

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def missing(self) -> ObjectStore:
        return open_store(f"file://{self.root}/absent")[0]

    @contextmanager
    def forbidden(self) -> Iterator[ObjectStore]:
        user = os.geteuid()
        self.root.chmod(0)
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield self.store
        finally:
            os.seteuid(user)
            self.root.chmod(0o700)


class S3Shelf:
    unordered: frozenset[str] = frozenset()
    odd_keys: tuple[str, ...] = (*FileShelf.odd_keys, "/leading.jpg", "a//b.jpg", "trailing/", "k" * 900)

    def __init__(self, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.monkeypatch = monkeypatch
        self.name = f"b-{uuid.uuid4().hex}"
        self.client = server.client
        self.client.create_bucket(Bucket=self.name)
        self.store = self._open(self.name, server.owner)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def missing(self) -> ObjectStore:
        return self._open("absent", self.server.owner)

    @contextmanager
    def forbidden(self) -> Iterator[ObjectStore]:
        with self._open(self.name, self.server.guest) as store:
            yield store

    def _open(self, name: str, login: tuple[str, str]) -> ObjectStore:
        self.monkeypatch.setenv("AWS_ACCESS_KEY_ID", login[0])
        self.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", login[1])
        settings = StorageSettings(s3_endpoint=self.server.endpoint, s3_region=self.server.region)
        return open_store(f"s3://{name}", settings)[0]


class GoogleShelf:
    unordered: frozenset[str] = frozenset()
    odd_keys: tuple[str, ...] = (*FileShelf.odd_keys, "a//b.jpg", "trailing/", "k" * 900)

    def __init__(self, server: GoogleServer) -> None:
        self.server = server
        self.name = f"b-{uuid.uuid4().hex}"
        self.client = server.client
        self.client.create_bucket(self.name)
        self.store = self._open(self.name, server.key_file)

    def put(self, key: str, data: bytes) -> None:
        self.client.bucket(self.name).blob(key).upload_from_string(data, content_type="image/jpeg")

    def missing(self) -> ObjectStore:
        return self._open("absent", self.server.key_file)

    @contextmanager
    def forbidden(self) -> Iterator[ObjectStore]:
        with self._open(self.name, self.server.guest_key_file) as store:
            yield store

    def _open(self, name: str, key_file: Path) -> ObjectStore:
        settings = StorageSettings(gcs_endpoint=self.server.endpoint, gcs_key_file=str(key_file))
        return open_store(f"gs://{name}", settings)[0]


class AzureShelf:
    odd_keys: tuple[str, ...] = (*(key for key in FileShelf.odd_keys if "\\" not in key), "a//b.jpg", "k" * 900)
    unordered: frozenset[str] = frozenset("\uff01")  # azurite compares UTF-16

    def __init__(self, server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.monkeypatch = monkeypatch
        self.name = f"b-{uuid.uuid4().hex}"
        self.client = server.client.create_container(self.name)
        self.store = self._open(self.name, server.key)

    def put(self, key: str, data: bytes) -> None:
        self.client.upload_blob(key, data, overwrite=True)

    def missing(self) -> ObjectStore:
        return self._open("absent", self.server.key)

    @contextmanager
    def forbidden(self) -> Iterator[ObjectStore]:
        with self._open(self.name, self.server.guest_key) as store:
            yield store

    def _open(self, name: str, key: str) -> ObjectStore:
        self.monkeypatch.setenv("AZURE_STORAGE_KEY", key)
        settings = StorageSettings(azure_endpoint=self.server.endpoint)
        store = open_store(f"az://{self.server.account}/{name}", settings)[0]
        store.max_ttl()  # reads the key
        return store


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine that runs the tests (no profile, no key, no attached account), and nothing leaves it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GS_", "STORAGE_", "CLOUDSDK_")) and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # google-auth looks things up at Google in the background
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))


@pytest.fixture(params=PROVIDERS)
def shelf(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _no_identity: None
) -> Iterator[Shelf]:
    made: Shelf
    if request.param == "file":
        made = FileShelf(tmp_path / "photos")
    elif request.param == "s3":
        made = S3Shelf(request.getfixturevalue("s3_server"), monkeypatch)
    elif request.param == "azure":
        monkeypatch.setattr(azure, "PAGE_SIZE", 5)
        made = AzureShelf(request.getfixturevalue("azure_server"), monkeypatch)
    else:
        monkeypatch.setattr(gcs, "PAGE_SIZE", 5)
        made = GoogleShelf(request.getfixturevalue("gcs_server"))
    with made.store:
        yield made


@pytest.fixture
def only(shelf: Shelf) -> StoredObject:
    """The only object of a shelf: ten bytes."""
    shelf.put("cats/1.jpg", b"0123456789")
    return next(shelf.store.iter_objects())


@pytest.fixture
def started() -> datetime:
    return datetime.now(UTC)
