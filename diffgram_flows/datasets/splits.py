"""Which part of the data an image belongs to, decided once and for ever by its key.

A random split of each new snapshot would let yesterday's test images be trained on today, and every comparison of two
brains would flatter the newer one. The split is therefore a function of the key alone: it does not change when the
data set grows, when an image is replaced by a new version, or when a bucket moves.
"""

from __future__ import annotations

import hashlib

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Split

_RANGE = 2**64


def split_of(key: str, *, val: float = 0.1, test: float = 0.2, group: str | None = None) -> Split:
    """The split of an image.

    The hash of the key is a number in [0, 1): the lowest ``test`` of the range is the test split, the next ``val`` the
    validation split, the rest is trained on. A larger share of either only takes images out of training.

    Args:
        key: The object's key, without its bucket and version; the file's name where there is no object.
        val: Share of the images that choose thresholds.
        test: Share of the images that only judge.
        group: Decides instead of the key where images belong together (frames of one film, one patient), so that
            near-twins never lie on both sides.

    Raises:
        ConfigurationError: The shares are negative, or leave nothing to train on.
    """
    if val < 0 or test < 0 or val + test >= 1:
        raise ConfigurationError(
            f"The shares val={val} and test={test} leave nothing to train on.",
            cure="Choose two numbers of 0 or more with a sum below 1.",
        )
    digest = hashlib.sha256((key if group is None else group).encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8]) / _RANGE
    if place < test:
        return "test"
    return "val" if place < test + val else "train"
