"""What an import would do, for a person to look at before it is done."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffgram_flows.importing.naming import file_name
from diffgram_flows.importing.options import DRAIN
from diffgram_flows.importing.policy import Policy
from diffgram_flows.importing.scanning import NAME_TAKEN, Comparison, ScanReport
from diffgram_flows.ledger import Change, Ledger, Plan
from diffgram_flows.models import Failure, Progress, StoredObject, no_progress
from diffgram_flows.storage import ObjectStore

_LIST_PAGE = 1000  # objects that a bucket lists in one request
_EXAMPLES = 20  # blocked objects of each reason that are named
_MD5 = re.compile(r"[0-9a-f]{32}")
_LOOKS = 8.0  # seconds between two looks at the server's list, in the long run
DUPLICATES_NOTE = (
    "Duplicates are told by equal ETag and size, which holds for objects of S3 that were not uploaded in parts and are "
    "not encrypted by KMS; others are not noticed."
)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What estimates are made with.

    Attributes:
        packets_per_second: What the server takes from one address; 0 where it has no limit.
        drain_rate: Files a second that the server gets done.
        inspect_headers: Whether every new object is read before it is sent.
        price_per_1000_lists: What a thousand list requests cost at the bucket's provider; ``None`` to show no price.
    """

    packets_per_second: float = 20.0
    drain_rate: float = DRAIN
    inspect_headers: bool = True
    price_per_1000_lists: float | None = None


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """A plan for people.

    Attributes:
        id: What ``apply`` takes.
        place: Bucket and prefix.
        new, changed, returned, deleted, known: Objects. ``returned`` were gone and are back; of these, those whose
            file is still there need no packet.
        ignored: Changes that the policy ignores.
        duplicates: Objects to be imported with the content of another object, as far as that can be told.
        blocked: Reason to number, for what cannot be imported.
        examples: Some of the blocked objects.
        packets: Requests that bring a file.
        list_requests, read_requests: Requests to the bucket, of this listing and of the import.
        looks: Requests that follow the imports, about.
        hours: How long it takes at the server's limits.
        price: Of the listing, in the user's own currency.
    """

    id: str
    place: str
    new: int
    changed: int
    returned: int
    deleted: int
    known: int
    ignored: int
    duplicates: int
    blocked: Mapping[str, int]
    packets: int
    list_requests: int
    read_requests: int
    looks: int
    hours: float
    price: float | None = None
    examples: tuple[Failure, ...] = ()

    def rows(self) -> Iterator[tuple[str, str]]:
        """What a table shows: a name and a text each."""
        yield "plan", self.id
        yield "new", str(self.new)
        yield "changed", f"{self.changed}" + (f" ({self.ignored} more ignored)" if self.ignored else "")
        yield "back again", str(self.returned)
        yield "deleted in the bucket", str(self.deleted)
        yield "already there", str(self.known)
        yield "duplicate content", str(self.duplicates)
        for reason, number in sorted(self.blocked.items(), key=lambda item: -item[1]):
            yield f"blocked: {reason}", str(number)
        yield "packets to Diffgram", str(self.packets)
        yield "requests that follow them", f"about {self.looks}"
        yield "requests to the bucket", f"{self.list_requests} lists, {self.read_requests} reads"
        yield "hours", f"{self.hours:.2f}"
        if self.price is not None:
            yield "price of a listing", f"{self.price:.4f}"


def make_plan(
    store: ObjectStore,
    prefix: str,
    ledger: Ledger,
    *,
    parameters: Mapping[str, Any],
    policy: Policy | None = None,
    options: PlanOptions | None = None,
    progress: Progress = no_progress,
) -> ImportPlan:
    """Compare a bucket with the ledger and write the differences down as a plan, which changes nothing yet.

    Args:
        store: The bucket.
        prefix: How the keys begin.
        ledger: Where the plan is kept.
        parameters: What whoever carries it out needs; anything that JSON can hold, and no secret.
        policy: What happens to changed and deleted objects.
        options: For the estimates.
        progress: Told how many objects were listed.

    Raises:
        NothingToImport: The prefix holds nothing that can be imported.
        StorageError: The bucket cannot be listed.
    """
    counts: dict[str, int] = {}
    examples: list[Failure] = []

    def block(obj: StoredObject, reason: str) -> None:
        if compared.blocked[reason] <= _EXAMPLES:
            examples.append(Failure(obj.uri, reason))

    compared = Comparison(store, prefix, ledger, policy or Policy(), progress=progress, on_blocked=block)
    plan = ledger.plans.make(parameters, _counted(compared, counts), also=counts)
    if counts["hashed"]:
        counts["duplicates"] = ledger.plans.duplicates(plan.id)
    return _described(plan, f"{store.bucket}/{prefix}", counts, compared.blocked, options, tuple(examples))


