"""Run a command that must not outlive whoever started it: ``python -m diffgram_flows.demo.guard COMMAND ...``.

The starter holds the other end of our standard input. When it is gone, however it went, the command is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command until it ends, or until standard input or somebody else ends us; its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the starter, which then lets go of us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        threading.Thread(target=_end_with_input, args=(process,), daemon=True).start()
        return process.wait()
    finally:
        _end(process)


def _end_with_input(process: subprocess.Popen[bytes]) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it has started, with force if it must be."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
