"""How packets leave: with instances that were checked, under a name that is found again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from diffgram_flows.diffgram import Packet
from diffgram_flows.errors import InvalidRequest
from diffgram_flows.project.context import Context, Ref, id_of
from diffgram_flows.project.queued import QueuedImport

Instances = Sequence[Mapping[str, Any]]


def send(context: Context, packet: Packet, *, adopts: bool) -> QueuedImport:
    """Queue an import.

    Raises:
        InvalidRequest, BrokenReply: The server refused it.
        ServerUnreachable: No answer.
    """
    name, sent_at = packet.file_name or "", time.time()
    after = context.settled.get((packet.directory_id, name), 0)
    context.client.send_packet(packet)
    return QueuedImport(context, name, packet.directory_id, sent_at=sent_at, after=after, adopts=adopts)


def append(context: Context, file: Ref, instances: Instances, *, overwrite: bool = False) -> QueuedImport:
    """Add instances to a file; what is on it stays.

    Raises:
        InvalidRequest: ``overwrite`` was wanted, there is no instance, or one is wrong.
    """
    file_id = id_of(file)
    if overwrite:
        raise InvalidRequest(
            f"The instances of file {file_id} are not overwritten: that erases what people drew, those of completed "
            "tasks included.",
            cure="Leave overwrite out to add instances; to change single ones, use project.client.save_annotations.",
        )
    shapes = context.prepare(instances)
    directory_id = getattr(file, "directory_id", None) or context.directory_id(None)
    packet = Packet(directory_id, file_id=file_id, mode="update", instances=shapes)
    name, sent_at = getattr(file, "name", "") or f"file {file_id}", time.time()
    after = context.settled.get((directory_id, name), 0)
    context.client.send_packet(packet)
    return QueuedImport(context, name, directory_id, file_id, sent_at, after, instances=shapes)
