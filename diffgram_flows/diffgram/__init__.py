"""The REST client of a Diffgram server: what the recorded contract says, and nothing more.

One module a resource (project, labels, imports, jobs, files, annotations, exports), all on one transport, which alone
knows HTTP: time-outs, retries, quotas and the server's error shapes. Replies become thin frozen records.

What to know before using it:

* A packet that was taken is only queued. Give every file a unique name, and look for it among the imports.
* A write whose connection broke is not sent again. :func:`maybe_delivered` tells that it may have arrived.
* Signed URLs are secrets: they are hidden in every text, error, representation and log of this room.
"""

from __future__ import annotations

from diffgram_flows.diffgram.client import DiffgramClient
from diffgram_flows.diffgram.import_row import ImportRow
from diffgram_flows.diffgram.pacing import Pacer, Unpaced
from diffgram_flows.diffgram.packet import MAX_NAME, MachineMark, Packet, instance_from_box
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
from diffgram_flows.diffgram.troubles import maybe_delivered

__all__ = [
    "MAX_NAME",
    "DiffgramClient",
    "Directory",
    "ExportRow",
    "FileAnnotations",
    "FileRow",
    "ImportRow",
    "Instance",
    "JobRow",
    "JobStat",
    "Label",
    "LabelSchema",
    "MachineMark",
    "Member",
    "ModelRun",
    "Packet",
    "Pacer",
    "ProjectInfo",
    "Record",
    "SaveResult",
    "TaskRow",
    "Unpaced",
    "instance_from_box",
    "maybe_delivered",
    "without_secrets",
]
