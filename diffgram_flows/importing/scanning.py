"""What lies in the bucket and is not in the ledger yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from diffgram_flows.errors import NothingToImport
from diffgram_flows.importing.naming import SUFFIXES, file_name
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Progress, StoredObject, no_progress
from diffgram_flows.storage import ObjectStore, SkipReason

_PAGE = 1000  # objects; what buckets return at a time, and all that is held in memory


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a listing held.

    Attributes:
        listed: Everything below the prefix.
        new: Written to the ledger by this scan.
        known: In the ledger before, in the same version.
        skipped: Reason to number, for what cannot be imported.
    """

    listed: int = 0
    new: int = 0
    known: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def scan(store: ObjectStore, prefix: str, ledger: Ledger, *, progress: Progress = no_progress) -> ScanReport:
    """Write every object below ``prefix`` that can be imported and is not known to the ledger, as ``new``.

    Raises:
        NothingToImport: The prefix holds nothing that can be imported.
        StorageError: The bucket cannot be listed.
    """
    new = known = 0
    skipped: Counter[str] = Counter()

    def skip(obj: StoredObject, reason: SkipReason) -> None:
        skipped[reason.value] += 1

    for page in _pages(store.iter_objects(prefix, suffixes=SUFFIXES, on_skip=skip)):
        written, taken = _record(ledger, page)
        skipped.update({"its name is taken by another object": taken} if taken else {})
        new, known = new + written, known + len(page) - written - taken
        progress(new + known + skipped.total(), 0, f"{new} new")
    listed = new + known + skipped.total()
    if new + known == 0:
        raise _nothing(f"{store.bucket}/{prefix}", listed, skipped)
    return ScanReport(listed, new, known, dict(skipped))


def _record(ledger: Ledger, fit: list[StoredObject]) -> tuple[int, int]:
    """Add what is unknown. How many were written, and how many have the name of another object and never can be."""
    unknown = ledger.objects.unknown(fit)
    written = ledger.objects.add(unknown, file_name)
    if written == len(unknown):
        return written, 0
    # Another run added the rest meanwhile, or two objects share a name: 40 bits of hash are not infinitely many.
    left = ledger.objects.unknown(fit)
    return len(unknown) - len(left), len(left)


def _pages(objects: Iterable[StoredObject]) -> Iterator[list[StoredObject]]:
    iterator = iter(objects)
    while page := list(islice(iterator, _PAGE)):
        yield page


def _nothing(place: str, listed: int, skipped: Counter[str]) -> NothingToImport:
    if listed == 0:
        return NothingToImport(
            f"There is no object below {place}.",
            cure="Check bucket and prefix; the prefix is compared as it is, with upper and lower case.",
        )
    reasons = ", ".join(f"{number} x {reason}" for reason, number in skipped.most_common())
    return NothingToImport(
        f"None of the {listed} objects below {place} can be imported: {reasons}.",
        cure=f"Supported types are {', '.join(sorted(SUFFIXES))}.",
    )
