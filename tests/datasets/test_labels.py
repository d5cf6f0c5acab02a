from __future__ import annotations

import pytest

from diffgram_flows.datasets import extended_label_map
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import LabelMap

KNOWN = LabelMap(((9, "sign"), (4, "car")))


def test_new_labels_are_appended_in_order_of_id() -> None:
    schema = {4: "car", 9: "sign", 2: "person", 1: "tree", 3: "never drawn"}
    extended = extended_label_map(KNOWN, schema, {2, 1, 4})
    assert extended.labels == ((9, "sign"), (4, "car"), (1, "tree"), (2, "person"))
    assert KNOWN.is_prefix_of(extended)


def test_a_renamed_label_keeps_its_index() -> None:
    assert extended_label_map(KNOWN, {4: "vehicle", 9: "sign"}, ()).labels == ((9, "sign"), (4, "vehicle"))


def test_a_label_that_is_gone_stops_with_a_diff() -> None:
    with pytest.raises(LabelMapChanged, match=r"- car \(id 4\), \+ car \(id 12\)"):
        extended_label_map(KNOWN, {9: "sign", 12: "car"}, {12})


def test_labels_of_one_name_can_be_told_apart() -> None:
    twins = LabelMap(((1, "car"), (2, "sign"), (4, "car")))
    assert twins.display_names() == {1: "car (id 1)", 2: "sign", 4: "car (id 4)"}
