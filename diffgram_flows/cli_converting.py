"""Bringing a brain of Diffgram's earlier SDK into the registry: ``brain convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffgram_flows import parameters
from diffgram_flows.cli import Target
from diffgram_flows.cli_output import DONE, show
from diffgram_flows.errors import ConfigurationError

_THRESHOLD = 0.5


def convert(
    folder: Path,
    *,
    name: str,
    labels: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    sha256: str = "",
    score_threshold: float = _THRESHOLD,
    target: Target = parameters.Target(),
) -> int:
    """Make a brain of Diffgram's earlier SDK the next version of a brain. Asks no server, promotes nothing.

    Parameters
    ----------
    folder
        Holds frozen_inference_graph.pb and label_dict.json.
    name
        What the brain is called from now on.
    labels
        Names of its labels by label file id: 12=car 17=bus. One without a name gets one from its id.
    sha256
        What the SHA-256 of the graph must be, if it is known.
    score_threshold
        What it is less sure of is not shown.
    """
    from diffgram_flows.brains import convert_legacy
    from diffgram_flows.tasks.workspace import open_places

    if not 0 <= score_threshold <= 1:
        raise ConfigurationError(f"{score_threshold:g} is no score.", cure="Give a --score-threshold from 0 to 1.")
    names = dict(map(_label, labels))
    if len(names) < len(labels):
        raise ConfigurationError("A label is named twice.", cure="Give each id in --labels once.")
    registry, _ = open_places(target)
    record = convert_legacy(folder.expanduser(), registry, name, names, sha256=sha256, score_threshold=score_threshold)
    known = ", ".join(f"{label} ({file_id})" for file_id, label in record.manifest.label_map.labels)
    show("Converted", {"brain": record.ref, "labels": known, "next": f"diffgram-flows brain promote {record.ref}"})
    return DONE


def _label(text: str) -> tuple[int, str]:
    number, _, name = text.partition("=")
    if not number.isdecimal() or not name.strip():
        raise ConfigurationError(
            f"{text!r} names no label.", cure="Write the id of a label file and a name, like 12=car."
        )
    return int(number), name.strip()
