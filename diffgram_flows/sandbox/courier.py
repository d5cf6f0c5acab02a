"""The thread that posts to webhooks: once each, in order, and nobody hears of a failure (contract section 13)."""

from __future__ import annotations

import logging
import sqlite3
import threading
from urllib.parse import urlsplit

import requests

from diffgram_flows.sandbox.database import Database
from diffgram_flows.sandbox.store import hooks

PAUSE = 0.1
# Seconds to connect, and between two bytes: a receiver that hangs must not hold up the others for long.
PATIENCE = (2.0, 5.0)
_logger = logging.getLogger(__name__)


class Courier:
    """Delivers what :mod:`~diffgram_flows.sandbox.store.hooks` announced. What waits is in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """Finish the delivery that is under way, and stop."""
        self._stopping.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                run = self._next()
                if run is not None:
                    _post(run)
                    continue
            except sqlite3.Error:  # a thread must outlive any delivery
                _logger.exception("The courier could not look for deliveries.")
            self._stopping.wait(PAUSE)

    def _next(self) -> sqlite3.Row | None:
        with self._database.read() as cx:
            if not hooks.is_waiting(cx):
                return None
        with self._database.write() as cx:
            return hooks.next_run(cx)


def _post(run: sqlite3.Row) -> None:
    # The URL may hold a secret and the body does: neither is logged.
    if urlsplit(run["url"]).scheme not in ("http", "https"):
        _logger.warning("Webhook of action %s: its URL is not http(s); nothing was sent.", run["action_id"])
        return
    try:
        headers = {"Content-Type": "application/json"}
        with requests.post(
            run["url"], run["body"], headers=headers, timeout=PATIENCE, allow_redirects=False, stream=True
        ) as response:
            status = response.status_code
    except (requests.RequestException, ValueError) as error:
        _logger.warning("Webhook of action %s: %s; there is no retry.", run["action_id"], type(error).__name__)
        return
    if status != 200:
        _logger.warning("Webhook of action %s: answered %s; there is no retry.", run["action_id"], status)
