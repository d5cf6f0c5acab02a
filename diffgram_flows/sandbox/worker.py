"""The threads that work off the queue of imports."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from diffgram_flows.sandbox import ingest
from diffgram_flows.sandbox.database import Database
from diffgram_flows.sandbox.faults import CpuGate, dies
from diffgram_flows.sandbox.ingest import IngestError, Target
from diffgram_flows.sandbox.media import MediaStore
from diffgram_flows.sandbox.settings import SandboxSettings
from diffgram_flows.sandbox.store import inputs
from diffgram_flows.sandbox.store.inputs import Outcome

LONGEST_NAME = 255
_logger = logging.getLogger(__name__)


class _AbandonedError(Exception):
    """The attempt is over without an outcome of its own: retried, archived, or the worker "died"."""


class _DeadError(Exception):
    """The worker dies of this attempt, whose row stays in "processing" (contract section 6)."""


class ImportWorkers:
    """Threads that take imports from the queue, one at a time each.

    Args:
        database: Where the queue is.
        media: Where the bytes go.
        settings: How many threads, and how slow they shall be.
        on_file: Called after a commit that may have announced tasks.
    """

    def __init__(
        self, database: Database, media: MediaStore, settings: SandboxSettings, on_file: Callable[[], None]
    ) -> None:
        self._database = database
        self._media = media
        self._settings = settings
        self._on_file = on_file
        self._queued = threading.Event()
        self._stopping = threading.Event()
        self._gate = CpuGate.of(settings)
        self._threads_lock = threading.Lock()
        self._threads = [self._new_thread(number) for number in range(settings.import_workers)]

    def start(self) -> None:
        """Declare lost what a previous process was working on, then start."""
        with self._database.write() as cx:
            inputs.after_restart(cx)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that imports were queued."""
        self._queued.set()

    def stop(self, patience: float = 10.0) -> None:
        """Finish what is being worked on, and stop."""
        self._stopping.set()
        self._queued.set()
        with self._threads_lock:  # from here on no dead thread is replaced
            threads = list(self._threads)
        for thread in threads:
            thread.join(patience)

    def _new_thread(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._live, args=(number,), name=f"import-{number}", daemon=True)

    def _live(self, number: int) -> None:
        try:
            self._run()
        except _DeadError:
            with self._threads_lock:
                if not self._stopping.is_set():
                    self._threads[number] = self._new_thread(number)
                    self._threads[number].start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._stopping.wait(self._gate.closed_for()):
                return
            self._queued.clear()  # before looking: what is queued from here on sets it again
            with self._database.write() as cx:
                row = inputs.claim(cx)
            if row is None:
                self._queued.wait(1.0)
                continue
            try:
                self._work(row)
            except _AbandonedError:
                continue
            except _DeadError:
                raise
            except Exception:  # a thread must outlive any import; the row stays in "processing", as recorded
                _logger.exception("Import %s crashed its worker.", row["id"])

    def _work(self, row: sqlite3.Row) -> None:
        self._advance(row, "processing")
        if not self._waited(row, self._settings.import_delay):
            return
        if dies(self._settings, row["id"], row["retry_count"]):
            raise _DeadError
        sent = json.loads(row["instance_list"]) if row["instance_list"] else None
        try:
            if row["mode"] in inputs.UPDATES and row["file_id"] is not None:
                self._update(row, sent)
            else:
                self._import(row, sent)
        except IngestError as end:
            self._finish(row, end.outcome, sent)

    def _waited(self, row: sqlite3.Row, seconds: float) -> bool:
        """Wait; False if the server stops meanwhile, and the import is back in the queue."""
        if not seconds or not self._stopping.wait(seconds):
            return True
        with self._database.write() as cx:
            inputs.put_back(cx, row)
        return False

    def _import(self, row: sqlite3.Row, sent: list[Any] | None) -> None:
        name = _file_name(row)
        with self._database.read() as cx:
            self._check_name(cx, row, name)
            project = _project(cx, row)
        try:
            data = ingest.download(row["url"], self._settings.max_download_bytes)
            picture = ingest.measure(data, name, self._settings)
        except IngestError as end:
            raise _named(end, name) from end
        if not self._waited(row, self._settings.download_delay):
            return
        received = self._media.receive(data)
        target = Target(project, row["directory_id"], row["job_id"])
        try:
            self._advance(row, "downloaded")
            with self._database.write() as cx:
                file_id = ingest.store(cx, self._media, target, picture, received, self._settings.task_delay)
                outcome = ingest.draw_outcome(cx, project, file_id, sent)
                self._commit(cx, row, _renamed(outcome, name), sent)
        except IngestError as end:
            raise _named(end, name) from end
        finally:
            received.unlink(missing_ok=True)
        self._on_file()

    def _check_name(self, cx: sqlite3.Connection, row: sqlite3.Row, name: str) -> None:
        extension = PurePosixPath(name).suffix
        if not extension:
            raise _named(ingest.failure("Invalid extension, check filename"), name)
        if row["media_type"] != "image":
            raise _named(ingest.failure(f"Invalid media type: {extension}"), name)
        if len(name) > LONGEST_NAME:
            raise _AbandonedError  # the recorded worker dies of it and says nothing: "processing" for ever
        try:
            ingest.refuse_twin(cx, row["directory_id"], name)
        except IngestError as end:
            raise _named(end, name) from end

    def _update(self, row: sqlite3.Row, sent: list[Any] | None) -> None:
        with self._database.write() as cx:
            outcome = ingest.draw_outcome(cx, _project(cx, row), row["file_id"], sent, mode=row["mode"])
            self._commit(cx, row, outcome, sent)

    def _advance(self, row: sqlite3.Row, status: str) -> None:
        with self._database.write() as cx:
            if not inputs.advance(cx, row, status):
                raise _AbandonedError

    def _finish(self, row: sqlite3.Row, outcome: Outcome, sent: list[Any] | None) -> None:
        with self._database.write() as cx:
            self._commit(cx, row, outcome, sent)

    def _commit(self, cx: sqlite3.Connection, row: sqlite3.Row, outcome: Outcome, sent: list[Any] | None) -> None:
        if not inputs.finish(cx, row, outcome, sent):
            raise _AbandonedError  # rolls back the file as well


def _file_name(row: sqlite3.Row) -> str:
    if not row["url"]:
        raise ingest.failure("Invalid url (None provided)")
    if not row["url"].startswith("http"):
        raise ingest.failure("Invalid url (Did not start with http)")
    return str(row["original_filename"] or PurePosixPath(urlsplit(row["url"]).path).name)


def _project(cx: sqlite3.Connection, row: sqlite3.Row) -> sqlite3.Row:
    project: sqlite3.Row = cx.execute("SELECT * FROM project WHERE id = ?", (row["project_id"],)).fetchone()
    return project


def _named(end: IngestError, name: str) -> IngestError:
    return IngestError(_renamed(end.outcome, name))


def _renamed(outcome: Outcome, name: str) -> Outcome:
    return Outcome(
        outcome.status, outcome.status_text, outcome.percent_complete, outcome.file_id, name, outcome.update_log
    )
