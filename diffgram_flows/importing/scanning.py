"""What lies in the bucket, compared with the ledger, and written down there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from diffgram_flows.errors import NothingToImport
from diffgram_flows.importing.naming import SUFFIXES, file_name
from diffgram_flows.importing.policy import Policy
from diffgram_flows.ledger import Change, Diff, Ledger, Recorded, recordable
from diffgram_flows.models import Progress, StoredObject, no_progress
from diffgram_flows.storage import ObjectStore, SkipReason

UNRECORDABLE = "key that the ledger cannot hold"
NAME_TAKEN = "its name is taken by another object"
_TELL_EVERY = 1000  # objects
OnBlocked = Callable[[StoredObject, str], object]
"""Told every object that cannot be imported, and why."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a listing held.

    Attributes:
        listed: Everything below the prefix.
        new: Written to the ledger by this scan, to be imported; ``changed`` ones included.
        known: In the ledger before, in the same version.
        changed: New versions of objects that the ledger had.
        deleted: Objects that the ledger had and the bucket has not any more.
        returned: Objects that were gone and are back.
        skipped: Reason to number, for what cannot be imported.
    """

    listed: int = 0
    new: int = 0
    known: int = 0
    changed: int = 0
    deleted: int = 0
    returned: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


class Comparison:
    """One listing of a bucket beside the ledger: iterate it once for the changes that can be acted upon.

    Args:
        store: The bucket.
        prefix: How the keys begin.
        ledger: What it is compared with.
        policy: Changes that it ignores are counted and left out.
        progress: Told how many objects were listed.
        on_blocked: Told every object that cannot be imported, and why.

    Attributes:
        blocked: Reason to number, complete at the end.
        ignored: Changes that the policy ignores.
        unrecordable: Objects among the blocked whose key or version the ledger cannot hold.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        ledger: Ledger,
        policy: Policy,
        *,
        progress: Progress = no_progress,
        on_blocked: OnBlocked | None = None,
    ) -> None:
        self.blocked: Counter[str] = Counter()
        self.ignored = self.unrecordable = 0
        self._store, self._prefix, self._policy = store, prefix, policy
        self._progress, self._on_blocked = progress, on_blocked
        self._seen = 0
        objects = self._store.iter_objects(prefix, suffixes=SUFFIXES, on_skip=self._skip)
        self.diff: Diff = ledger.objects.diff(store.bucket, prefix, self._counted(objects))

    @property
    def listed(self) -> int:
        """Everything below the prefix, as far as it was read."""
        return self._seen + self.blocked.total() - self.unrecordable

    def __iter__(self) -> Iterator[Change]:
        """The changes.

        Raises:
            NothingToImport: The prefix holds nothing that can be imported. What the ledger has of it is not taken for
                deleted then: a folder that is not mounted, or a wrong prefix, looks like that.
            StorageError: The bucket cannot be listed.
        """
        for change in self.diff:
            if change.kind == "deleted" and not self._seen:
                break
            if change.kind == "changed" and self._policy.changed == "ignore":
                self.ignored += 1
            elif change.kind != "deleted" and not _fits(change.object):
                self.unrecordable += 1
                self._block(change.object, UNRECORDABLE)
            else:
                yield change
        if not self._seen:
            raise self._nothing()

    def _counted(self, objects: Iterator[StoredObject]) -> Iterator[StoredObject]:
        seen = 0
        try:
            for stored in objects:
                seen += 1
                if seen == 1 or seen % _TELL_EVERY == 0:
                    self._seen = seen
                if seen % _TELL_EVERY == 0:
                    self._progress(self.listed, 0, f"{self.diff.new} new")
                yield stored
        finally:
            self._seen = seen

    def _skip(self, obj: StoredObject, reason: SkipReason) -> None:
        self._block(obj, reason.value)

    def _block(self, obj: StoredObject, reason: str) -> None:
        self.blocked[reason] += 1
        if self._on_blocked is not None:
            self._on_blocked(obj, reason)

    def _nothing(self) -> NothingToImport:
        place = f"{self._store.bucket}/{self._prefix}"
        if not self.blocked:
            return NothingToImport(
                f"There is no object below {place}.",
                cure="Check bucket and prefix; the prefix is compared as it is, with upper and lower case.",
            )
        reasons = ", ".join(f"{number} x {reason}" for reason, number in self.blocked.most_common())
        return NothingToImport(
            f"None of the {self.blocked.total()} objects below {place} can be imported: {reasons}.",
            cure=f"Supported types are {', '.join(sorted(SUFFIXES))}.",
        )


def _fits(obj: StoredObject) -> bool:
    return recordable(obj.bucket, obj.key, obj.version)


def scan(
    store: ObjectStore,
    prefix: str,
    ledger: Ledger,
    *,
    policy: Policy | None = None,
    progress: Progress = no_progress,
) -> ScanReport:
    """Compare what lies below ``prefix`` with the ledger, and write the differences there.

    Raises:
        NothingToImport: The prefix holds nothing that can be imported; nothing was written.
        StorageError: The bucket cannot be listed; what was read until then is written.
    """
    compared = Comparison(store, prefix, ledger, policy or Policy(), progress=progress)
    recorded = ledger.objects.record(compared, file_name)
    progress(compared.listed, compared.listed, f"{recorded.new} new")
    taken = compared.diff.new - compared.unrecordable - recorded.new - recorded.returned
    skipped = Counter(compared.blocked) + Counter({NAME_TAKEN: taken} if taken > 0 else {})
    return report(compared, recorded, dict(skipped))


def report(compared: Comparison, recorded: Recorded, skipped: dict[str, int]) -> ScanReport:
    """What was found and written."""
    return ScanReport(
        listed=compared.listed,
        new=recorded.new + recorded.changed,
        known=compared.diff.known + compared.ignored,
        changed=recorded.changed,
        deleted=recorded.deleted,
        returned=recorded.returned,
        skipped=skipped,
    )
