"""What becomes of labels and splits when a schema changes between two exports."""

from __future__ import annotations

from dataclasses import replace

import pytest
from servers.bench import client_of
from servers.studio import Studio, box

from diffgram_flows.diffgram import DiffgramClient, Label
from diffgram_flows.errors import LabelMapChanged


class Renaming(DiffgramClient):
    """A server on which the label ``car`` was renamed."""

    def labels(self, schema_id: int) -> list[Label]:
        return [
            each.model_copy(update={"name": _RENAMED.get(each.name, each.name)}) for each in super().labels(schema_id)
        ]


class Deleting(DiffgramClient):
    """A server on which somebody has deleted the label ``person``, and made another one of that name."""

    def labels(self, schema_id: int) -> list[Label]:
        kept = [each for each in super().labels(schema_id) if each.name != "person"]
        return [*kept, kept[0].model_copy(update={"name": "person", "label_file_id": 9_000})]


_RENAMED = {"car": "vehicle"}


def seen_by(studio: Studio, client: DiffgramClient) -> Studio:
    return replace(studio, bench=replace(studio.bench, client=client))


def test_images_labels_and_a_rename_change_no_id_and_no_split(studio: Studio) -> None:
    studio.bench.draw(4)
    both = [box("car"), box("person", 34, 4, 60, 40)]
    studio.finish({f"image-{number:03}.jpg": both for number in range(4)})
    first, _ = studio.snapshot()
    studio.bench.draw(3, "more")
    studio.finish({f"more-{number:03}.jpg": [*both, box("tree", 2, 2, 9, 40)] for number in range(3)})
    with client_of(studio.bench.sandbox, kind=Renaming) as client:
        second, report = seen_by(studio, client).snapshot()
    ids = [label_file_id for label_file_id, _ in second.label_map.labels]
    assert ids[:2] == [label_file_id for label_file_id, _ in first.label_map.labels]
    assert second.label_map.names == (*[_RENAMED.get(name, name) for name in first.label_map.names], "tree")
    assert report.per_label == {"vehicle": 7, "person": 7, "tree": 3}
    before, after = ({sample.file_id: sample for sample in snapshot.samples} for snapshot in (first, second))
    assert {file_id: after[file_id].split for file_id in before} == {each: before[each].split for each in before}
    assert {file_id: after[file_id].annotations for file_id in before} == {
        each: before[each].annotations for each in before
    }


def test_a_deleted_label_stops_with_a_diff_and_says_how_to_go_on(studio: Studio) -> None:
    studio.bench.draw(2)
    studio.finish({f"image-{number:03}.jpg": [box("car"), box("person", 34, 4, 60, 40)] for number in range(2)})
    first, _ = studio.snapshot()
    _, person = studio.labels("car", "person")
    exports = len(studio.bench.client.exports())
    with client_of(studio.bench.sandbox, kind=Deleting) as client, pytest.raises(LabelMapChanged) as caught:
        seen_by(studio, client).snapshot()
    assert f"gone from the schema: - person (id {person}), + " in caught.value.what
    assert caught.value.what.endswith("+ person (id 9000).")
    assert "Put the label back" in caught.value.cure
    assert "another dataset" in caught.value.cure
    assert len(studio.bench.client.exports()) == exports  # said before anything is generated
    assert [row.snapshot_id for row in studio.bench.ledger.history.snapshots()] == [first.id]
    again, report = studio.snapshot()  # the label is back
    assert (again.id, report.new) == (first.id, False)
