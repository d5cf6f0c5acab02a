from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from diffgram_flows.errors import BucketNotFound, ConfigurationError, ObjectNotFound, SigningError, StorageUnavailable
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import StorageSettings, open_store
from diffgram_flows.storage.file import FileStore

HOUR = timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for key in ("a/1.jpg", "a/deep/2.jpg", "b.jpg"):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(b"bytes")
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "3.jpg").write_bytes(b"secret")
    return root


def keys(root: Path) -> list[str]:
    with FileStore(root) as store:
        return [stored.key for stored in store.iter_objects()]


ALL = ["a/1.jpg", "a/deep/2.jpg", "b.jpg"]


def test_hidden_files_and_folders_are_not_in_the_bucket(root: Path) -> None:
    (root / ".DS_Store").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(b"x")
    assert keys(root) == ALL


def test_links_are_followed_inside_the_folder_only(root: Path) -> None:
    (root / "c.jpg").symlink_to(root / "b.jpg")
    (root / "d").symlink_to(root / "a" / "deep")
    (root / "e.jpg").symlink_to(root.parent / "outside.jpg")
    (root / "f").symlink_to(root.parent / "elsewhere")
    (root / "g.jpg").symlink_to(root / "gone.jpg")
    assert keys(root) == [*ALL, "c.jpg", "d/2.jpg"]


def test_links_in_a_circle_end(root: Path) -> None:
    (root / "a" / "deep" / "up").symlink_to(root / "a")
    (root / "a" / "root").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    assert keys(root) == ALL


def test_a_folder_that_is_itself_a_link_is_a_bucket(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    with FileStore(link) as store:
        assert [stored.uri for stored in store.iter_objects()] == [f"file://{link}/{key}" for key in ALL]


def test_what_is_no_regular_file_is_not_in_the_bucket(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert keys(root) == ALL


def test_names_that_are_not_utf8_are_skipped_aloud(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        assert keys(root) == ALL
    assert "udcff.jpg" in caplog.text


def test_a_folder_may_change_while_it_is_listed(root: Path) -> None:
    with FileStore(root) as store:
        listing = store.iter_objects()
        assert next(listing).key == "a/1.jpg"
        (root / "a" / "deep" / "2.jpg").unlink()
        (root / "a" / "deep").rmdir()
        (root / "b.jpg").unlink()
        assert list(listing) == []


@pytest.mark.parametrize("key", ["../outside.jpg", "a/../../outside.jpg", "link.jpg", "a", "nul\0.jpg", "absent.jpg"])
def test_what_is_not_in_the_folder_cannot_be_read(root: Path, key: str) -> None:
    (root / "link.jpg").symlink_to(root.parent / "outside.jpg")
    with FileStore(root) as store, pytest.raises(ObjectNotFound):
        store.read(StoredObject(store.bucket, key, 6, "1-6"))


def test_an_absolute_key_leads_nowhere(root: Path) -> None:
    with FileStore(root) as store, pytest.raises(ObjectNotFound):
        store.read(StoredObject(store.bucket, str(root.parent / "outside.jpg"), 6, "1-6"))


def test_a_key_that_no_client_can_fetch_is_not_leased(root: Path) -> None:
    with FileStore(root) as store, pytest.raises(SigningError, match="cannot be fetched"):
        store.lease(StoredObject(store.bucket, "a/../b.jpg", 5, "1-5"), HOUR)


def test_a_file_is_not_a_bucket(root: Path) -> None:
    store, _ = open_store(f"file://{root}/b.jpg")
    with pytest.raises(BucketNotFound, match="is not a folder"):
        store.check()


def test_an_encoded_path_gets_a_hint(root: Path) -> None:
    store, _ = open_store(f"file://{root}/my%20photos")
    with pytest.raises(BucketNotFound, match="%20 means %20"):
        store.check()


def test_leases_point_to_the_public_url(root: Path) -> None:
    settings = StorageSettings(file_host="0.0.0.0", file_public_url="https://images.example/here/")  # noqa: S104
    with FileStore(root, settings) as store:
        lease = store.lease(next(store.iter_objects()), HOUR)
    assert lease.url.startswith("https://images.example/here/a/1.jpg?expires=")


def test_an_address_for_everybody_needs_a_public_url(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="file_public_url"):
        FileStore(root, StorageSettings(file_host="0.0.0.0"))  # noqa: S104


def test_a_port_that_is_taken_is_named(root: Path) -> None:
    with FileStore(root) as first:
        obj = next(first.iter_objects())
        port = int(first.lease(obj, HOUR).url.split(":")[2].split("/")[0])
        with (
            FileStore(root, StorageSettings(file_port=port)) as second,
            pytest.raises(StorageUnavailable, match=str(port)),
        ):
            second.lease(obj, HOUR)


def test_leases_die_with_the_store(root: Path) -> None:
    with FileStore(root) as store:
        url = store.lease(next(store.iter_objects()), HOUR).url
        assert requests.get(url, timeout=5).content == b"bytes"
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
