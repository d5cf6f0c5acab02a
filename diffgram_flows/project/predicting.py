"""Several brains on the same images, each of which is read and decoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diffgram_flows.brains import Tiling
from diffgram_flows.brains import predict_many as look
from diffgram_flows.brains.tiling import TileOption
from diffgram_flows.errors import ConfigurationError, ImageRejected
from diffgram_flows.models import Picture, Prediction
from diffgram_flows.project.brain import Brain
from diffgram_flows.project.inference import Inference
from diffgram_flows.project.pictures import ImageLike, name_of, picture_source


def predict_many(
    brains: Sequence[Brain],
    images: Iterable[ImageLike],
    *,
    score_threshold: float | None = None,
    tile: TileOption | Tiling = "never",
    batch_size: int = 8,
) -> Iterator[tuple[Inference, ...]]:
    """What each of several brains sees in each image; an image is read and decoded once for all of them.

    Holds a few images in memory, however many there are. Images are decoded on all cores while brains look at others,
    so this is the fast way for one brain, too.

    Args:
        brains: Those of this machine that look.
        images: In every form that :meth:`Brain.run` takes; read as the inferences are asked for.
        score_threshold: As of :meth:`Brain.run`.
        tile: As of :meth:`Brain.run`.
        batch_size: Images that go through a network together.

    Yields:
        One inference a brain for each image, in the order of the brains. An image that cannot be used gives ones with
        an ``error``, and does not stop the others.

    Raises:
        ConfigurationError: There is no brain.
        BrainError: A brain is still being trained, or its training failed.
    """
    if not brains:
        raise ConfigurationError("No brain was given to look at images.", cure="Give at least one.")
    refused: dict[int, Prediction] = {}
    shown: dict[int, Picture] = {}
    found = look(
        [brain.loaded() for brain in brains],
        _pictures(images, refused, shown),
        score_threshold=score_threshold,
        batch_size=batch_size,
        tile=tile,
    )
    return _inferences(brains, found, refused, shown)


def _inferences(
    brains: Sequence[Brain],
    found: Iterable[tuple[Prediction, ...]],
    refused: dict[int, Prediction],
    shown: dict[int, Picture],
) -> Iterator[tuple[Inference, ...]]:
    """With those of the images that no brain was shown, in order."""
    place = 0
    for predictions in found:
        while place in refused:
            yield tuple(brain.saw(refused[place]) for brain in brains)
            place += 1
        source = shown.pop(place).source
        yield tuple(brain.saw(seen, source) for brain, seen in zip(brains, predictions, strict=True))
        place += 1
    for place in sorted(number for number in refused if number >= place):
        yield tuple(brain.saw(refused[place]) for brain in brains)


def _pictures(
    images: Iterable[ImageLike], refused: dict[int, Prediction], shown: dict[int, Picture]
) -> Iterator[Picture]:
    for place, image in enumerate(images):
        name = name_of(image)
        try:
            shown[place] = Picture(name, picture_source(image))
        except ImageRejected as error:
            refused[place] = Prediction(name, 0, 0, error=str(error))
        else:
            yield shown[place]
