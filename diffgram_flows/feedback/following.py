"""What became of pushed predictions: the server answers 200 first and looks at the boxes later."""

from __future__ import annotations

import time
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.feedback.inputs import carrier, settle
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import BrainRef, Failure

_LIMIT = 1000  # rows; the server gives no more, and has no paging (contract section 6)
_LOOKUPS = 50  # pushes a look that are asked for one by one, because the list does not reach back to them


@dataclass(frozen=True, slots=True)
class FollowPushesReport:
    """What became of a brain's pushes.

    Attributes:
        confirmed: The boxes are on the file.
        failed: The server refused them; boxes that came before the bad one may be on the file.
        waiting: Still queued.
        failures: The failed by file name, with their reasons.
    """

    confirmed: int = 0
    failed: int = 0
    waiting: int = 0
    failures: tuple[Failure, ...] = ()


def follow_pushes(
    client: DiffgramClient, ledger: Ledger, *, brain: BrainRef, timeout: float, poll: float = 1.0
) -> FollowPushesReport:
    """Settle the pushes of a brain that were sent, until none is left or the time is over.

    Args:
        client: The server.
        ledger: Whose ``sent`` pushes are followed.
        brain: Whose.
        timeout: Seconds.
        poll: Seconds between two looks.

    Raises:
        DiffgramError: The server does not answer.
    """
    ends_at = time.monotonic() + timeout
    confirmed, failures = 0, []
    while True:
        waiting = 0
        for name, state, reason in _look(client, ledger, str(brain)):
            confirmed += state == "confirmed"
            waiting += state == "sent"
            failures += [Failure(name, reason)] if state == "failed" else []
        left = ends_at - time.monotonic()
        if not waiting or left <= 0:
            return FollowPushesReport(confirmed, len(failures), waiting, tuple(failures))
        time.sleep(min(poll, left))


def _look(client: DiffgramClient, ledger: Ledger, brain: str) -> list[tuple[str, str, str]]:
    """File name, state and reason of every push that was on its way before this look."""
    pushes = ledger.pushes.rows("sent", brain=brain)
    if not pushes:
        return []
    listed = client.imports(limit=_LIMIT)
    lookups = _LOOKUPS if len(listed) >= _LIMIT else 0
    seen = []
    for push in pushes:
        found = carrier(listed, push)
        if found is None and lookups:
            lookups -= 1
            found = carrier(client.imports(limit=_LIMIT, file_id=push.file_id), push)
        state = settle(ledger, push, found) if found else "sent"
        seen.append((push.file_name, state, found.reason if found else ""))
    return seen
