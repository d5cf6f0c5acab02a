"""The label map: which class index is which label, append-only.

An index is given when a finished image first uses a label. A label that is renamed keeps its index; a label that is
gone from the schema stops the work, because a brain would go on predicting it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import LabelMap


def extended_label_map(known: LabelMap, schema: Mapping[int, str], used: Iterable[int]) -> LabelMap:
    """The known map under today's names, with the newly used labels appended in order of their id.

    Args:
        known: What the ledger holds.
        schema: The labels that exist: label file id to name.
        used: Label file ids that finished images use, each of them in ``schema``.

    Raises:
        LabelMapChanged: A known label is not in the schema any more.
    """
    gone = [(label_file_id, name) for label_file_id, name in known.labels if label_file_id not in schema]
    if gone:
        came = sorted(schema.items() - dict(known.labels).items())
        diff = [f"- {name} (id {label_file_id})" for label_file_id, name in gone]
        diff += [f"+ {name} (id {label_file_id})" for label_file_id, name in came]
        raise LabelMapChanged(
            f"Labels that brains were trained on are gone from the schema: {', '.join(diff)}.",
            cure="Put the label back into the schema (the same label, not a new one of the same name), "
            "or begin with another dataset, which has a label map of its own.",
        )
    renamed = LabelMap(tuple((label_file_id, schema[label_file_id]) for label_file_id, _ in known.labels))
    return renamed.extended({label_file_id: schema[label_file_id] for label_file_id in used})
