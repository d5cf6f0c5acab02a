"""What has been done, in SQL: the truth about every object, task, push, label, snapshot and training.

SQLite (WAL) by default, another database by URL. A row is written before a call goes out and again when its outcome is
known; what lies between the two after a crash is settled by asking the server.
"""

from diffgram_flows.ledger.database import open_ledger
from diffgram_flows.ledger.ledger import Ledger
from diffgram_flows.ledger.objects import ObjectRow
from diffgram_flows.ledger.pacing import Limit, SharedPacer
from diffgram_flows.ledger.pushes import PushRow
from diffgram_flows.ledger.work import JobRow, TaskRow

__all__ = ["JobRow", "Ledger", "Limit", "ObjectRow", "PushRow", "SharedPacer", "TaskRow", "open_ledger"]
