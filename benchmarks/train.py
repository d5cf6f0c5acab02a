"""What training costs: a step against a bare Keras fit, and processor time until a detector is good.

    python benchmarks/train.py [--seeds 0 1 2] [--steps N] [--quick] [--json FILE]

``step_ratio`` is the processor time of a step of our loop (augmented batches, gradient, AdamW, moving average,
bookkeeping) over that of ``keras.Model.fit`` with the same network, loss, batches and Keras' own AdamW. Both run in one
process and take turns of some dozen steps, so that a machine whose speed drifts slows both; the median of the turns.

``cpu_seconds_to_map50_080`` is the processor time, on all cores, from image files to a detector that finds digits on
photographs with mAP50 0.80 or more, judged by pictures whose digits and places it never saw: decoding, putting the
graph together and training count, judging does not. Each is written for each seed, and the worst of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from train_keras import keras_fit

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.tensorflow.batches import Batches
from diffgram_flows.brains.tensorflow.detector import detection_lesson
from diffgram_flows.brains.tensorflow.fitting import fit
from diffgram_flows.brains.tensorflow.judging import make_judge
from diffgram_flows.brains.tensorflow.lesson import Lesson
from diffgram_flows.brains.tensorflow.machines import build
from diffgram_flows.brains.tensorflow.objective import Judged
from diffgram_flows.brains.tensorflow.samples import Decoded, decode_samples
from diffgram_flows.demo import digits
from diffgram_flows.models import Annotation, Box, LabelMap, Sample, Split

LABELS = LabelMap(tuple((digit + 1, str(digit)) for digit in range(10)))
GOAL = 0.80
TURN = 20  # steps; the loop tells of its progress twenty times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of the training to the goal; the default is that of a brain")
    parser.add_argument("--quick", action="store_true", help="one seed and a small network, for a look at the ratio")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    wanted = parser.parse_args()
    options = replace(TrainingOptions(), **({"steps": wanted.steps} if wanted.steps else {}))
    if wanted.quick:
        options = replace(options, image_size=64, width=8, head=16)
    with tempfile.TemporaryDirectory() as folder:
        teaching = pictures(Path(folder), range(40 if wanted.quick else 400), "train")
        judging = pictures(Path(folder), range(400, 500), "test")
        seeds = []
        for seed in wanted.seeds[: 1 if wanted.quick else None]:
            chosen = replace(options, seed=seed)
            found: dict[str, Any] = {"seed": seed, "step_ratio": step_ratio(teaching, chosen, Path(folder))}
            if not wanted.quick:
                found |= race(teaching, judging, chosen, Path(folder, f"race-{seed}"))
            seeds.append(found)
            print(report(found), flush=True)
    figures = {"seeds": seeds, "step_ratio": max(found["step_ratio"] for found in seeds)}
    if not wanted.quick:
        reached = [found["cpu_seconds_to_map50_080"] for found in seeds]
        figures["cpu_seconds_to_map50_080"] = None if None in reached else max(reached)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def report(found: dict[str, Any]) -> str:
    """One line."""
    line = f"seed {found['seed']}: step ratio {found['step_ratio']:.3f}"
    if "map50" in found:
        reached = found["cpu_seconds_to_map50_080"]
        goal = f"after {reached:.0f} CPU s" if reached is not None else "never reached"
        line += f", mAP50 {GOAL} {goal}, at the end {found['map50']:.3f} after {found['cpu_seconds']:.0f} CPU s"
    return line


def pictures(folder: Path, numbers: Sequence[int], split: Split) -> tuple[Sample, ...]:
    """Write pictures of digits; the samples with what is in them."""
    digits.write_pictures(folder, numbers, lambda name: split)
    samples = []
    for number in numbers:
        name = digits.file_name(number)
        boxes = [Annotation.of_box(Box(int(label) + 1, *corners)) for label, corners in digits.boxes_of(number, split)]
        side = digits.SIDE
        samples.append(Sample(number, name, "", "0" * 64, folder / name, side, side, split, tuple(boxes)))
    return tuple(samples)


def race(
    teaching: Sequence[Sample], judging: Sequence[Sample], options: TrainingOptions, folder: Path
) -> dict[str, Any]:
    """Train, and look after each twentieth whether the goal is reached."""
    lesson = detection_lesson(LABELS, options)
    unseen = decode_samples(judging, options.image_size, folder / "judging")
    judge = make_judge(
        unseen.images,
        lesson.truth(unseen.samples),
        lesson.objective,
        answer=lesson.answer,
        scores=lesson.scores(unseen.samples),
        batch_size=options.batch_size,
    )
    assert judge is not None  # noqa: S101
    course: list[tuple[float, float]] = []
    clock = Clock()

    def timed(network: Any) -> Judged:
        seconds = clock.read()
        judged = judge(network)
        course.append((round(seconds, 1), round(judged.scores["mAP50"], 3)))
        clock.forget()
        return judged

    data = batches(lesson, decode_samples(teaching, options.image_size, folder / "teaching"), options)
    fit(build(options, lesson.layers), lesson.objective, data, options, judge=timed)
    return {
        "cpu_seconds_to_map50_080": next((seconds for seconds, map50 in course if map50 >= GOAL), None),
        "cpu_seconds": course[-1][0],
        "map50": course[-1][1],
        "course": course,
    }


def batches(lesson: Lesson, decoded: Decoded, options: TrainingOptions) -> Batches:
    """The training's data."""
    return Batches(decoded.images, lesson.truth(decoded.samples), options, augment=lesson.augment)


