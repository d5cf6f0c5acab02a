from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from diffgram_flows.disk import hidden_folder, publish, write_file


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for content in (b"old", b"new and longer"):
        write_file(tmp_path / "a" / "file", content)
    assert (tmp_path / "a" / "file").read_bytes() == b"new and longer"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_file_that_cannot_take_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_file(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def write_folder(path: Path, files: dict[str, bytes]) -> bool:
    with hidden_folder(path.parent) as part:
        for name, content in files.items():
            (part / name).write_bytes(content)
        return publish(part, path)


def test_a_folder_is_written_once(tmp_path: Path) -> None:
    assert write_folder(tmp_path / "one", {"a": b"1", "b": b""})
    assert not write_folder(tmp_path / "one", {"a": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == {"a": b"1", "b": b""}
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_only_what_was_abandoned_is_removed(tmp_path: Path) -> None:
    old, young = tmp_path / ".part-old", tmp_path / ".part-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, time.time() - 100_000))
    write_folder(tmp_path / "one", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-young", "one"]