def apply_plan(ledger: Ledger, plan_id: str) -> ScanReport:
    """Write the changes of a plan into the ledger: what is to be sent is ``new`` then.

    Raises:
        PlanOutdated: The ledger has moved since the plan was made, or it was carried out before.
        LedgerError: There is no such plan.
    """
    recorded, counts = ledger.plans.apply(plan_id, file_name), ledger.plans.find(plan_id).counts
    return ScanReport(
        listed=counts.get("listed", 0),
        new=recorded.new + recorded.changed,
        known=counts.get("known", 0),
        changed=recorded.changed,
        deleted=recorded.deleted,
        returned=recorded.returned,
        skipped={NAME_TAKEN: recorded.left} if recorded.left else {},
    )


def describe_plan(plan: Plan, place: str, options: PlanOptions | None = None) -> ImportPlan:
    """A plan that was made before."""
    return _described(plan, place, plan.counts, {}, options, ())


def write_plan(ledger: Ledger, plan: ImportPlan, path: Path) -> None:
    """Write a plan with all its changes as JSON.

    Raises:
        OSError: The file cannot be written.
    """
    head = {name: value for name, value in asdict(plan).items() if value is not None}
    text = json.dumps(head, indent=2, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text[:-2] + ',\n  "changes": [')
        for number, change in enumerate(ledger.plans.changes(plan.id)):
            file.write(("," if number else "") + "\n    " + json.dumps(_line(change), ensure_ascii=False))
        file.write("\n  ]\n}\n")


def _line(change: Change) -> dict[str, Any]:
    known = {"known_version": change.known_version, "known_state": change.known_state} if change.row_id else {}
    stored = change.object
    return {"kind": change.kind, "uri": stored.uri, "version": stored.version, "size": stored.size, **known}


def _counted(compared: Comparison, counts: dict[str, int]) -> Iterator[Change]:
    """The changes; ``counts`` is filled while they pass, and complete at their end."""
    returned = hashed = 0
    for change in compared:
        returned += change.kind == "new" and change.row_id is not None
        hashed += change.kind != "deleted" and is_content_hash(change.object)
        yield change
    diff = compared.diff
    counts.update(diff.counts)
    counts.update(
        listed=compared.listed,
        changed=diff.changed - compared.ignored,
        new=diff.new - returned - compared.unrecordable,
        returned=returned,
        ignored=compared.ignored,
        blocked=compared.blocked.total(),
        hashed=hashed,
    )


def is_content_hash(obj: StoredObject) -> bool:
    """Whether the version of an object is told by its content alone: an ETag of S3 that is an MD5.

    An upload in parts has ``-N`` at the end of its ETag. With KMS it looks like an MD5 and is none; two objects never
    have the same one then, so nothing is taken for a duplicate that is none.
    """
    return obj.bucket.startswith("s3://") and _MD5.fullmatch(obj.version) is not None


def _described(
    plan: Plan,
    place: str,
    counts: Mapping[str, int],
    blocked: Mapping[str, int],
    options: PlanOptions | None,
    examples: tuple[Failure, ...],
) -> ImportPlan:
    options = options or PlanOptions()
    packets = counts.get("new", 0) + counts.get("changed", 0)
    slowest = min(rate for rate in (options.packets_per_second, options.drain_rate) if rate > 0)
    seconds = packets / slowest
    lists = max(1, math.ceil(counts.get("listed", 0) / _LIST_PAGE))
    price = options.price_per_1000_lists
    return ImportPlan(
        id=plan.id,
        place=place,
        packets=packets,
        list_requests=lists,
        read_requests=2 * packets if options.inspect_headers else packets,
        looks=math.ceil(seconds / _LOOKS),
        hours=seconds / 3600,
        price=None if price is None else price * lists / 1000,
        blocked=dict(blocked) or ({"see the plan's own output": counts["blocked"]} if counts.get("blocked") else {}),
        examples=examples,
        **{name: counts.get(name, 0) for name in _COUNTS},
    )


_COUNTS = ("new", "changed", "returned", "deleted", "known", "ignored", "duplicates")
