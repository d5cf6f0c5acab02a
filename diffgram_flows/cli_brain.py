"""Brains in the registry: ``brain list``, ``show``, ``promote``, ``rollback``, ``compare`` and ``lineage``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from diffgram_flows import parameters
from diffgram_flows.cli import Target
from diffgram_flows.cli_output import DONE, console, show
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import BrainRef

if TYPE_CHECKING:
    from diffgram_flows.brains import Registry
    from diffgram_flows.ledger import Ledger

app = App(name="brain", help="Look at trained brains, and decide which one is in use.")
app.command("diffgram_flows.cli_service:serve", name="serve", help="Answer over HTTP what the champions see in images.")
app.command("diffgram_flows.cli_converting:convert", name="convert", help="Bring in a brain of the earlier SDK.")
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
_SHOWN = 20
_ID_SHOWN = 12  # of a snapshot's id in a table; commands take the beginning of one


@app.command(name="list")
def list_(*, target: Target = parameters.Target(), as_json: Json = False) -> int:
    """Show every version of every brain; the champions are marked. Asks no server."""
    from diffgram_flows.tasks.lineage import manifests
    from diffgram_flows.tasks.workspace import open_places

    registry, _ = open_places(target)
    champions = {name: registry.champion_ref(name) for name in registry.names()}
    rows: list[dict[str, Any]] = [
        {
            "brain": str(ref),
            "champion": champions[ref.name] == ref,
            "created": manifest.created.isoformat(sep=" ", timespec="minutes"),
            "snapshot": manifest.snapshot_id,
            "parent": manifest.parent or "",
            **{f"{split} {found.metric}": found.value for split, found in manifest.metrics.items()},
        }
        for ref, manifest in manifests(registry)
    ]
    if as_json:
        return _print_json(rows)
    if not rows:
        console.print("There is no brain yet.")
        return DONE
    short = {"snapshot": _ID_SHOWN, "created": len("2026-01-02 03:04")}
    _print_rows("Brains", [{**row, **{name: row[name][:length] for name, length in short.items()}} for row in rows])
    return DONE


@app.command(name="show")
def show_(brain: str, *, target: Target = parameters.Target(), as_json: Json = False) -> int:
    """Show what is known about one version. Asks no server.

    Parameters
    ----------
    brain
        name@version
    """
    from diffgram_flows.tasks.workspace import open_places

    ref, (registry, _) = _ref(brain), open_places(target)
    manifest = registry.manifest(ref)
    if as_json:
        return _print_json({"brain": str(ref), **manifest.to_json()})
    facts: dict[str, Any] = {
        "champion": "yes" if registry.champion_ref(ref.name) == ref else "no",
        "method": manifest.method,
        "created": manifest.created.isoformat(sep=" ", timespec="seconds"),
        "snapshot": manifest.snapshot_id,
        "labels": f"{', '.join(manifest.label_map.names)} ({manifest.label_map.digest})",
        "parent": manifest.parent or "none",
        **_source(manifest.source),
        "score threshold": f"{manifest.score_threshold:.3f}",
        **{f"version of {name}": version for name, version in manifest.versions.items()},
        **{f"{split} {name}": f"{score:.4f}" for split, name, score in _scores(manifest.metrics)},
        **{f"sha256 of {name}": digest for name, digest in manifest.files.items()},
    }
    show(str(ref), facts)
    return DONE


@app.command
def promote(brain: str, *, target: Target = parameters.Target()) -> int:
    """Make a version the champion, whatever a judgement said. Asks no server.

    Parameters
    ----------
    brain
        name@version
    """
    from diffgram_flows.brains.mirroring import mirror
    from diffgram_flows.brains.promoting import promote as carry_out
    from diffgram_flows.tasks.workspace import open_records

    ref = _ref(brain)
    with open_records(target, ref.name) as (registry, ledgers):
        _settle(registry, ledgers, ref.name)
        done = carry_out(registry, ledgers[0], ref)
        _settle(registry, ledgers[1:], ref.name)
    mirror(ref, registry.manifest(ref), champion=True)
    show("Promotion", {"champion": str(ref), "": "promoted" if done else "it was the champion already"})
    return DONE


@app.command
def rollback(name: str, *, target: Target = parameters.Target()) -> int:
    """Make the champion before this one the champion again. The next update makes its predictions current again.

    Asks no server.

    Parameters
    ----------
    name
        Of the brain, without a version.
    """
    from diffgram_flows.brains.promoting import roll_back
    from diffgram_flows.tasks.workspace import open_records

    with open_records(target, name) as (registry, ledgers):
        _settle(registry, ledgers, name)
        before = registry.champion_ref(name)
        entry = roll_back(registry, ledgers[0], name)
        _settle(registry, ledgers[1:], name)
    show("Roll-back", {"champion": str(BrainRef(name, entry.version)), "instead of": str(before)})
    return DONE


@app.command
def compare(
    one: str, other: str, *, target: Target = parameters.Target(), snapshot: str = "", as_json: Json = False
) -> int:
    """Show how good two versions are, side by side: as found when they were trained, or on the same images.

    Parameters
    ----------
    one
        name@version
    other
        name@version
    snapshot
        Whose test images both are shown now: a snapshot's id, the beginning of one, or latest. Without it the stored
        evaluations are compared.
    """
    from diffgram_flows.tasks.comparing import compare_anew, compare_stored
    from diffgram_flows.tasks.workspace import open_places

    refs, (registry, shared) = (_ref(one), _ref(other)), open_places(target)
    if snapshot:
        workdir = target.workdir.expanduser().resolve()
        found = compare_anew(registry, refs, snapshot, workdir, shared)
    else:
        found = compare_stored(registry, refs)
    if as_json:
        return _print_json({"title": found.title, "rows": found.rows, "notes": found.notes})
    _print_rows(found.title, found.rows)
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)
    return DONE


@app.command
def lineage(what: str, *, target: Target = parameters.Target(), as_json: Json = False) -> int:
    """Tell where a brain comes from, or what became of a snapshot or an object.

    Parameters
    ----------
    what
        name@version, the id of a snapshot, or an object's URI.
    """
    from diffgram_flows.tasks.lineage import lineage as look
    from diffgram_flows.tasks.workspace import open_workspace

    found = look(open_workspace(target), what)
    if as_json:
        return _print_json(found.to_json())
    for brain in found.brains:
        pushed = ", ".join(f"{count} {state}" for state, count in brain.pushes.items()) or "none"
        facts = {"snapshot": brain.snapshot, "parent": brain.parent or "none", "created": brain.created}
        facts.update(_source(brain.source))
        history = "\n".join(brain.promotions) or "never promoted"
        show(f"Brain {brain.brain}{' (champion)' if brain.champion else ''}", {**facts, "": history, "pushes": pushed})
    for snapshot in found.snapshots:
        facts = {"export": str(snapshot.export_id), "images": str(snapshot.images), "created": snapshot.created}
        show(f"Snapshot {snapshot.snapshot}", {**facts, "place": snapshot.place})
    for brain_name, state in found.pushes.items():
        console.print(f"Push of {brain_name}: {state}", highlight=False)
    for uri in found.objects[:_SHOWN]:
        console.print(uri, highlight=False, soft_wrap=True)
    if len(found.objects) > _SHOWN:
        console.print(f"... and {len(found.objects) - _SHOWN} more objects; all of them with --json.")
    return DONE


def _source(source: Mapping[str, str]) -> dict[str, str]:
    """What a brain was converted from, if it was."""
    return {"converted from": f"{source['file']} (sha256 {source['sha256']})"} if source else {}


def _settle(registry: Registry, ledgers: Sequence[Ledger], name: str) -> None:
    """Let every ledger tell what the registry's log tells of a brain."""
    from diffgram_flows.brains.promoting import reconcile_promotions

    for ledger in ledgers:
        reconcile_promotions(registry, ledger, [name])


def _scores(metrics: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    return [(split, name, score) for split, found in metrics.items() for name, score in found.scores.items()]


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == "brain")  # a name is there to be copied
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in columns))
    console.print(table, markup=False)  # people name labels and attributes as they like, with brackets too


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _print_json(value: Any) -> int:
    console.print_json(json.dumps(value, ensure_ascii=False, default=str))
    return DONE


def _ref(text: str) -> BrainRef:
    problem = ""
    try:
        return BrainRef.parse(text)
    except ValueError as error:
        problem = str(error)
    raise ConfigurationError(f"{problem}.", cure="Write it like detector@3; `diffgram-flows brain list` shows them.")
