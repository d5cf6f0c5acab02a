"""The dead are told from the slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diffgram_flows.ledger import workers
from diffgram_flows.ledger.workers import certainly_dead, machine, new_worker, place_of

NAME = "from diffgram_flows.ledger.workers import new_worker; print(new_worker(), flush=True); input()"
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="There is no /proc.")


@contextmanager
def stranger(*command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, which lives until it is killed or the block ends, and its name as a worker."""
    command = (*command, sys.executable, "-c", NAME)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@on_linux
def test_who_was_killed_is_dead_before_and_after_somebody_has_waited_for_it() -> None:
    with stranger() as (process, name):
        assert place_of(name)[1] == str(process.pid)
        assert not certainly_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert certainly_dead(name)
        process.wait()
        assert certainly_dead(name)


@on_linux
def test_whose_number_another_process_has_got_is_dead() -> None:
    name = new_worker()
    host, pid, begun, rest = name.split(":")
    assert not certainly_dead(name)
    assert certainly_dead(f"{host}:{pid}:{int(begun) - 1}:{rest}")


@on_linux
@pytest.mark.skipif(shutil.which("unshare") is None, reason="There is no unshare.")
def test_of_another_pid_namespace_nothing_is_certain() -> None:
    with stranger("unshare", "--map-root-user", "--pid", "--fork", "--kill-child") as (process, name):
        if not name:
            pytest.skip("No namespaces may be made here.")
        assert name.partition(":")[0] != machine(), "or its numbers are taken for ours"
        process.kill()
        process.wait()
        assert not certainly_dead(name)


def test_without_proc_the_number_alone_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_begun", lambda pid: "")
    assert not certainly_dead(new_worker())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert certainly_dead(f"{machine()}:{ended.pid}::x")


@pytest.mark.parametrize("name", ["", "elsewhere/1:7:x", "elsewhere", f"{machine()}:none:x"])
def test_of_names_that_are_not_ours_nothing_is_certain(name: str) -> None:
    assert not certainly_dead(name)
