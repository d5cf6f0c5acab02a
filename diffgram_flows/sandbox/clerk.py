"""The thread that does what the recorded server does "later": tasks of jobs, and exports nobody waits for."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time

import orjson

from diffgram_flows.sandbox.database import Database
from diffgram_flows.sandbox.export_faults import counted, fault_of, spoiled
from diffgram_flows.sandbox.media import Links, MediaStore
from diffgram_flows.sandbox.settings import SandboxSettings
from diffgram_flows.sandbox.store import exports, jobs

PAUSE = 1.0
_logger = logging.getLogger(__name__)


class Clerk:
    """Makes announced tasks and exports when they are due. What is due is in the database, so a crash loses nothing."""

    def __init__(self, database: Database, media: MediaStore, settings: SandboxSettings) -> None:
        self._database = database
        self._media = media
        self._settings = settings
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something was announced."""
        self._wake.set()

    def stop(self, patience: float = 10.0) -> None:
        """Finish what is being done, and stop."""
        self._stopping = True
        self._wake.set()
        self._thread.join(patience)

    def export_now(self, row: sqlite3.Row) -> None:
        """Make an export and write its JSON, then call it complete."""
        fault = fault_of(self._settings.export_fault, row["id"])
        links = Links(self._media, row["base_url"], self._settings.url_lifetime)
        with self._database.read() as cx:
            found = exports.found_files(cx, row)
        self._advance(row, len(found), 0)
        with self._database.read() as cx:
            described = dict(row) | {"file_list_length": counted(len(found), fault)}
            content = spoiled(exports.content(cx, described, found, links), fault)
        self._advance(row, len(found), max(0, len(found) - 1))  # the last file is done when all of it is written
        data = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        if fault == "truncated":
            data = data[: len(data) // 2]
        path = self._media.export_path(row["id"])
        partial = path.with_suffix(f".{threading.get_ident()}")
        partial.write_bytes(data)
        os.replace(partial, path)
        with self._database.write() as cx:
            exports.finish(cx, row["id"], counted(len(found), fault))

    def _advance(self, row: sqlite3.Row, count: int, done: int) -> None:
        with self._database.write() as cx:
            exports.advance(cx, row["id"], count, done)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                pause = self._do_what_is_due()
            except Exception:  # the thread must outlive any job; what it could not do stays announced
                _logger.exception("The clerk could not do what was due.")
                pause = PAUSE
            self._wake.wait(pause)

    def _do_what_is_due(self) -> float:
        now = time.time()
        with self._database.read() as cx:
            event = cx.execute("SELECT * FROM event ORDER BY due, id LIMIT 1").fetchone()
            export = exports.next_due(cx)
        if event is not None and event["due"] <= now:
            with self._database.write() as cx:
                jobs.make_tasks(cx, event)
        if export is not None and export["due"] <= now:
            if fault_of(self._settings.export_fault, export["id"]) == "slow":
                with self._database.write() as cx:
                    exports.forget(cx, export["id"])
            else:
                self.export_now(export)
        dues: list[float] = [row["due"] for row in (event, export) if row is not None]
        return min([PAUSE, *(max(0.0, due - now) for due in dues)])
