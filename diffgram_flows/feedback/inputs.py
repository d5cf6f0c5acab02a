"""Finding the import that carried a push."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from diffgram_flows.diffgram import ImportRow
from diffgram_flows.ledger import Ledger, PushRow


def carrier(rows: Iterable[ImportRow], push: PushRow) -> ImportRow | None:
    """The import of this file whose instances bear this brain's mark: the successful one, else the newest.

    Where the same boxes had been pushed before, the imports up to that one are another push's, and so is the import
    that brought the file itself.
    """
    found = [row for row in rows if row.file_id == push.file_id and push.brain in _runs(row)]
    if push.input_id is not None:
        found = [row for row in found if row.id > push.input_id and row.mode == "update"]
    return max(found, key=lambda row: (row.succeeded, row.id), default=None)


def settle(ledger: Ledger, push: PushRow, found: ImportRow) -> str:
    """Write down what the server says about a push: ``confirmed``, ``failed``, or ``sent`` while it is on its way."""
    if not found.finished:
        state, reason = "sent", ""
    elif found.succeeded:
        state, reason = "confirmed", ""
    else:
        state, reason = "failed", found.reason
    if state != push.state:
        carried = found.id if state == "confirmed" else push.input_id
        ledger.pushes.settle(replace(push, input_id=carried), state, reason=reason)
    return state


def _runs(row: ImportRow) -> set[str]:
    return {str(instance.get("model_run_ref")) for instance in row.instances}
