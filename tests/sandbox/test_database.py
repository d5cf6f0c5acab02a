"""Data folders that an older sandbox made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.database import Database


def aged(path: Path, *changes: str) -> Path:
    """A database that lacks what the changes take away; one dataset and one image are in it."""
    Database(path).close()
    with closing(sqlite3.connect(path)) as cx:
        cx.execute("INSERT INTO directory (project_id, nickname, created) VALUES (1, 'kept', 0)")
        cx.execute("INSERT INTO image (original_filename, width, height, content_type) VALUES ('a.png', 1, 1, '')")
        for change in changes:
            cx.execute(change)
        cx.commit()
    return path


def test_missing_tables_and_columns_are_added_and_nothing_is_lost(tmp_path: Path) -> None:
    taken = ("ALTER TABLE image DROP COLUMN rotation_degrees", "ALTER TABLE file DROP COLUMN file_metadata")
    database = Database(aged(tmp_path / "old.sqlite", *taken, "DROP TABLE upload"))
    with database.read() as cx:
        assert [row["nickname"] for row in cx.execute("SELECT * FROM directory")] == ["kept"]
        assert [row["rotation_degrees"] for row in cx.execute("SELECT * FROM image")] == [0]
        assert cx.execute("SELECT file_metadata FROM file").fetchall() == []
        assert cx.execute("SELECT * FROM upload").fetchall() == []
    database.close()


def test_a_folder_that_cannot_be_completed_is_refused(tmp_path: Path) -> None:
    path = aged(tmp_path / "old.sqlite", "ALTER TABLE instance DROP COLUMN action_type")
    with pytest.raises(ConfigurationError, match=r"instance\.action_type is missing") as refusal:
        Database(path)
    assert "another data folder" in str(refusal.value)
