"""How long, how large and how repeatable a training is."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import ConfigurationError

COARSEST_STRIDE = 32
OWN_BACKBONE = "small"
IMAGENET = "imagenet"
BACKBONES = (
    *(OWN_BACKBONE, "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "ResNet50V2"),
    *("EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2S"),
)
SCHEDULES = ("cosine", "linear", "constant")
_ONE = 1.0 + 1e-9
_MOST_SEED = 2**32 - 1  # of NumPy's generator, which Keras seeds as well
_KINDS: dict[type, tuple[type | tuple[type, ...], str]] = {
    bool: (bool, "True or False"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    str: (str, "a text"),
}


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The size of the network and the length of its training.

    The length is counted in steps, so it costs the same time however many images there are: about 0.1 s of
    processor time a step at the default sizes.

    Attributes:
        image_size: Side in pixels of the square that every image is resized to; a multiple of 32.
        width: Channels of the network's first layer; the deeper ones are multiples of it.
        backbone: ``small`` (ours, of ``width``) or a network of ``keras.applications``: one of :data:`BACKBONES`.
        backbone_weights: A file with weights of the backbone, ``imagenet`` to fetch them, nothing to begin at random.
            For ``retinanet`` a preset of keras-hub: a folder, or a name to fetch it by.
        head: Channels of the layers that classes and boxes are read from.
        batch_size: Images a step.
        steps: Optimiser steps.
        learning_rate: The peak of the schedule.
        schedule: How the learning rate ends after its peak: ``cosine`` (one cycle) and ``linear`` fall to nothing,
            ``constant`` stays.
        weight_decay: Of AdamW.
        averaging: Decay of the moving average of the weights that becomes the brain; 0 keeps the last weights.
        augmentation: How strongly images are scaled, moved and recoloured at random, 0 (not at all) to 1. Short
            trainings learn faster with little, long ones on few images generalise better with much.
        balance: How much more often images with rare classes are shown: 0 not at all, 0.5 by the square root of how
            rare they are, 1 until all classes are equally frequent.
        patience: After how many intervals (twentieths of the training) without a better result on the validation
            images the training stops and returns to the best; 0 never stops early.
        frozen: The share of the steps in which a pretrained backbone does not learn, 0 to 1.
        mixed_precision: Whether a GPU computes in half precision; a CPU never does.
        seed: Of the first weights, the order of the images and the augmentation; 0 to 2**32 - 1.
        deterministic: Whether the operations are bit for bit repeatable too (10 to 40 % slower, and it stays
            switched on for the rest of the process).
    """

    image_size: int = 192
    width: int = 24
    backbone: str = "small"
    backbone_weights: str = ""
    head: int = 64
    batch_size: int = 8
    steps: int = 800
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    weight_decay: float = 1e-3
    averaging: float = 0.98
    augmentation: float = 0.3
    balance: float = 0.0
    patience: int = 0
    frozen: float = 0.0
    mixed_precision: bool = True
    seed: int = 0
    deterministic: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: An option is of another kind than its default, or a number is out of range.
        """
        for option in fields(self):
            self._check_kind(option.name, type(option.default))
        self._check_range()

    def _check_kind(self, name: str, kind: type) -> None:
        value, (wanted, told) = getattr(self, name), _KINDS[kind]
        fits = isinstance(value, wanted) and isinstance(value, bool) == (kind is bool)
        self._demand(name, fits and (kind is not float or math.isfinite(value)), f"Choose {told}.")

    def _check_range(self) -> None:
        fits = self.image_size >= 2 * COARSEST_STRIDE and self.image_size % COARSEST_STRIDE == 0
        least = f"{2 * COARSEST_STRIDE} or more"
        self._demand("image_size", fits, f"Choose a multiple of {COARSEST_STRIDE}, {least}.")
        for name in ("width", "head", "batch_size", "steps", "learning_rate"):
            self._demand(name, getattr(self, name) > 0, "Choose a number above zero.")
        for name, known in (("schedule", SCHEDULES), ("backbone", BACKBONES)):
            self._demand(name, getattr(self, name) in known, f"Choose one of {', '.join(known)}.")
        for name in ("patience", "weight_decay"):
            self._demand(name, getattr(self, name) >= 0, "Choose a number from 0 on.")
        for name, below in (("averaging", 1.0), ("augmentation", _ONE), ("balance", _ONE), ("frozen", _ONE)):
            self._demand(name, 0 <= getattr(self, name) < below, "Choose a number from 0 to 1.")
        self._demand("seed", 0 <= self.seed <= _MOST_SEED, f"Choose a number from 0 to {_MOST_SEED}.")

    def _demand(self, name: str, fits: bool, cure: str) -> None:
        if not fits:
            raise ConfigurationError(f"The training option {name} is {getattr(self, name)!r}.", cure=cure)

    def weights_digest(self) -> str | None:
        """SHA-256 of the file, or of all files of the folder, with the backbone's weights; ``None`` without any."""
        path = Path(self.backbone_weights)
        if self.backbone_weights in ("", IMAGENET) or not path.exists():
            return None
        if path.is_file():
            return sha256_of(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{sha256_of(file)} {file.relative_to(path).as_posix()}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TrainingOptions:
        """Read :meth:`to_json`; options that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: item for name, item in value.items() if name in known})
