from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from servers.postgres import PostgresServer, free_port, start_or_skip

import diffgram_flows.ledger
from diffgram_flows.errors import ConfigurationError, LedgerError, LedgerUnavailable
from diffgram_flows.ledger import open_ledger, recordable
from diffgram_flows.ledger.schema import metadata
from diffgram_flows.models import StoredObject

MIGRATIONS = Path(diffgram_flows.ledger.__file__).parent / "migrations"


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    server = start_or_skip()
    yield server
    server.remove()


def of_the_first_schema(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    return engine


def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    open_ledger(url, "t").close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_ledger_of_the_first_schema_is_brought_up_with_its_rows(url: str) -> None:
    engine = of_the_first_schema(url)
    rows = [
        {"target": "t", "key": key, "state": state, "name": f"{key}.jpg"}
        for key, state in (("a", "imported"), ("b", "sending"), ("c", "new"))
    ]
    insert = sa.text(
        "INSERT INTO objects (target, bucket, key, version, size, file_name, state, file_id, attempts, reason,"
        " updated_at) VALUES (:target, 's3://photos', :key, '1', 10, :name, :state, 5, 1, '', 7.0)"
    )
    with engine.begin() as connection:
        connection.execute(insert, rows)
    engine.dispose()

    ledger = open_ledger(url, "t")
    assert [(row.object.key, row.state, row.created_at) for row in ledger.objects.rows()] == [
        ("a", "imported", None),
        ("b", "sending", None),
        ("c", "new", None),
    ]
    assert ledger.position() == 3
    claim = ledger.claims.adopt_expired(unclaimed=True)
    assert claim is not None
    ledger.objects.sent([row.id for row in claim.rows], claim=claim.id)
    (trace,) = ledger.objects.trace("s3://photos/b")
    assert [event.what for event in trace.events] == ["sent"]
    assert ledger.position() == 4
    ledger.close()


def test_processes_may_open_a_new_ledger_at_the_same_time(url: str) -> None:
    script = f"from diffgram_flows.ledger import open_ledger; open_ledger({url!r}, 't').close()"
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]


def test_an_unusable_ledger_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerError, match=r"cannot be opened.*Check the path"):
        open_ledger(str(tmp_path / "file" / "ledger.db"), "t")


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database, " * 1000)
    with pytest.raises(LedgerError, match=r"cannot be opened: file is not a database"):
        open_ledger(str(tmp_path / "ledger.db"), "t")


@pytest.mark.parametrize("address", ["mysql://host/name", "postgresql://host:port/name", "://"])
def test_an_address_of_no_ledger_is_refused_without_repeating_its_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_ledger(address.replace("host", "user:hidden-word@host"), "t")
    assert "hidden-word" not in str(caught.value)


def test_a_server_that_is_not_there_is_worth_a_retry() -> None:
    with pytest.raises(LedgerUnavailable, match=r"127\.0\.0\.1.*Check that the database is up") as caught:
        open_ledger(f"postgresql://user:hidden-word@127.0.0.1:{free_port()}/name", "t")
    assert caught.value.retryable
    assert "hidden-word" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_that_does_not_hold_every_key_is_refused(postgres: PostgresServer) -> None:
    url = postgres.new_database("ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    with pytest.raises(LedgerError, match=r"SQL_ASCII.*UTF8"):
        open_ledger(url, "t")


def test_a_ledger_of_a_newer_package_is_refused(url: str) -> None:
    open_ledger(url, "t").close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="Update diffgram-flows"):
        open_ledger(url, "t")


def test_a_restart_of_the_database_is_survived(own_server: PostgresServer) -> None:
    ledger = open_ledger(own_server.new_place(), "t")
    found = [StoredObject("s3://photos", f"{number}", 10, "1") for number in range(10)]
    with ledger.locks.hold("import", seconds=0.3):
        ledger.objects.add(found, lambda stored: stored.key)
        own_server.stop()
        with pytest.raises(LedgerUnavailable) as caught:
            ledger.objects.counts()
        assert caught.value.retryable
        own_server.start()
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: ledger.objects.counts(), range(8))) == [{"new": 10}] * 8
    ledger.close()


def test_a_database_that_is_locked_for_too_long_is_worth_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffgram_flows.ledger.database._BUSY_SECONDS", 0)
    ledger = open_ledger(str(tmp_path / "ledger.db"), "t")
    other = sa.create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="database is locked"):
            ledger.objects.note([1], "text")
    other.dispose()
    ledger.close()


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "x" * 2500, "ü" * 1300])
def test_a_key_that_cannot_be_kept_is_refused_before_anything_is_written(url: str, text: str) -> None:
    ledger = open_ledger(url, "t")
    assert not recordable(text)
    with pytest.raises(LedgerError, match="cannot be kept"):
        ledger.objects.add(
            [StoredObject("s3://b", "good", 1, "1"), StoredObject("s3://b", text, 1, "1")], lambda o: "n"
        )
    assert ledger.objects.counts() == {}
    ledger.close()


@pytest.mark.parametrize("key", ["ü" * 512, "x" * 1024, "a\nb\t'\"\\%s:name", "\U0010ffff", "e\u0301", "\u00e9", " "])
def test_every_other_key_is_kept_byte_for_byte(url: str, key: str) -> None:
    ledger = open_ledger(url, "t")
    stored = StoredObject("s3://b", key, 1, '"etag-1"')
    assert ledger.objects.add([stored], lambda o: "n") == 1
    assert ledger.objects.rows()[0].object == stored
    assert list(ledger.objects.diff("s3://b", "", [stored])) == []
    assert [version.row.object for version in ledger.objects.trace(stored.uri)] == [stored]
    ledger.close()
