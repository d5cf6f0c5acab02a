from __future__ import annotations

from pathlib import Path

import pytest

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.parameters import Target
from diffgram_flows.tasks.workspace import open_places


def test_without_a_store_everything_is_in_the_work_folder(tmp_path: Path) -> None:
    registry, shared = open_places(Target(workdir=tmp_path))
    assert (registry.folder.uri, shared) == (f"file://{tmp_path}/brains", None)


@pytest.mark.parametrize("store", ["s3://photos/team", "gs://photos/team", "file:///srv/team", "/srv/team"])
def test_a_store_holds_brains_and_snapshots(tmp_path: Path, store: str) -> None:
    registry, shared = open_places(Target(workdir=tmp_path, store_uri=store))
    place = store if "://" in store else f"file://{store}"
    assert shared is not None
    assert (registry.folder.uri, shared.uri) == (f"{place}/brains", f"{place}/snapshots")


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ftp://team"):
        open_places(Target(workdir=tmp_path, store_uri="ftp://team"))
