"""Annotations of every kind, frames, and images that EXIF turns, from an export into a snapshot."""

from __future__ import annotations

from typing import Any

from PIL import Image
from servers.shelf import SIZE, Shelf

from diffgram_flows.datasets import load_snapshot
from diffgram_flows.datasets.manifest import MANIFEST, read_manifest, write_manifest
from diffgram_flows.models import Annotation, Box
from diffgram_flows.names import Attribute


def pointed(kind: str, *points: tuple[int, int], **more: Any) -> dict[str, Any]:
    return {"type": kind, "label_file_id": 4, "points": [{"x": x, "y": y} for x, y in points], **more}


def test_a_snapshot_keeps_every_kind_cut_to_its_image(shelf: Shelf) -> None:
    instances = [
        pointed(
            "polygon", (-10, 10), (10, 10), (10, 30), (-10, 30), attribute_groups={"1": {"id": 3, "name": "heavily"}}
        ),
        pointed("line", (0, 0), (9, 9)),
        pointed("point", (7, 8)),
        {"type": "tag", "label_file_id": 7, "attribute_groups": {"2": "XY-99"}},
        {"type": "cuboid", "label_file_id": 4},
    ]
    shelf.finish("a.jpg", Box(4, 1, 2, 30, 40), instances=instances)
    snapshot, report = shelf.snapshot()
    assert snapshot.samples[0].annotations == (
        Annotation("box", 4, ((1, 2), (30, 40))),
        Annotation("line", 4, ((0, 0), (9, 9))),
        Annotation("point", 4, ((7, 8),)),
        Annotation("polygon", 4, ((0, 10), (10, 10), (10, 30), (0, 30)), ((1, "heavily"),)),
        Annotation("tag", 7, (), ((2, "XY-99"),)),
    )
    assert (report.clipped, dict(report.skipped)) == (1, {"type cuboid": 1})


def test_what_people_call_attributes_comes_with_the_snapshot(shelf: Shelf) -> None:
    options = [{"id": 3, "name": "heavily", "archived": False}]
    shelf.groups = [{"id": 1, "name": "occluded", "prompt": "How much?", "attribute_template_list": options}]
    shelf.groups += [{"id": 2, "name": None, "prompt": None}]
    shelf.finish("a.jpg", Box(4, 1, 2, 30, 40))
    made, _ = shelf.snapshot()
    read = load_snapshot(made.folder, shelf.cache)
    named = (Attribute(1, "occluded", ((3, "heavily"),)), Attribute(2))
    assert made.label_map.attributes == read.label_map.attributes == named


def test_a_snapshot_of_which_nobody_wrote_down_the_attributes_is_read(shelf: Shelf) -> None:
    shelf.finish("a.jpg", Box(4, 1, 2, 30, 40))
    made, _ = shelf.snapshot()
    facts = read_manifest(made.folder)
    del facts["attribute_groups"]
    (made.folder / MANIFEST).write_bytes(write_manifest(made.folder, facts))
    assert load_snapshot(made.folder, shelf.cache).label_map == made.label_map


def test_a_frame_of_a_video_is_an_image_and_a_video_is_refused_by_name(shelf: Shelf) -> None:
    shelf.finish("frame.jpg", Box(4, 1, 2, 30, 40), kind="frame")
    shelf.finish("film.jpg", kind="video")
    snapshot, report = shelf.snapshot()
    assert [sample.uri.rpartition("/")[2] for sample in snapshot.samples] == ["frame.jpg"]
    (failure,) = report.failures
    assert failure.name.startswith("film-")
    assert failure.reason.startswith("It is of type video; only images are trained on. Import its frames as images")


def test_boxes_of_an_image_that_exif_turns_are_those_of_the_upright_image(shelf: Shelf) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE[::-1], "red").save(shelf.folder / "turned.jpg", exif=exif)  # upright it has SIZE
    shelf.finish("turned.jpg", Box(4, 50, 2, 64, 40))
    snapshot, report = shelf.snapshot()
    (sample,) = snapshot.samples
    assert ((sample.width, sample.height), sample.boxes) == (SIZE, (Box(4, 50, 2, 64, 40),))
    assert report.clipped == 0
