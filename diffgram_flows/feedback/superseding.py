"""Removing the boxes of older brains, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from diffgram_flows.diffgram import DiffgramClient, FileAnnotations, Instance
from diffgram_flows.ledger import Ledger, PushRow


def supersede(
    client: DiffgramClient,
    ledger: Ledger,
    annotations: FileAnnotations,
    stale: Sequence[Instance],
    pushes: Iterable[PushRow],
) -> str:
    """Remove ``stale`` from a file.

    The server only takes complete lists: everything is sent back as it was read, the stale boxes with ``soft_delete``
    (contract section 10). What a person saves between our reading and our writing is therefore dropped by the server,
    and nothing in its replies could bring it back. The ids of such boxes are in the reply.

    Args:
        client: The server.
        ledger: Where the pushes are written down as superseded, before the call.
        annotations: The file as it was read a moment ago.
        stale: What is to go.
        pushes: Where the stale boxes came from.

    Returns:
        Empty, or what a person must do because the server dropped more than it should.

    Raises:
        DiffgramError: The server does not answer, or refuses.
    """
    for push in pushes:
        if push.state in ("sent", "confirmed"):
            ledger.pushes.settle(push, "superseded", reason=push.reason)
    ids = {instance.id for instance in stale}
    complete = [{**raw, "soft_delete": True} if raw.get("id") in ids else raw for raw in annotations.raw]
    result = client.save_annotations(annotations.file.id, complete)
    dropped = sorted((set(result.missing) | set(result.deleted)) - ids)
    if not dropped:
        return ""
    return (
        f"A person drew on {annotations.file.name} (file {annotations.file.id}) at the very moment in which older "
        f"boxes were removed, and the server dropped the instances {', '.join(map(str, dropped))}. Draw them again."
    )
