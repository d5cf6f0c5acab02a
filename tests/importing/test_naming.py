from __future__ import annotations

import re

import pytest

from diffgram_flows.importing import file_name
from diffgram_flows.models import StoredObject


def stored(key: str, version: str = "1", bucket: str = "s3://photos") -> StoredObject:
    return StoredObject(bucket, key, 10, version)


@pytest.mark.parametrize(
    ("key", "stem", "suffix"),
    [
        pytest.param("a/b/cat.jpg", "cat", ".jpg", id="folders go"),
        pytest.param("CAT.JPG", "CAT", ".jpg", id="only the suffix becomes lower case"),
        pytest.param("größe 12 (a).jpeg", "größe 12 (a)", ".jpeg", id="unicode and blanks stay"),
        pytest.param("archive.tar.png", "archive.tar", ".png", id="only the last dot counts"),
        pytest.param("100%25 ?x=1#y.webp", "100%25 ?x=1#y", ".webp", id="what URLs would escape stays"),
        pytest.param("new\nline\t.png", "new_line_", ".png", id="what cannot be printed goes"),
    ],
)
def test_a_name_is_readable_and_ends_in_hash_and_suffix(key: str, stem: str, suffix: str) -> None:
    name = file_name(stored(key))
    assert re.fullmatch(re.escape(stem) + "-[0-9a-f]{10}" + re.escape(suffix), name)


def test_a_name_is_the_same_for_ever() -> None:
    assert file_name(stored("a/cat.jpg")) == "cat-fa69c2cc41.jpg"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(stored("cat.jpg", version="2"), id="version"),
        pytest.param(stored("b/cat.jpg"), id="folder"),
        pytest.param(stored("cat.jpg", bucket="gs://photos"), id="bucket"),
    ],
)
def test_other_objects_have_other_names(other: StoredObject) -> None:
    assert file_name(stored("cat.jpg")) != file_name(other)


@pytest.mark.parametrize("letter", [pytest.param("x", id="ascii"), pytest.param("漢", id="three bytes each")])
def test_a_name_is_short_enough_for_the_server(letter: str) -> None:
    name = file_name(stored(f"{letter * 400}.jpg"))
    assert 190 < len(name.encode()) <= 200
    assert name.startswith(letter)
    assert name.endswith(".jpg")


def test_a_key_that_is_not_text_still_has_a_name() -> None:
    assert file_name(stored("\udcff.jpg")).endswith(".jpg")
