"""What a crash left between "about to push" and "pushed" is settled by asking the server: no box comes twice."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.feedback.inputs import carrier, settle
from diffgram_flows.ledger import Ledger, PushRow

GRACE = 60.0  # seconds after which a packet that arrived must be listed; to err would draw every box twice


@dataclass(frozen=True, slots=True)
class ReconcilePushesReport:
    """What became of the intents.

    Attributes:
        sent: The server has them, undecided.
        confirmed: The boxes are on the file.
        failed: The server refused them.
        released: They never arrived; the next push sends them.
        waiting: Too early to tell.
    """

    sent: int = 0
    confirmed: int = 0
    failed: int = 0
    released: int = 0
    waiting: int = 0


def reconcile_pushes(client: DiffgramClient, ledger: Ledger, *, grace: float = GRACE) -> ReconcilePushesReport:
    """Settle intents that have a file. Those without one travel with an import, and following it settles them.

    Call it at the start of a run, when nobody else is pushing.

    Raises:
        DiffgramError: The server does not answer.
    """
    open_pushes = [push for push in ledger.pushes.rows("intended") if push.file_id is not None]
    runs = {run.id: run.reference_id for run in client.model_runs()} if open_pushes else {}
    states = Counter(_settled(client, ledger, push, runs, grace) for push in open_pushes)
    return ReconcilePushesReport(**states)


def _settled(client: DiffgramClient, ledger: Ledger, push: PushRow, runs: dict[int, str], grace: float) -> str:
    found = carrier(client.imports(file_id=push.file_id), push)
    if found is not None:
        return settle(ledger, push, found)
    if time.time() - push.updated_at <= grace:
        return "waiting"
    state = "confirmed" if _shows(client, push, runs) else "released"
    ledger.pushes.settle(push, state)
    return state


def _shows(client: DiffgramClient, push: PushRow, runs: dict[int, str]) -> bool:
    """Whether something on the file bears the brain's mark."""
    annotations = client.annotations(push.file_id or 0)
    return any(
        instance.machine_made and runs.get(instance.model_run_id or 0) == push.brain
        for instance in annotations.instances
    )
