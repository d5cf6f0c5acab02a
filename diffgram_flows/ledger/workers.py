"""Who works here: names that say on which machine and in which process, so that the dead are told from the slow."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")


def new_worker() -> str:
    """A name that nobody else has: machine, process, when that began, and a random part."""
    pid = os.getpid()
    return f"{machine()}:{pid}:{_begun(pid)}:{uuid.uuid4().hex}"


def place_of(worker: str) -> tuple[str, str]:
    """The host and the process of a worker, for people to read."""
    host, _, rest = worker.partition(":")
    return host.partition("/")[0], rest.partition(":")[0]


@cache
def machine() -> str:
    """Host name, boot and pid namespace: two machines, or two containers, of one name are not taken for one.

    The numbers of processes mean something to those alone for whom all three are the same.
    """
    boot, pids = "", ""
    with suppress(OSError):  # there is no /proc
        boot = _BOOT.read_text().strip()[:8]
        pids = "".join(filter(str.isdigit, os.readlink(_PIDS)))
    return f"{socket.gethostname().replace(':', '-')}/{boot}.{pids}"


def certainly_dead(worker: str) -> bool:
    """Whether a worker was a process of this machine that is gone; of other machines nothing is certain.

    Gone is also what nobody has waited for yet, and whose number another process has got since.
    """
    host, pid, begun, *_ = (*worker.split(":"), "", "")
    if host != machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is somebody else's; what follows tells whether it is still the same
    now = _begun(int(pid))
    return now == _ENDED or (begun.isdigit() and now.isdigit() and begun != now)


_ENDED = "ended"


def _begun(pid: int) -> str:
    """When a process began, in clock ticks since the boot; :data:`_ENDED` for a zombie, empty where nobody tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    state, *fields = stat.rpartition(b")")[2].split()  # the name before it may hold anything
    return _ENDED if state in (b"Z", b"X") else fields[18].decode()
