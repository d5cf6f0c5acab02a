"""A brain to work with: ask how far it is, show it images, draw what it sees."""

from __future__ import annotations

import time
from pathlib import Path

from PIL import Image

from diffgram_flows.brains import Brain as LoadedBrain
from diffgram_flows.brains import BrainRecord, Tiling, draw_over
from diffgram_flows.brains.tiling import TileOption
from diffgram_flows.errors import BrainError, ImageRejected
from diffgram_flows.models import BrainRef, LabelMap, Picture, Prediction
from diffgram_flows.project.context import Context
from diffgram_flows.project.deployed_run import DeployedRun
from diffgram_flows.project.fetching import fetch_file, fetch_image
from diffgram_flows.project.inference import Inference, inference_of
from diffgram_flows.project.pictures import (
    ImageLike,
    decoded_image,
    digests_of,
    drawn_on,
    name_of,
    picture_source,
    read_image,
)
from diffgram_flows.project.training_run import TrainingRun
from diffgram_flows.project.training_status import TrainingStatus

_POLL = 0.2  # seconds


class Brain:
    """A brain of a project's work folder or store, trained or still being trained.

    ``project.train.start`` and ``project.get_model`` give one. Loading it takes seconds and is done with the first
    image; after that an image takes milliseconds.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        *,
        record: BrainRecord | None = None,
        run: TrainingRun | DeployedRun | None = None,
    ) -> None:
        self.name = name
        self._context = context
        self._record = record
        self._run = run
        self._last: Inference | None = None
        self._shown: Path | bytes | None = None  # what the last inference is about, where that is known

    def __repr__(self) -> str:
        return f"Brain({str(self._record.ref) if self._record else self.name!r})"

    @property
    def version(self) -> int:
        """Its version.

        Raises:
            BrainError: It is still being trained, or its training failed.
        """
        return self._ready().ref.version

    @property
    def labels(self) -> LabelMap:
        """What it knows: label file ids and names.

        Raises:
            BrainError: It is still being trained, or its training failed.
        """
        return self._ready().manifest.label_map

    def check_status(self) -> TrainingStatus:
        """How far it is; asks no server, but for a training of a deployment Prefect's, and the store for its end.

        A failed training is a status here, with its reason; :meth:`wait` raises it. A deployment that keeps its brains
        where the project does not look is told in the reason from the beginning; such a brain gets ready and cannot
        be asked here.

        Raises:
            ServerUnreachable: The Prefect server does not answer.
            StorageUnavailable, AccessDenied, BucketNotFound: The store cannot be read.
        """
        if self._run is not None:
            return self._run.status()
        record = self._ready()
        test = record.manifest.metrics.get("test")
        return TrainingStatus("ready", 100, str(record.ref), map50=test.scores.get("mAP50") if test else None)

    def wait(self, timeout: float | None = None) -> TrainingStatus:
        """Wait until it is ready.

        Args:
            timeout: Seconds; ``None`` waits as long as it takes. Afterwards the training goes on all the same.

        Raises:
            BrainError: The time is over.
            DiffgramFlowsError: Why the training failed: ``NotEnoughData``, ``IncompleteExport``, ...
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        while not (status := self.check_status()).done:
            if ends_at is not None and time.monotonic() > ends_at:
                raise BrainError(
                    f"The brain {self.name!r} was not ready after {timeout:g} s (it is {status}).",
                    cure="Wait again: its training goes on.",
                )
            time.sleep(_POLL)
        if status.state == "failed":
            raise status.as_error()
        return status

    def stop(self) -> None:
        """End its training, if one was started here and is not done; the brain then has failed."""
        if self._run is not None:
            self._run.stop()

    def predict_from_local(
        self, path: ImageLike, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in an image on this machine; the same as :meth:`run`."""
        return self.run(path, score_threshold=score_threshold, tile=tile)

    def predict_from_url(
        self, url: str, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in the image behind a URL, which is downloaded to this machine and kept nowhere.

        Raises:
            ImageRejected: The URL gives no image that can be used, or is not one of http or https.
            BrainError: It is still being trained, or its training failed.
        """
        self._ready()
        return self._look(Picture("from the URL", fetch_image(url)), score_threshold, tile)

    def predict_from_file(
        self, file_id: int, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in a file of Diffgram, which is downloaded through its signed URL and kept nowhere.

        Raises:
            InvalidRequest: There is no such file.
            ImageRejected: It is no image that can be used.
            BrainError: It is still being trained, or its training failed.
        """
        self._ready()
        picture = Picture(f"of file {file_id}", fetch_file(self._context.client, file_id))
        return self._look(picture, score_threshold, tile)

    def run(
        self, image: ImageLike, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in an image.

        Args:
            image: A path, a URL, the bytes of an image file, a Pillow image as :func:`read_image` gives it (its pixels
                are taken as they are, an EXIF orientation is not applied), or a uint8 array [height, width, 3] of red,
                green and blue.
            score_threshold: Things that it is less sure of are left out; ``None`` takes the threshold that saves
                people most edits.
            tile: Whether an image much larger than the network's input is looked at in overlapping tiles as well:
                ``never``, ``auto``, the overlap as a share of a tile, or a :class:`Tiling`. Finds what is small in a
                large image, and takes as much longer as there are tiles.

        Raises:
            ImageRejected: It is no image that can be used.
            BrainError: It is still being trained, or its training failed.
            ConfigurationError: Tiles like these cannot be laid.
        """
        self._ready()
        return self._look(Picture(name_of(image), picture_source(image)), score_threshold, tile)

    def visual(self, image: ImageLike, inference: Inference | None = None) -> Image.Image:
        """Draw what it saw over what an image shows already, so that several brains can draw one after the other.

        Args:
            image: What was looked at, or what another brain's ``visual`` has made of it.
            inference: What to draw, on any image of that size; by default what this brain saw last, and then on that
                image alone.

        Returns:
            A new Pillow image.

        Raises:
            BrainError: It has not looked at anything yet.
            ImageRejected: The image is another one than the one that was looked at.
        """
        seen = self._last if inference is None else inference  # one that saw nothing is false
        if seen is None:
            raise BrainError(
                f"The brain {self.name!r} has not looked at an image yet.", cure="Call brain.run(image) first."
            )
        shown = decoded_image(image)
        if shown.size != (seen.width, seen.height):
            raise ImageRejected(
                f"The image to draw on has {shown.width} x {shown.height} pixels, the brain {self.name!r} last saw one "
                f"of {seen.width} x {seen.height}.",
                cure="Give the image that it looked at, or the inference that belongs to this one.",
            )
        digests = digests_of(shown)
        if inference is None and self._shown is not None and digests.isdisjoint(digests_of(read_image(self._shown))):
            raise ImageRejected(
                f"The image to draw on, {name_of(image)}, is another one than the brain {self.name!r} last saw.",
                cure="Call brain.run(image) first, or give the inference that belongs to it.",
            )
        return drawn_on(draw_over(shown, seen.annotations, self.labels), digests)

    def loaded(self) -> LoadedBrain:
        """Its network in memory, loaded once in a process: for :func:`predict_many`.

        Raises:
            BrainError: It is still being trained, or its training failed.
            BrainTampered: A file is not what it was when the brain was trained.
        """
        return LoadedBrain.load(self._ready())

    def saw(self, seen: Prediction, shown: Path | bytes | None = None) -> Inference:
        """What its network has found, with names; :meth:`visual` draws the last of these.

        Args:
            seen: What it has found.
            shown: The file of the image, or its bytes; without it :meth:`visual` cannot tell another image of its size.
        """
        record = self._ready()
        manifest = record.manifest
        found = inference_of(seen, brain=str(record.ref), method=manifest.method, label_map=manifest.label_map)
        if not seen.error:
            self._last, self._shown = found, shown
        return found

    def _look(self, picture: Picture, score_threshold: float | None, tile: TileOption | Tiling) -> Inference:
        (seen,) = self.loaded().predict([picture], score_threshold=score_threshold, tile=tile)
        if seen.error:
            raise ImageRejected(seen.error, cure="")
        return self.saw(seen, picture.source)

    def _ready(self) -> BrainRecord:
        """The version that it is.

        Raises:
            BrainError: It is still being trained.
            BrainNotFound: It is kept where this project does not look.
            DiffgramFlowsError: Why its training failed.
        """
        if self._record is None:
            status = self.check_status()
            if status.state == "failed":
                raise status.as_error()
            if not status.done:
                raise BrainError(
                    f"The brain {self.name!r} is not ready: it is {status}.", cure="Call brain.wait() first."
                )
            if not status.brain:
                raise status.as_error()
            self._record = self._context.places.registry.get(BrainRef.parse(status.brain))
        return self._record
