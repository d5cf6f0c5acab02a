"""The export as a file of this machine: readable as often as wanted, and seen by nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from servers.bench import client_of
from servers.studio import Studio

from diffgram_flows.datasets.generating import GeneratedExport, generate_export
from diffgram_flows.diffgram import DiffgramClient, ExportRow
from diffgram_flows.errors import DatasetError, IncompleteExport, ServerError


@contextmanager
def generated(studio: Studio, client: DiffgramClient | None = None, **options: Any) -> Iterator[GeneratedExport]:
    defaults: dict[str, Any] = {"folder": studio.workdir, "poll": 0.02, "timeout": 20} | options
    bench = studio.bench
    with generate_export(client or bench.client, directory_id=bench.directory_id, **defaults) as export:
        yield export


def test_it_is_read_as_often_as_wanted_and_leaves_nothing(studio: Studio) -> None:
    studio.bench.import_all(3)
    with generated(studio, expected=3) as export:
        assert export.files == 3
        with export.open() as first, export.open() as second:
            begin = first.read(100)
            assert second.read(100) == begin
            whole = begin + first.read()
            assert second.read() == whole[100:]
        assert export.size == len(whole)
        assert sum(key.isdecimal() for key in json.loads(whole)) == 3
        assert not list(studio.workdir.iterdir())  # its name is gone before its first byte came
        assert "ignature" not in repr(export)


def test_an_export_of_too_few_files_is_not_even_fetched(studio: Studio) -> None:
    studio.bench.import_all(2)
    message = "has 2 files, as the server says; 3 finished files"
    with pytest.raises(IncompleteExport, match=message), generated(studio, expected=3):
        pass
    assert not studio.workdir.exists()


def test_a_folder_that_cannot_be_used_is_named(studio: Studio) -> None:
    studio.bench.import_all(1)
    studio.workdir.write_text("a file")
    with pytest.raises(DatasetError, match=f"cannot be kept in {studio.workdir}"), generated(studio):
        pass


class Restarted(DiffgramClient):
    """A server that does not answer for a while."""

    failures = 0

    def export_status(self, export_id: int) -> ExportRow:
        if self.failures:
            self.failures -= 1
            raise ServerError("The server failed with 502.", status=502)
        return super().export_status(export_id)


@pytest.mark.parametrize(("failures", "survives"), [(4, True), (5, False)])
def test_a_server_that_is_away_for_a_while_is_waited_for(studio: Studio, failures: int, survives: bool) -> None:
    studio.bench.import_all(1)
    with client_of(studio.bench.sandbox, kind=Restarted) as client:
        assert isinstance(client, Restarted)
        client.failures = failures
        if survives:
            with generated(studio, client) as export:
                assert export.files == 1
        else:
            with pytest.raises(ServerError, match="502"), generated(studio, client):
                pass
