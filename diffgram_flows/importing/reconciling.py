"""What a crash left between "about to send" and "sent" is settled by asking the server."""

from __future__ import annotations

import time
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.importing.following import GRACE
from diffgram_flows.importing.listing import Listing
from diffgram_flows.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What became of rows in ``sending``: the server has them, it does not, or it is too early to tell."""

    sent: int = 0
    released: int = 0
    waiting: int = 0


def reconcile(client: DiffgramClient, ledger: Ledger, *, directory_id: int, grace: float = GRACE) -> ReconcileReport:
    """Settle the rows in ``sending``. Only for one worker who has the ledger for himself, and is not sending.

    To release a row that was delivered after all does no harm: the server refuses the second packet by its name, and
    following adopts the file of the first.

    Raises:
        DiffgramError: The server does not answer.
    """
    rows = ledger.objects.rows("sending")
    if not rows:
        return ReconcileReport()
    listing = Listing.read(client, directory_id)
    delivered = [row.id for row in rows if listing.find(row) is not None]
    ledger.objects.sent(delivered)
    missing = [row for row in rows if listing.find(row) is None]
    lost = [row.id for row in missing if time.time() - row.updated_at > grace]
    ledger.objects.release(lost, "The packet never arrived.")
    return ReconcileReport(len(delivered), len(lost), len(missing) - len(lost))
