"""A folder of our own in a test: on the disk, on a real S3 server, or in a stand-in for Google that checks who asks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.gcs import GoogleServer
from servers.s3 import S3Server

from diffgram_flows.storage import Folder, StorageSettings, folder_s3, open_folder

Open = Callable[..., Folder]


@pytest.fixture(params=["file", "s3", "gcs"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the folder of a test again, as another process would; ``guest`` is somebody who may do nothing."""
    made: list[Folder] = []
    place: str | Path = tmp_path / "store"
    settings = guest_settings = StorageSettings()
    login: dict[bool, tuple[str, str]] = {}
    if request.param == "s3":
        monkeypatch.setattr(folder_s3, "SETTLE_SECONDS", 0.02)  # enough where nobody else writes
        s3: S3Server = request.getfixturevalue("s3_server")
        name = f"b-{uuid.uuid4().hex}"
        s3.client.create_bucket(Bucket=name)
        place, login = f"s3://{name}/a/store/", {False: s3.owner, True: s3.guest}
        settings = guest_settings = StorageSettings(s3_endpoint=s3.endpoint, s3_region=s3.region)
    elif request.param == "gcs":
        gcs: GoogleServer = request.getfixturevalue("gcs_server")
        name = f"b-{uuid.uuid4().hex}"
        gcs.client.create_bucket(name)
        place = f"gs://{name}/a/store"
        settings = StorageSettings(gcs_endpoint=gcs.endpoint, gcs_key_file=str(gcs.key_file))
        guest_settings = StorageSettings(gcs_endpoint=gcs.endpoint, gcs_key_file=str(gcs.guest_key_file))

    def opening(*, guest: bool = False, bucket: str = "") -> Folder:
        if login:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", login[guest][0])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", login[guest][1])
        wanted = str(place).replace(name, bucket) if bucket else place
        folder = open_folder(wanted, guest_settings if guest else settings)
        made.append(folder)
        return folder

    yield opening
    for folder in made:
        folder.close()


@pytest.fixture
def slow_to_settle(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """For writers that meet: Swift is given the time that it gets outside of tests."""
    monkeypatch.setattr(folder_s3, "SETTLE_SECONDS", 0.5)
