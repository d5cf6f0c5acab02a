"""The rounds: pictures arrive, the cycle runs, people annotate, the cycle runs again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

from rich.console import Console

from diffgram_flows.demo.material import Material, label_names
from diffgram_flows.demo.run import DemoOptions
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.disk import write_file
from diffgram_flows.models import Progress
from diffgram_flows.parameters import (
    AnnotationOptions,
    Bucket,
    CycleParameters,
    ExportOptions,
    ImportOptions,
    Target,
    TrainOptions,
)
from diffgram_flows.reports import shown_in_terminal, watched
from diffgram_flows.sandbox import Annotator, SandboxProcess
from diffgram_flows.sandbox.comparison import AnnotationTally
from diffgram_flows.sandbox.truth import CocoTruth
from diffgram_flows.tasks.cycling import CycleSummary
from diffgram_flows.tasks.exporting import refresh_work
from diffgram_flows.tasks.workspace import Workspace, open_workspace
from flows.cycle import cycle

_ERROR_RATE = 0.02
_STEPS, _WARM_STEPS = 280, 420  # short trainings: the demo is to end within minutes on two cores


@dataclass(frozen=True)
class RoundRecord:
    """What is remembered of a round that is over.

    Attributes:
        finished: Ids of all files that people had finished by then.
        champion: The brain in use after it.
    """

    finished: tuple[int, ...]
    champion: str


class Play:
    """The demo's state, which survives being killed: every step looks first at what is done already."""

    def __init__(
        self, workdir: Path, material: Material, diffgram: SandboxProcess, options: DemoOptions, console: Console
    ) -> None:
        self.workdir = workdir
        self.material = material
        self.options = options
        self._diffgram = diffgram
        self._console = console
        self._state = workdir / "rounds.json"
        self.rounds = self._read()

    @property
    def bucket(self) -> Path:
        return self.workdir / "bucket"

    @cached_property
    def workspace(self) -> Workspace:
        return open_workspace(self._target())

    def round(self, number: int) -> None:
        """Play one round, unless it is over already."""
        if number <= len(self.rounds):
            return
        self._say(f"[bold]Round {number}[/]: pictures arrive in the bucket, the cycle imports them")
        self.material.put(self.bucket, number)
        self._prepare_labels()
        form = self._parameters(number)
        self._cycle(form)
        self._say("People annotate" if number == 1 else "People correct the pre-labels")
        self._annotate(self.material.annotated_after(number))
        self._say("The cycle exports, trains, predicts and updates")
        self._cycle(form)
        self._remember()

    def _cycle(self, form: CycleParameters) -> CycleSummary:
        with shown_in_terminal():
            summary = cycle(form)
        self._say(f"  did: {', '.join(summary.did)}; waits for {'; '.join(summary.waiting_for) or 'nothing'}")
        return summary

    def _annotate(self, goal: int) -> None:
        truth = CocoTruth.load(self.material.truth)
        if truth.clipped or truth.dropped:
            self._say(
                f"  {self.material.truth.name}: {truth.clipped} boxes reach out of their image and are cut, "
                f"{truth.dropped} lie outside or are empty and are left out"
            )
        person = Annotator(
            self._diffgram.url, self._diffgram.email, self._diffgram.password, truth, error_rate=_ERROR_RATE
        )
        with shown_in_terminal(), watched("Annotating", "annotating") as progress:
            for job in self.workspace.ledger.work.jobs():
                finished = len(self._finished())
                if finished < goal and job.job_id is not None:
                    told = partial(_tell, progress, finished, goal)
                    person.annotate(job.job_id, goal - finished, done=told)
            progress(len(self._finished()), goal)

    def _finished(self) -> set[int]:
        refresh_work.fn(self._target())
        return self.workspace.ledger.work.finished_files()

    def _prepare_labels(self) -> None:
        """The labels that people will use exist before the first task, as in any real project."""
        client = DiffgramClient(
            self._diffgram.url, self._diffgram.project, self._diffgram.client_id, self._diffgram.client_secret
        )
        with client:
            schema = next(schema for schema in client.schemas() if schema.is_default)
            client.ensure_labels(schema.id, label_names(self.material.truth))

    def _parameters(self, number: int) -> CycleParameters:
        before = self.material.annotated_after(number - 1) if number > 1 else 0
        return CycleParameters(
            target=self._target(),
            bucket=Bucket(uri=f"file://{self.bucket}"),
            importing=ImportOptions(stuck_minutes=0.2, timeout_minutes=10),
            annotation=AnnotationOptions(job_name="digits" if self.options.images is None else "annotate"),
            exporting=ExportOptions(min_new_files=self.material.annotated_after(number) - before),
            training=TrainOptions(
                min_new_images=1, image_size=self.options.image_size, steps=_STEPS, warm_steps=_WARM_STEPS
            ),
        )

    def _target(self) -> Target:
        return Target(dataset="demo", workdir=self.workdir)

    def _remember(self) -> None:
        champion = self.workspace.champion("detector")
        finished = tuple(sorted(self.workspace.ledger.work.finished_files()))
        self.rounds.append(RoundRecord(finished, str(champion.ref) if champion else ""))
        write_file(self._state, json.dumps([asdict(record) for record in self.rounds]).encode())

    def _read(self) -> list[RoundRecord]:
        if not self._state.exists():
            return []
        return [RoundRecord(tuple(row["finished"]), row["champion"]) for row in json.loads(self._state.read_text())]

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)


def _tell(progress: Progress, before: int, goal: int, tally: AnnotationTally) -> None:
    progress(before + tally.images, goal)
