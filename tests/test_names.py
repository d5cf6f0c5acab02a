from __future__ import annotations

import pytest

from diffgram_flows.models import LabelMap
from diffgram_flows.names import Attribute, distinct

COLOUR = Attribute(3, "colour", ((7, "red"), (8, "blue"), (9, "blue")))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("red", "red"),
        ("green", "green"),  # an option that is gone
        ('{"id": 7}', "red"),
        ('{"id": 7, "name": "crimson"}', "red"),  # what it is called now
        ('{"id": 70, "name": "crimson"}', "crimson"),
        ('{"id": 8}', "blue (id 8)"),
        ("9", "blue (id 9)"),
        ('[{"id": 7}, {"id": 8}]', "red, blue (id 8)"),
        ('[{"id": 7}, {"id": 80}]', '[{"id": 7}, {"id": 80}]'),
        ("true", "true"),
        ("[]", "[]"),
        ('{"id": {}}', '{"id": {}}'),
        ("[" * 100_000, "[" * 100_000),
        ("", ""),
    ],
)
def test_an_answer_is_read_by_the_name_of_its_option(value: str, read: str) -> None:
    assert COLOUR.answer(value) == read


def test_free_text_is_what_was_written() -> None:
    assert Attribute(4, "plate").answer("7") == "7"
    assert Attribute(4, "number", ((7, "8"), (8, "7"))).answer("7") == "7"  # a name before an id


def test_what_has_one_name_is_told_apart_by_its_id() -> None:
    assert distinct({1: "car", 2: "sign", 4: "car"}) == {1: "car (id 1)", 2: "sign", 4: "car (id 4)"}
    crooked = distinct({1: "car", 4: "car", 5: "car (id 4)"})
    assert list(crooked) == [1, 4, 5]
    assert len(set(crooked.values())) == 3
    assert distinct({}) == {}


def test_an_attribute_survives_json_and_is_called_by_its_prompt_without_a_name() -> None:
    assert Attribute.from_json(COLOUR.to_json()) == COLOUR
    asked = {"id": 4, "name": "", "prompt": "Which colour?", "kind": "text", "options": []}
    assert Attribute.from_json(asked) == Attribute(4, "Which colour?")


def test_what_attributes_are_called_is_no_part_of_a_label_map() -> None:
    bare, named = LabelMap(((5, "cat"),)), LabelMap(((5, "cat"),), (COLOUR,))
    assert (bare, bare.digest, hash(bare)) == (named, named.digest, hash(named))
    assert named.extended({6: "dog"}).attribute(3) == COLOUR
    assert named.attribute(8) == Attribute(8)
