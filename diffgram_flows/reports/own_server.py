"""The Prefect server of a command's own, which it starts where there is no other."""

from __future__ import annotations

import contextvars
import signal
import threading

from prefect.settings import get_current_settings


def start_own_prefect() -> None:
    """Start the server, if one is needed, so that Ctrl+C does not reach it.

    A terminal sends the signal to the server, too. If that ended at once, a flow would try for minutes to tell it that
    it was stopped. A process inherits which signals the thread that starts it blocks.

    Raises:
        RuntimeError: It does not answer in time, in Prefect's words.
    """
    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    from prefect.server.api.server import SubprocessASGIServer  # takes a second

    failed: list[Exception] = []

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            SubprocessASGIServer().start()
        except Exception as error:
            failed.append(error)

    starter = threading.Thread(target=contextvars.copy_context().run, args=(start,), daemon=True)
    starter.start()
    starter.join()  # Ctrl+C ends this wait
    if failed:
        raise failed[0]
