"""The REST client of a Diffgram server: what the recorded contract says, and nothing more.

One module a resource (project, labels, attributes, imports, uploads, batches, jobs, tasks, files, annotations,
exports), all on one transport, which alone knows HTTP: time-outs, retries, quotas and the server's error shapes.
Replies become thin frozen records. :mod:`~diffgram_flows.diffgram.shapes` makes what is drawn,
:mod:`~diffgram_flows.diffgram.instances` checks it, and :mod:`~diffgram_flows.diffgram.webhooks` reads events.

What to know before using it:

* A packet that was taken is only queued. Give every file a unique name, and look for it among the imports.
* A write whose connection broke is not sent again. :func:`maybe_delivered` tells that it may have arrived.
* Signed URLs are secrets: they are hidden in every text, error, representation and log of this room.
"""

from __future__ import annotations

from diffgram_flows.diffgram import instances, shapes
from diffgram_flows.diffgram.batches import Prelabel
from diffgram_flows.diffgram.chunks import MIN_CHUNK, UploadState, safe_name
from diffgram_flows.diffgram.client import DiffgramClient
from diffgram_flows.diffgram.import_row import ImportRow
from diffgram_flows.diffgram.instances import prepare, resolve_labels
from diffgram_flows.diffgram.pacing import Pacer, Unpaced
from diffgram_flows.diffgram.packet import MAX_NAME, Packet
from diffgram_flows.diffgram.records import (
    Directory,
    ExportRow,
    FileAnnotations,
    FileRow,
    Instance,
    JobRow,
    JobStat,
    Label,
    LabelSchema,
    Member,
    ModelRun,
    ProjectInfo,
    Record,
    SaveResult,
    TaskRow,
)
from diffgram_flows.diffgram.redaction import without_secrets
from diffgram_flows.diffgram.setup_records import (
    AttachedDirectory,
    AttributeGroup,
    AttributeOption,
    BatchRow,
    Connection,
    FileStat,
    Guide,
    JobInfo,
    JobMembers,
)
from diffgram_flows.diffgram.shapes import MachineMark, instance_from, instance_from_box
from diffgram_flows.diffgram.troubles import maybe_delivered
from diffgram_flows.diffgram.webhooks import WebhookEvent

__all__ = [
    "MAX_NAME",
    "MIN_CHUNK",
    "AttachedDirectory",
    "AttributeGroup",
    "AttributeOption",
    "BatchRow",
    "Connection",
    "DiffgramClient",
    "Directory",
    "ExportRow",
    "FileAnnotations",
    "FileRow",
    "FileStat",
    "Guide",
    "ImportRow",
    "Instance",
    "JobInfo",
    "JobMembers",
    "JobRow",
    "JobStat",
    "Label",
    "LabelSchema",
    "MachineMark",
    "Member",
    "ModelRun",
    "Packet",
    "Pacer",
    "Prelabel",
    "ProjectInfo",
    "Record",
    "SaveResult",
    "TaskRow",
    "Unpaced",
    "UploadState",
    "WebhookEvent",
    "instance_from",
    "instance_from_box",
    "instances",
    "maybe_delivered",
    "prepare",
    "resolve_labels",
    "safe_name",
    "shapes",
    "without_secrets",
]
