from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diffgram_flows.errors import ConfigurationError, SigningError
from diffgram_flows.parameters import Bucket, StorageOptions
from diffgram_flows.storage import PROVIDERS, StorageSettings, fetchable, open_store, register
from diffgram_flows.storage.base import MIN_SIGNED_TTL, grant


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix"),
    [
        ("s3://photos", "s3://photos", ""),
        ("s3://photos/", "s3://photos", ""),
        ("s3://photos/a b/50%?#.jpg", "s3://photos", "a b/50%?#.jpg"),
        ("s3://photos//leading", "s3://photos", "/leading"),
        ("gs://photos/2026/", "gs://photos", "2026/"),
        ("az://account/photos/2026/", "az://account/photos", "2026/"),
        ("file:///data/my photos/", "file:///data/my photos", ""),
        ("file:///", "file://", ""),
    ],
)
def test_takes_uris_as_they_are_written(uri: str, bucket: str, prefix: str) -> None:
    store, found = open_store(uri)
    assert (store.bucket, found) == (bucket, prefix)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("ftp://host/x", r"Use one of az://, file://, gs://, s3://\."),
        ("/data/photos", "No storage provider opens"),
        ("s3", "No storage provider opens"),
        ("s3://", "names no bucket"),
        ("gs:///prefix", "names no bucket"),
        ("file://data/photos", "three slashes"),
        ("s3://photos--use1-az4--x-s3", "directory bucket"),
    ],
)
def test_refuses_what_is_no_bucket(uri: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        open_store(uri)


def test_the_form_in_the_ui_has_every_setting_with_the_same_default() -> None:
    form = StorageOptions().model_dump(mode="json")
    assert form == asdict(StorageSettings())
    assert all(field.description for field in StorageOptions.model_fields.values())


@pytest.mark.parametrize("scheme", sorted(PROVIDERS))
def test_the_form_takes_every_provider(scheme: str) -> None:
    uri = f"{scheme}://x/y"
    assert Bucket(uri=uri, inventory=uri).uri == uri


def test_a_provider_can_be_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    provider = (
        "from diffgram_flows.storage.file import FileStore\ndef open_uri(uri, settings): return FileStore(uri), 'p'"
    )
    (tmp_path / "echo_provider.py").write_text(provider)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(PROVIDERS, "echo", "")
    register("echo", "echo_provider")
    store, prefix = open_store("echo://x")
    assert (store.bucket, prefix) == ("file://echo://x", "p")


def test_a_provider_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "local", "no_such_provider")
    with pytest.raises(ConfigurationError, match="no_such_provider"):
        open_store("local://x")


def test_no_provider_is_loaded_before_it_is_needed() -> None:
    program = (
        "import sys, diffgram_flows.storage as storage\n"
        "store, _ = storage.open_store('file:///data')\n"
        "storage.open_store('s3://photos'), storage.open_store('gs://photos'), storage.open_store('az://account/photos')\n"
        "heavy = ('boto3', 'botocore', 'google.cloud.storage', 'azure.storage.blob', 'pyarrow')\n"
        "sys.exit(str([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("a/b.jpg", True),
        ("a..b/.hidden/...", True),
        ("/leading//double/", True),
        ("%2e%2e/x", True),
        ("./x", False),
        ("a/../b", False),
        ("a/.", False),
        ("", False),
        ("\udcff.jpg", False),
    ],
)
def test_knows_which_keys_a_client_can_fetch(key: str, good: bool) -> None:
    assert fetchable(key) is good


def test_a_lease_fits_into_the_life_of_the_credential() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    seconds, expires_at = grant(timedelta(hours=6), timedelta(hours=1), "s3://b/k")
    assert seconds == 3600
    assert before <= expires_at - timedelta(hours=1) <= datetime.now(UTC)


def test_a_dying_credential_signs_only_what_ends_before_it() -> None:
    dying = MIN_SIGNED_TTL - timedelta(seconds=1)
    with pytest.raises(SigningError, match=r"0:04:59 only"):
        grant(timedelta(hours=1), dying, "s3://b/k")
    assert grant(timedelta(minutes=2), dying, "s3://b/k")[0] == 120
