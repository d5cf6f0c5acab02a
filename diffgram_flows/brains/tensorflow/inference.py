"""From squares of pixels to boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.methods.protocol import Answer
from diffgram_flows.models import Box, LabelMap


class Detector:
    """A loaded detector.

    Args:
        module: The loaded program, kept alive for its function.
        function: Its function.
        size: Side of the square that it wants.
        label_map: Which of its classes is which label.
    """

    tileable = True

    def __init__(self, module: Any, function: Any, *, size: int, label_map: LabelMap) -> None:
        self._module = module
        self._function = function
        self.size: int | None = size
        self._label_file_ids = [label_file_id for label_file_id, _ in label_map.labels]

    def answer(
        self, images: NDArray[np.uint8], sizes: Sequence[tuple[int, int]], score_threshold: float
    ) -> list[Answer]:
        """The boxes of each image, best first."""
        found = {name: values.numpy() for name, values in self._function(images=images).items()}
        rows = ({name: values[row] for name, values in found.items()} for row in range(len(sizes)))
        return [
            Answer(boxes_of(row, width, height, self._label_file_ids, score_threshold))
            for row, (width, height) in zip(rows, sizes, strict=True)
        ]


def boxes_of(
    found: dict[str, Any], width: int, height: int, label_file_ids: Sequence[int], score_threshold: float
) -> tuple[Box, ...]:
    """The boxes of one image in its pixels; those that round to nothing are left out.

    Args:
        found: ``detection_boxes`` ``[N, 4]`` (y_min, x_min, y_max, x_max in [0, 1]), ``detection_scores`` and
            ``detection_classes`` ``[N]``, and ``num_detections``, all best first.
        width: Of the upright image.
        height: Of the upright image.
        label_file_ids: By class index.
        score_threshold: Boxes below are left out.
    """
    count = int(found["num_detections"])
    scores = found["detection_scores"][:count]
    kept = scores >= score_threshold
    limits = np.array([height, width] * 2)
    corners = np.rint(found["detection_boxes"][:count][kept] * limits).clip(0, limits).astype(int)
    classes = found["detection_classes"][:count][kept].astype(int)
    return tuple(
        Box(label_file_ids[index], x_min, y_min, x_max, y_max, score)
        for (y_min, x_min, y_max, x_max), score, index in zip(
            corners.tolist(), scores[kept].tolist(), classes.tolist(), strict=True
        )
        if x_min < x_max and y_min < y_max
    )
