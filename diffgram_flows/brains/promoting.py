"""Promotion and roll-back as a transaction between the registry and the ledger.

Three steps, each whole or not at all: the ledger's intent, the entry in the registry's log (from then on the champion
is the new one), and the ledger's outcome. A crash between two of them is settled by :func:`reconcile_promotions`: the
log decides whether it happened.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from diffgram_flows.brains.champions import Promotion
from diffgram_flows.brains.registry import ANYONE, Anyone, Registry
from diffgram_flows.errors import BrainError, ConfigurationError
from diffgram_flows.ledger import Ledger, PromotionRow
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import BrainRef


def promote(
    registry: Registry,
    ledger: Ledger,
    ref: BrainRef,
    *,
    instead_of: BrainRef | Anyone | None = ANYONE,
    training: TrainingRow | None = None,
) -> Promotion | None:
    """Make a version the champion, and write it down.

    Args:
        registry: Where it is.
        ledger: Where it is written down.
        ref: Which version.
        instead_of: The champion that it was compared with, which must still be the one (``None``: there was none).
        training: What the judgement said; it is written down together with the promotion, or not at all.

    Returns:
        The new entry of the registry's log; ``None`` if it was the champion already.

    Raises:
        BrainNotFound: There is no such version.
        BrainTampered: One of its files is not what its manifest says.
        ChampionChanged: Somebody else is the champion by now.
    """
    registry.get(ref).verify()
    before = registry.champion_ref(ref.name)
    intent = _intent("promote", before, ref, training)
    with _announced(ledger, intent):
        entry = registry.promote(ref, instead_of=instead_of, intent=intent.id)
    ledger.promotions.fulfil([replace(intent, number=entry.number if entry else None)])
    return entry


def roll_back(registry: Registry, ledger: Ledger, name: str) -> Promotion:
    """Make the champion before this one the champion again, and write it down.

    Returns:
        The new entry of the registry's log, whose version is the champion.

    Raises:
        NoChampion: There was none before.
        BrainNotFound: It is gone, or there is no brain of that name.
        BrainTampered: One of its files is not what its manifest says.
        ChampionChanged: Somebody else has changed the champion at the same time.
    """
    champions = registry.champions(name)
    if len(champions) < 2:
        raise registry.no_way_back(name, champions)
    registry.get(champions[-2]).verify()
    intent = _intent("rollback", champions[-1], champions[-2], None)
    with _announced(ledger, intent):
        entry = registry.rollback(name, instead_of=champions[-1], intent=intent.id)
    ledger.promotions.fulfil([replace(intent, number=entry.number)])
    return entry


def reconcile_promotions(registry: Registry, ledger: Ledger, names: Iterable[str] = ()) -> list[PromotionRow]:
    """Settle what a crash left open, and copy what others did: afterwards the ledger tells what the log tells.

    It may run beside a promotion: whoever comes second finds the outcome written already, or writes it again.

    Args:
        registry: Whose log decides.
        ledger: Whose intents are settled.
        names: Brains to look at besides those that the ledger knows.

    Returns:
        The rows that were ``done`` or ``dropped`` by this.
    """
    rows = ledger.promotions.rows()
    settled: list[PromotionRow] = []
    for name in sorted({*names, *(row.brain for row in rows)}):
        own = [row for row in rows if row.brain == name]
        entries = registry.history(name, after=max(_copied(own) - 1, 0))  # with one that tells who was before
        known, done = {row.id: row for row in own}, {row.number for row in own if row.state == "done"}
        before = {entry.number + 1: entry.version for entry in entries}
        fulfilled = [_row(name, entry, before, known) for entry in entries if entry.number not in done]
        ledger.promotions.fulfil(fulfilled)
        happened = {row.id for row in fulfilled}
        lost = [row for row in own if row.state == "intended" and row.id not in happened]
        dropped = [replace(row, state="dropped") for row in lost if ledger.promotions.drop(row.id)]
        settled += [*(replace(row, state="done") for row in fulfilled), *dropped]
    return settled


@contextmanager
def _announced(ledger: Ledger, intent: PromotionRow) -> Iterator[None]:
    """Write the intent down, and give it up if the registry says no; where it does not answer, nobody knows yet."""
    ledger.promotions.intend(intent)
    try:
        yield
    except (BrainError, ConfigurationError):
        ledger.promotions.drop(intent.id)
        raise


def _intent(action: str, before: BrainRef | None, after: BrainRef, training: TrainingRow | None) -> PromotionRow:
    earlier = before.version if before else None
    return PromotionRow(uuid.uuid4().hex, after.name, action, earlier, after.version, training=training)


def _copied(rows: Iterable[PromotionRow]) -> int:
    """The number up to which the log was copied without a gap."""
    numbers = {row.number for row in rows if row.state == "done"}
    last = 0
    while last + 1 in numbers:
        last += 1
    return last


def _row(name: str, entry: Promotion, before: dict[int, int], known: dict[str, PromotionRow]) -> PromotionRow:
    """The ledger's row for an entry of the log: its own intent, or a copy of what another one did."""
    if entry.intent in known:
        return replace(known[entry.intent], number=entry.number)
    row_id = entry.intent or f"{name}#{entry.number}"
    earlier = before.get(entry.number)
    at = entry.at.timestamp()
    return PromotionRow(row_id, name, entry.action, earlier, entry.version, number=entry.number, created_at=at)
