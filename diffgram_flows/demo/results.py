"""What came of the demo, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from diffgram_flows.brains import Brain, BrainRecord, DetectionEvaluation, evaluate, pictures_of
from diffgram_flows.demo.rounds import Play
from diffgram_flows.feedback import acceptance
from diffgram_flows.models import BrainRef, Sample, Snapshot


@dataclass(frozen=True)
class RoundResult:
    """One round.

    Attributes:
        brain: The champion after it.
        map, map50: Of that champion, on the test images of the last snapshot: all rounds are judged alike.
        images_annotated: Files that people finished in it.
        edits_per_image: Boxes that they drew, corrected or deleted, per file.
        prelabels_kept_share: Part of the pre-labels that they left as they were; ``None`` where there were none.
    """

    brain: str
    map: float
    map50: float
    images_annotated: int
    edits_per_image: float
    prelabels_kept_share: float | None


@dataclass(frozen=True)
class Summary:
    """The whole demo.

    Attributes:
        objects: In the bucket, as the ledger knows it.
        imported: Of them, files in Diffgram.
        duplicates: Files in Diffgram beyond one an object.
        failed: Objects that were given up.
        wall_seconds: Of this start of the demo.
    """

    objects: int
    imported: int
    duplicates: int
    failed: int
    wall_seconds: float
    rounds: tuple[RoundResult, ...]

    def show(self, console: Console) -> None:
        """Print it as two short tables."""
        facts = Table("objects", "imported", "duplicates", "failed", "seconds")
        facts.add_row(*map(str, (self.objects, self.imported, self.duplicates, self.failed, round(self.wall_seconds))))
        table = Table("round", "champion", "annotated", "edits an image", "pre-labels kept", "mAP", "mAP50")
        for number, result in enumerate(self.rounds, start=1):
            kept = result.prelabels_kept_share
            table.add_row(
                str(number),
                result.brain,
                str(result.images_annotated),
                f"{result.edits_per_image:.2f}",
                "none yet" if kept is None else f"{kept:.0%}",
                f"{result.map:.3f}",
                f"{result.map50:.3f}",
            )
        console.print(facts, table)


def summarise(
    play: Play, snapshot: Snapshot, evaluations: dict[str, DetectionEvaluation], wall_seconds: float
) -> Summary:
    """Count everything, from the ledger and from the server."""
    workspace = play.workspace
    counts = workspace.ledger.objects.counts()
    names = [file.name for file in workspace.client.files(workspace.directory_id)]
    return Summary(
        objects=sum(counts.values()),
        imported=counts.get("imported", 0),
        duplicates=len(names) - len(set(names)),
        failed=counts.get("failed", 0) + counts.get("refused", 0),
        wall_seconds=round(wall_seconds, 1),
        rounds=tuple(_round(play, number, snapshot, evaluations) for number in range(len(play.rounds))),
    )


def champions(play: Play) -> dict[str, BrainRecord]:
    """The champions of the rounds, oldest first, each once."""
    registry = play.workspace.registry
    names = dict.fromkeys(record.champion for record in play.rounds if record.champion)
    return {name: registry.get(BrainRef.parse(name)) for name in names}


def judged(records: dict[str, BrainRecord], samples: tuple[Sample, ...]) -> dict[str, DetectionEvaluation]:
    """Every champion on the same images."""
    found = {}
    for name, record in records.items():
        predictions = Brain.load(record).predict(pictures_of(samples), score_threshold=0.0)
        found[name] = evaluate(samples, predictions, record.manifest.label_map)
    return found


def _round(play: Play, number: int, snapshot: Snapshot, evaluations: dict[str, DetectionEvaluation]) -> RoundResult:
    record = play.rounds[number]
    before = play.rounds[number - 1] if number else None
    files = set(record.finished) - set(before.finished if before else ())
    boxes = sum(len(sample.boxes) for sample in snapshot.samples if sample.file_id in files)
    kept = deleted = 0
    share = None
    if before and before.champion:
        brain = BrainRef.parse(before.champion)
        treated = acceptance(play.workspace.client, play.workspace.ledger, brain=brain, files=files)
        kept, deleted, share = treated.kept, treated.deleted, round(treated.rate, 4)
    scores = evaluations[record.champion]
    return RoundResult(
        brain=record.champion,
        map=round(scores.map, 4),
        map50=round(scores.map50, 4),
        images_annotated=len(files),
        edits_per_image=round((boxes - kept + deleted) / max(1, len(files)), 3),
        prelabels_kept_share=share,
    )