class Clock:
    """Processor time of this process, less what was to be forgotten."""

    def __init__(self) -> None:
        self._start = self._seen = time.process_time()

    def read(self) -> float:
        """Seconds that count."""
        self._seen = time.process_time()
        return self._seen - self._start

    def forget(self) -> None:
        """Take out what has passed since the clock was read."""
        self._start += time.process_time() - self._seen


def step_ratio(teaching: Sequence[Sample], options: TrainingOptions, folder: Path) -> float:
    """Median over the turns of ours to Keras'; the first ones, in which the graphs are put together, are left out."""
    options = replace(options, steps=20 * TURN)
    lesson = detection_lesson(LABELS, options)
    data = batches(lesson, decode_samples(teaching, options.image_size, folder / "ratio"), options)
    turns = Turns()

    def ours() -> None:
        network = build(options, lesson.layers)
        fit(network, lesson.objective, data, options, progress=lambda done, total, note="": turns.over("ours"))

    def keras() -> None:
        keras_fit(build(options, lesson.layers), lesson.objective, data, options, lambda: turns.over("keras"))

    turns.alternate({"ours": ours, "keras": keras})
    ratios = [a / b for a, b in zip(turns.seconds["ours"], turns.seconds["keras"], strict=True)]
    return statistics.median(ratios[2:])


class Turns:
    """Pieces of work that run alternately, each in a thread of its own, and the processor time of each turn."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._gates: dict[str, threading.Semaphore] = {}
        self._began = 0.0

    def alternate(self, works: Mapping[str, Callable[[], None]]) -> None:
        """Run all of them to their ends; all have the same number of turns."""
        self._gates = {name: threading.Semaphore(0) for name in works}
        self.seconds = {name: [] for name in works}
        with ThreadPoolExecutor(len(works)) as pool:
            done = [pool.submit(self._work, name, work) for name, work in works.items()]
            next(iter(self._gates.values())).release()
        for work in done:
            work.result()

    def over(self, name: str) -> None:
        """The turn of ``name`` is over; comes back when it is on again."""
        self.seconds[name].append(time.process_time() - self._began)
        self._next(name)
        self._gates[name].acquire()
        self._began = time.process_time()

    def _work(self, name: str, work: Callable[[], None]) -> None:
        gate = self._gates[name]
        gate.acquire()
        self._began = time.process_time()
        try:
            work()
        finally:
            self._next(name)
            del self._gates[name]

    def _next(self, name: str) -> None:
        """Whoever comes after ``name`` among those that are not done; perhaps nobody else."""
        names = list(self._gates)
        self._gates[names[(names.index(name) + 1) % len(names)]].release()


if __name__ == "__main__":
    main()
