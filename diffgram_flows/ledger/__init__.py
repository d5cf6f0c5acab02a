"""What has been done, in SQL: the truth about every object, task, push, label, snapshot and training.

SQLite (WAL) by default, PostgreSQL by URL for several machines. A row is written before a call goes out and again when
its outcome is known; what lies between the two after a crash is settled by asking the server.

What an import asks of it::

    ledger = open_ledger("postgresql://user@host/name", "https://diffgram/project/7")

    diff = ledger.objects.diff(bucket, prefix, store.iter_objects(prefix))   # two sorted streams, merged: diffing.py
    plan = ledger.plans.make({"prefix": prefix}, diff)                      # any size; refuses if the ledger moved
    ledger.plans.apply(plan.id, file_name)                                  # or ledger.objects.record(diff, file_name)

    while claim := ledger.claims.adopt_expired() or ledger.claims.claim_chunk(100):   # many workers: claims.py
        with ledger.claims.kept(claim) as heartbeat:
            for row in claim.rows:
                heartbeat.check()                                            # ClaimLost: another worker goes on
                ...                                                          # the packet leaves
                ledger.objects.sent([row.id], claim=claim.id)                # states.py says what may follow what

    ledger.objects.trace("s3://photos/a.jpg")                                # versions, states, times, pushes, tasks
    ledger.position()                                                        # moves with every change of an object
    ledger.pacer("https://diffgram")                                         # the server's quotas, shared: pacing.py

Troubles with the database are :class:`LedgerUnavailable` where a retry can help, else :class:`LedgerError`.
"""

from diffgram_flows.ledger.book import recordable
from diffgram_flows.ledger.claims import Claim, Claims, Heartbeat
from diffgram_flows.ledger.database import open_ledger
from diffgram_flows.ledger.diffing import Change, Diff
from diffgram_flows.ledger.ledger import Ledger
from diffgram_flows.ledger.outcomes import Outcome
from diffgram_flows.ledger.pacing import SERVER_LIMITS, Limit, SharedPacer
from diffgram_flows.ledger.plans import Plan
from diffgram_flows.ledger.promotions import PromotionRow
from diffgram_flows.ledger.pushes import PushRow
from diffgram_flows.ledger.recording import Recorded
from diffgram_flows.ledger.rows import ObjectRow
from diffgram_flows.ledger.tracing import Event, VersionTrace
from diffgram_flows.ledger.work import JobRow, TaskRow
from diffgram_flows.ledger.workers import new_worker

__all__ = [
    "SERVER_LIMITS",
    "Change",
    "Claim",
    "Claims",
    "Diff",
    "Event",
    "Heartbeat",
    "JobRow",
    "Ledger",
    "Limit",
    "ObjectRow",
    "Outcome",
    "Plan",
    "PromotionRow",
    "PushRow",
    "Recorded",
    "SharedPacer",
    "TaskRow",
    "VersionTrace",
    "new_worker",
    "open_ledger",
    "recordable",
]
