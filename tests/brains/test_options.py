from __future__ import annotations

import pytest

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.errors import ConfigurationError


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
    ],
)
def test_refuses_what_cannot_work(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        TrainingOptions(**{name: value})  # type: ignore[arg-type]


def test_survives_json_and_unknown_options() -> None:
    options = TrainingOptions(steps=7, seed=3)
    assert TrainingOptions.from_json({**options.to_json(), "of_the_future": 1}) == options
