from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest

from diffgram_flows.brains import read_predictions, write_predictions
from diffgram_flows.brains.results import ResultForm, complete
from diffgram_flows.models import Annotation, Box, Prediction

POLYGON = Annotation("polygon", 4, ((1, 2), (30, 2), (30, 40)), score=0.75)
TAG = Annotation("tag", 5, attributes=((7, "ripe"), (9, "3")), score=0.5)


@pytest.mark.parametrize("form", ["jsonl", "parquet", "both"])
def test_predictions_come_back_as_they_were(tmp_path: Path, form: ResultForm) -> None:
    first = [
        Prediction("ü.jpg", 640, 480, (Box(4, 1, 2, 30, 40, 0.875), Box(5, 0, 0, 9, 9, 0.5))),
        Prediction("marks.jpg", 640, 480, annotations=(POLYGON, TAG)),
    ]
    second = [Prediction("empty.jpg", 10, 10), Prediction("bad.jpg", 0, 0, error="It is damaged.")]
    for name, seen in {"000-009": first, "010-019": second}.items():
        write_predictions(tmp_path / "d@1" / name, seen, brain="d@1", label_map_digest="abc", form=form)
    assert list(read_predictions(tmp_path / "d@1")) == [*first, *second]


def test_parquet_says_which_brain_saw_what_by_which_labels(tmp_path: Path) -> None:
    seen = [Prediction("a.jpg", 640, 480, (Box(4, 1, 2, 30, 40, 0.875),)), Prediction("b.jpg", 0, 0, error="Bad.")]
    write_predictions(
        tmp_path / "0", seen, brain="d@1", label_map_digest="abc", form="parquet", versions={"a.jpg": "v"}
    )
    table = pyarrow.parquet.read_table(tmp_path / "0.parquet").to_pydict()
    assert table["brain"] == ["d@1"] * 2
    assert table["label_map"] == ["abc"] * 2
    assert table["version"] == ["v", ""]
    assert table["boxes"][0][0] == {
        "label_file_id": 4,
        "x_min": 1,
        "y_min": 2,
        "x_max": 30,
        "y_max": 40,
        "score": 0.875,
    }


def test_a_chunk_that_is_predicted_again_replaces_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "000-009"
    write_predictions(path, [Prediction("a.jpg", 1, 1)], brain="d@1", label_map_digest="abc")
    write_predictions(path, [Prediction("b.jpg", 1, 1)], brain="d@1", label_map_digest="abc")
    assert [seen.key for seen in read_predictions(tmp_path)] == ["b.jpg"]


def test_a_brain_that_saw_nothing_yet_has_no_predictions(tmp_path: Path) -> None:
    assert list(read_predictions(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(("before", "after"), [("jsonl", "parquet"), ("parquet", "jsonl"), ("parquet", "both")])
def test_results_are_written_in_another_form_as_if_they_had_been_from_the_beginning(
    tmp_path: Path, before: ResultForm, after: ResultForm
) -> None:
    seen = [
        Prediction("ü.jpg", 640, 480, (Box(4, 1, 2, 30, 40, 0.875),), (POLYGON, TAG)),
        Prediction("bad.jpg", 0, 0, error="It is damaged."),
    ]
    for folder, forms in (("grown", (before,)), ("at once", (before, after))):
        for form in forms:
            write_predictions(
                tmp_path / folder / "0", seen, brain="d@1", label_map_digest="abc", form=form, versions={"ü.jpg": "v"}
            )
    complete(tmp_path / "grown", after)
    for suffix in (".jsonl", ".parquet"):
        assert (tmp_path / "grown" / "0").with_suffix(suffix).read_bytes() == (tmp_path / "at once" / "0").with_suffix(
            suffix
        ).read_bytes()
