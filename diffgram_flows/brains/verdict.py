"""What a judgement says, and what it was found from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffgram_flows.brains.evaluation import Evaluation, Interval
from diffgram_flows.brains.recency import WindowScore
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.models import BrainRef, Prediction


@dataclass(frozen=True, slots=True)
class Judged:
    """A brain that looked at the judging images.

    Attributes:
        record: Which brain.
        evaluation: With its evidence.
        shown: What people would see of it in each image, in the order of the images: above its score threshold.
    """

    record: BrainRecord
    evaluation: Evaluation
    shown: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Plate:
    """A picture of a report.

    Attributes:
        key: What it shows, in lower-case letters and dashes.
        path: The file.
        caption: A sentence below it.
    """

    key: str
    path: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Report:
    """A judgement to look at.

    Attributes:
        page: An HTML file that needs no other.
        pictures: Its pictures as files.
    """

    page: Path
    pictures: tuple[Plate, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of comparing a brain with the champion.

    Attributes:
        candidate: The brain that was judged.
        champion: The one in use before, ``None`` if there was none.
        candidate_evaluation, champion_evaluation: On the same images, without their evidence.
        passed: Whether the candidate passed the gate.
        promoted: Whether it became the champion.
        reasons: Why it passed or what it failed, as sentences.
        remarks: What people should know besides, as sentences.
        interval: Of the difference to the champion, with the confidence that was asked for; ``None`` without one.
        shared_interval: The same for the labels alone that the champion knows, where it does not know all.
        windows: The scores on the newest images.
        report: The report that was written, if one was asked for.
    """

    candidate: BrainRef
    champion: BrainRef | None
    candidate_evaluation: Evaluation
    champion_evaluation: Evaluation | None
    passed: bool
    promoted: bool
    reasons: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    interval: Interval | None = None
    shared_interval: Interval | None = None
    windows: tuple[WindowScore, ...] = ()
    report: Report | None = None

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return " ".join(self.reasons)
