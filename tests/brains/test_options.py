from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.options import BACKBONES
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.parameters import Backbone, TrainOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 100),
        ("image_size", 32),
        ("steps", 0),
        ("batch_size", -1),
        ("learning_rate", 0.0),
        ("averaging", 1.0),
        ("augmentation", 1.5),
        ("balance", -0.1),
        ("frozen", 1.5),
        ("patience", -1),
        ("schedule", "square"),
        ("backbone", "VGG"),
        ("seed", -1),
        ("seed", 2**32),
        ("weight_decay", -0.1),
        ("learning_rate", float("inf")),
        ("learning_rate", float("nan")),
        ("steps", 4.5),
        ("steps", "4"),
        ("batch_size", True),
        ("deterministic", 1),
        ("backbone_weights", Path("weights.h5")),
    ],
)
def test_refuses_what_cannot_work(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        TrainingOptions(**{name: value})  # type: ignore[arg-type]


def test_a_whole_number_is_a_number_too() -> None:
    assert TrainingOptions(learning_rate=1, balance=0, seed=2**32 - 1).learning_rate == 1


def test_survives_json_and_unknown_options() -> None:
    options = TrainingOptions(steps=7, seed=3)
    assert TrainingOptions.from_json({**options.to_json(), "of_the_future": 1}) == options


@pytest.mark.parametrize(
    ("name", "value"),
    [("backbone", "VGG"), ("brain", ".x"), ("seed", -1), ("seed", 2**32), ("learning_rate", float("inf"))],
)
def test_the_form_refuses_it_before_anything_runs(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        TrainOptions.model_validate({name: value})


def test_the_form_offers_all_backbones() -> None:
    assert get_args(Backbone) == BACKBONES
