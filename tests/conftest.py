"""What every test process needs before its first test: signals as in a terminal, and logging that is set up."""

from __future__ import annotations

import signal

import prefect.main  # noqa: F401

# A shell ignores Ctrl+C for what it runs in the background, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Prefect, when it is first imported, closes the handlers that are there; that of absl, which TensorFlow brings, closes
# its stream with it, and that is pytest's own if TensorFlow was imported first. Hence the import above.
