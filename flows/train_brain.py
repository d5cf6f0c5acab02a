"""Train on the newest snapshot, judge against the champion, promote what is better."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.brains import Verdict
from diffgram_flows.parameters import TrainParameters
from diffgram_flows.tasks import training


@flow(name="train brain")
def train_brain(parameters: TrainParameters) -> Verdict:
    """Train a version, unless a crash left one that was only not judged, and judge it.

    Args:
        parameters: Which dataset, which brain, and how it is trained.
    """
    brain = training.left_unjudged(parameters) or training.train(parameters)
    return training.judge_brain(parameters, brain)
