"""Who works here: names that say on which machine and in which process, so that the dead are told from the slow."""

from __future__ import annotations

import os
import socket
import uuid
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def new_worker() -> str:
    """A name that nobody else has: machine, process and a random part."""
    return f"{machine()}:{os.getpid()}:{uuid.uuid4().hex}"


def place_of(worker: str) -> tuple[str, str]:
    """The host and the process of a worker, for people to read."""
    host, _, rest = worker.partition(":")
    return host.partition("/")[0], rest.partition(":")[0]


@cache
def machine() -> str:
    """Host name and boot: two machines of one name, or containers after a restart of theirs, are not taken for one."""
    boot = _BOOT.read_text().strip()[:8] if _BOOT.exists() else ""
    return f"{socket.gethostname().replace(':', '-')}/{boot}"


def certainly_dead(worker: str) -> bool:
    """Whether a worker was a process of this machine that is gone; of other machines nothing is certain."""
    host, _, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    if host != machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
