"""``diffgram-flows snapshot``: which there are, what is in them, and what became different. Asks no server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from diffgram_flows import parameters
from diffgram_flows.cli import Flat
from diffgram_flows.cli_output import DONE, FAILED, console, errors, show

if TYPE_CHECKING:
    from diffgram_flows.datasets.diffing import SnapshotDiff
    from diffgram_flows.models import Snapshot
    from diffgram_flows.storage.folders import Folder

__all__ = ["app", "diff", "list_", "show_"]

app = App(name="snapshot", help="Which snapshots there are, what is in them, and what became different.")
Json = Annotated[bool, Parameter(name="--json", negative="")]


@dataclass(frozen=True)
class Place:
    """Where snapshots lie.

    Attributes:
        workdir: The work folder.
        store_uri: The folder that machines share, like s3://bucket/prefix: its snapshots are seen, too.
    """

    workdir: Path = Path("diffgram-flows-data")
    store_uri: str = ""


Where = Annotated[Place, Flat]


@app.command(name="list")
def list_(*, where: Where = Place(), as_json: Json = False) -> int:
    """List the snapshots, oldest first.

    Parameters
    ----------
    as_json
        Print JSON.
    """
    from diffgram_flows.datasets.catalogue import list_snapshots

    entries = list_snapshots(_folder(where), _shared(where))
    if as_json:
        console.print_json(json.dumps([asdict(entry) for entry in entries]))
        return DONE
    table = Table(title="Snapshots", title_justify="left")
    for name in ("id", "made", "images", "annotations", "labels", "parent", "export", "dataset"):
        number = name in ("images", "annotations", "labels", "export")
        table.add_column(name, justify="right" if number else "left", no_wrap=name in ("id", "made"), overflow="fold")
    for entry in (entry for entry in entries if not entry.trouble):
        total, parents = entry.facts["total"], entry.facts["parents"]
        counts = (total["images"], sum(total["per_label"].values()), len(total["per_label"]))
        origin = ((parents["snapshot"] or "")[:8], str(parents["export"]), escape(entry.facts["target"]))
        table.add_row(entry.snapshot_id, entry.created[:16].replace("T", " "), *map(str, counts), *origin)
    console.print(table)
    for entry in (entry for entry in entries if entry.trouble):
        errors.print(f"[yellow]{entry.snapshot_id}[/]: {escape(entry.trouble)}", highlight=False)
    return DONE


@app.command(name="show")
def show_(
    snapshot: str = "latest",
    *,
    where: Where = Place(),
    as_json: Json = False,
) -> int:
    """Show what is in a snapshot, after checking that nothing of it was altered.

    Parameters
    ----------
    snapshot
        Its id, the beginning of its id, or latest.
    as_json
        Print the manifest as JSON.
    """
    from diffgram_flows.datasets.manifest import read_manifest

    place = _load(snapshot, where).folder
    facts = read_manifest(place)
    if as_json:
        console.print_json(json.dumps(facts))
        return DONE
    parents, provenance, near = facts["parents"], facts["provenance"], facts["near_duplicates"]
    show(
        f"Snapshot {facts['id']}",
        {
            "made": facts["created"],
            "dataset": facts["target"],
            "parents": f"export {parents['export']}, ledger position {parents['ledger_position']}, "
            f"snapshot {parents['snapshot'] or 'none'}",
            "options": ", ".join(f"{name}={value}" for name, value in facts["options"].items()),
            "annotations": ", ".join(f"{count} {name}" for name, count in provenance.items()),
            "by type": _counts(facts["total"]["per_type"]),
            "skipped": _counts(facts["skipped"]),
            "clipped": facts["clipped"],
            "left out": f"{facts['left_out_count']} files",
            "near-duplicates": f"{near['left']} across splits, {near['moved']} moved",
            "label map": facts["label_map_digest"][:16],
            "folder": place,
        },
    )
    console.print(_split_table(facts))
    return DONE


@app.command
def diff(
    before: str,
    after: str = "latest",
    *,
    where: Where = Place(),
    as_json: Json = False,
) -> int:
    """Show which images and annotations were added, changed and removed from one snapshot to another.

    The exit code is 1 if an image changed its split or a class index its label: brains of the two do not compare.

    Parameters
    ----------
    before
        The older one: its id, the beginning of its id, or latest.
    after
        The newer one.
    as_json
        Print JSON.
    """
    from diffgram_flows.datasets.diffing import diff_snapshots

    found = diff_snapshots(_load(before, where), _load(after, where))
    if as_json:
        console.print_json(json.dumps(asdict(found)))
    else:
        _show_diff(found)
    return DONE if found.indices_kept and not found.splits_changed else FAILED


def _show_diff(found: SnapshotDiff) -> None:
    labels = [f"+ {name}" for name in found.labels_added] + [f"- {name}" for name in found.labels_removed]
    labels += [f"{old} is now {new}" for old, new in found.labels_renamed.items()]
    show(
        "Differences",
        {
            "from": found.before,
            "to": found.after,
            "labels": ", ".join(labels) or "the same",
            "class indices": "kept" if found.indices_kept else Text("CHANGED THEIR MEANING", "red bold"),
            "splits": Text(f"{found.splits_changed} images CHANGED", "red bold") if found.splits_changed else "kept",
        },
    )
    table = Table()
    table.add_column("")
    for name in ("added", "changed", "removed"):
        table.add_column(name, justify="right")
    table.add_row("images", *map(str, (found.images_added, found.images_changed, found.images_removed)))
    for label, count in found.per_label.items():
        table.add_row(escape(label), *map(str, (count.added, count.changed, count.removed)))
    console.print(table)
    for kind, names in found.examples.items():
        for name in names[:3]:
            console.print(f"{kind}: {name}", highlight=False, markup=False, soft_wrap=True)


def _split_table(facts: dict[str, Any]) -> Table:
    table = Table()
    table.add_column("")
    names = [*facts["splits"], "total"]
    for name in names:
        table.add_column(name, justify="right")
    columns = [*facts["splits"].values(), facts["total"]]
    table.add_row("images", *(str(column["images"]) for column in columns))
    table.add_row("without annotation", *(str(column["empty"]) for column in columns))
    for label in facts["total"]["per_label"]:
        table.add_row(escape(label), *(str(column["per_label"][label]) for column in columns))
    return table


def _load(reference: str, where: Place) -> Snapshot:
    from diffgram_flows.datasets import ImageCache, load_snapshot
    from diffgram_flows.datasets.catalogue import find_snapshot

    place = find_snapshot(reference, _folder(where), _shared(where))
    return load_snapshot(place, ImageCache(where.workdir / "images"), check_images=False)


def _folder(where: Place) -> Path:
    return where.workdir.expanduser() / "snapshots"


def _shared(where: Place) -> Folder | None:
    """The snapshots that all machines see, if there are any."""
    from diffgram_flows.tasks.workspace import open_places

    return open_places(parameters.Target(workdir=where.workdir, store_uri=where.store_uri))[1]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
