"""Bucket to Diffgram: what is new becomes files of a dataset, and files become tasks.

:func:`import_new` does it all: it compares the bucket with the ledger (:func:`scan`), writes the differences down, and
lets a :class:`Worker` claim chunks, send them and follow them to their end, as other workers do on the same ledger.
:func:`make_plan` and :func:`apply_plan` put a person's look between the comparison and the deed. :func:`assign` gives
the files to people. :func:`send_chunk`, :func:`follow` and :func:`reconcile` are the steps alone, for one worker.

Nothing is imported twice and nothing is lost, because every object has one name (:func:`file_name`) under which the
server knows at most one file, because intent and outcome of every packet are in the ledger, and because what a worker
leaves behind is taken over by another. One bad object never stops the others: it is counted, and listed with its
reason.
"""

from diffgram_flows.importing.archiving import ArchiveReport, archive
from diffgram_flows.importing.assigning import AssignReport, assign, refresh_jobs, refresh_tasks
from diffgram_flows.importing.following import FollowReport, follow
from diffgram_flows.importing.importer import ImportReport, import_new, take_stock
from diffgram_flows.importing.inspecting import inspect
from diffgram_flows.importing.naming import SUFFIXES, file_name
from diffgram_flows.importing.options import DRAIN, LISTING, WorkOptions
from diffgram_flows.importing.planning import ImportPlan, PlanOptions, apply_plan, describe_plan, make_plan, write_plan
from diffgram_flows.importing.policy import Policy
from diffgram_flows.importing.prelabelling import Prelabeller
from diffgram_flows.importing.reconciling import ReconcileReport, reconcile
from diffgram_flows.importing.routes import RouteName
from diffgram_flows.importing.scanning import ScanReport, scan
from diffgram_flows.importing.sending import SendReport, send_chunk
from diffgram_flows.importing.worker import Worker

__all__ = [
    "DRAIN",
    "LISTING",
    "SUFFIXES",
    "ArchiveReport",
    "AssignReport",
    "FollowReport",
    "ImportPlan",
    "ImportReport",
    "PlanOptions",
    "Policy",
    "Prelabeller",
    "ReconcileReport",
    "RouteName",
    "ScanReport",
    "SendReport",
    "WorkOptions",
    "Worker",
    "apply_plan",
    "archive",
    "assign",
    "describe_plan",
    "file_name",
    "follow",
    "import_new",
    "inspect",
    "make_plan",
    "reconcile",
    "refresh_jobs",
    "refresh_tasks",
    "scan",
    "send_chunk",
    "take_stock",
    "write_plan",
]
