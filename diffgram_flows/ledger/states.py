"""The states of an object, and which may follow which. The only place that says so.

::

            ┌──────────────────────────────────────────┐
            v                                          │  (not delivered, or its URL died in the queue: again)
           new ──────> sending ──────> sent ───────────┤
            │             │             │              │
            v             v             ├──> failed ───┘  the server or the importer said no
         refused       refused          v
    never sent: not an image         imported ──> superseded ──┐
                                        │   a newer version    ├──> archiving ──> archived
                                        └───────> gone ────────┘    its file leaves the dataset
                                             not in the bucket

``sending`` and ``archiving`` are intents, committed before the call goes out. After a crash they mean "maybe".
``superseded`` and ``gone`` say something about the bucket: the file, if there was one, is still in Diffgram until
the row is ``archived``. An object that comes back is ``imported`` again if its file is still there, else ``new``.
What is on its way when a newer version is recorded arrives as ``superseded`` instead of ``imported`` or ``new``.
"""

from __future__ import annotations

from collections.abc import Mapping

OPEN_STATES = ("new", "sending", "sent")
ON_THEIR_WAY = ("sending", "sent")
"""Maybe at the server: what a bucket says about such an object is not acted on before it has arrived."""

ABSENT = frozenset({"gone", "archiving", "archived"})
"""Not in the bucket as far as the ledger knows: no listing can make it absent once more."""

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "new": frozenset({"sending", "imported", "failed", "refused", "superseded", "gone"}),
    "sending": frozenset({"new", "sent", "imported", "failed", "refused", "superseded"}),
    "sent": frozenset({"new", "imported", "failed", "refused", "superseded"}),
    "imported": frozenset({"superseded", "gone"}),
    "failed": frozenset({"new", "imported", "superseded", "gone"}),
    "refused": frozenset({"new", "superseded", "gone"}),
    "superseded": frozenset({"new", "imported", "archiving"}),
    "gone": frozenset({"new", "imported", "superseded", "archiving"}),
    "archiving": frozenset({"archived"}),
    "archived": frozenset({"new"}),
}
"""From each state, those that may follow."""

STATES = tuple(TRANSITIONS)


def before(state: str) -> tuple[str, ...]:
    """The states from which an object may come to ``state``; itself included, to say a thing twice is no change.

    Raises:
        ValueError: There is no such state.
    """
    if state not in TRANSITIONS:
        raise ValueError(f"{state!r} is no state of an object; there are {', '.join(STATES)}.")
    return (state, *(earlier for earlier, later in TRANSITIONS.items() if state in later))
