"""Bucket to Diffgram: what is new becomes files of a dataset, and files become tasks.

Three verbs, which :func:`import_new` does one after the other, and which the ledger lets processes share: :func:`scan`
writes down what the bucket holds, :func:`send_chunk` sends a range of it, :func:`follow` finds out what became of it.
:func:`reconcile` settles what a crash left behind; :func:`assign` gives the files to people.

Nothing is imported twice and nothing is lost, because every object has one name (:func:`file_name`) under which the
server knows at most one file, and because intent and outcome of every packet are in the ledger. One bad object never
stops the others: it is counted, and listed with its reason.
"""

from diffgram_flows.importing.assigning import AssignReport, assign, refresh_jobs, refresh_tasks
from diffgram_flows.importing.following import FollowReport, follow
from diffgram_flows.importing.importer import ImportReport, import_new
from diffgram_flows.importing.inspecting import inspect
from diffgram_flows.importing.naming import SUFFIXES, file_name
from diffgram_flows.importing.prelabelling import Prelabeller
from diffgram_flows.importing.reconciling import ReconcileReport, reconcile
from diffgram_flows.importing.scanning import ScanReport, scan
from diffgram_flows.importing.sending import SendReport, send_chunk

__all__ = [
    "SUFFIXES",
    "AssignReport",
    "FollowReport",
    "ImportReport",
    "Prelabeller",
    "ReconcileReport",
    "ScanReport",
    "SendReport",
    "assign",
    "file_name",
    "follow",
    "import_new",
    "inspect",
    "reconcile",
    "refresh_jobs",
    "refresh_tasks",
    "scan",
    "send_chunk",
]
