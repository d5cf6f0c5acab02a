from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffgram_flows import Project, predict_many, read_image
from diffgram_flows.brains import BrainRecord, Tiling
from diffgram_flows.brains.strokes import colour_of
from diffgram_flows.brains.tensorflow.pixels import decode_squares
from diffgram_flows.errors import (
    BrainError,
    BrainNotFound,
    ConfigurationError,
    ImageRejected,
    InvalidRequest,
    NoChampion,
)
from diffgram_flows.models import Annotation, Box, Prediction, Sample, Snapshot
from diffgram_flows.project import Brain, Directory, Inference, fetching
from diffgram_flows.project.inference import inference_of

Promote = Callable[[BrainRecord, str], None]


@pytest.fixture
def brain(project: Project, learned: BrainRecord, promote: Promote) -> Brain:
    promote(learned, "colours")
    return project.get_model()


@pytest.fixture
def sample(snapshot: Snapshot) -> Sample:
    return snapshot.split("train")[0]


class _Site(BaseHTTPRequestHandler):
    """A web site: an image, redirects to it and away, and pages that are no image."""

    def do_GET(self) -> None:
        content: bytes = self.server.content  # type: ignore[attr-defined]
        asked.append((self.path, self.headers.get("Authorization", "")))
        place = self.path.partition("?")[0]
        targets = {"/moved": "/image.png", "/loop": "/loop", "/file": "file:///etc/passwd"}
        self.send_response(302 if place in targets else 404 if place == "/none" else 200)
        if place in targets:
            self.send_header("Location", targets[place])
        self.end_headers()
        if place == "/image.png":
            self.wfile.write(content)
        if place == "/endless":
            self.wfile.write(bytes(50_000))

    def log_message(self, *_: object) -> None:
        pass


asked: list[tuple[str, str]] = []


@pytest.fixture
def site(sample: Sample) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        server.content = sample.path.read_bytes()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked.clear()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def jpeg(path: Path) -> bytes:
    content = io.BytesIO()
    with Image.open(path) as image:
        image.save(content, "JPEG", quality=95)
    return content.getvalue()


def test_what_it_sees(brain: Brain, sample: Sample) -> None:
    seen = brain.run(sample.path)
    assert (seen.brain, seen.method, seen.width, seen.height) == ("colours@1", "object_detection", 96, 96)
    assert len(seen) == len(sample.boxes)
    names = {70: "red", 40: "blue"}
    for instance in seen:
        box = instance.box
        assert box is not None
        truth = max(sample.boxes, key=box.iou)
        assert truth.iou(box) > 0.6
        assert instance.label == names[truth.label_file_id]
        assert 0 < instance.score <= 1
    assert brain.run(sample.path, score_threshold=1.0).instances == ()
    assert (brain.version, brain.labels.names, repr(brain)) == (1, ("red", "blue"), "Brain('colours@1')")
    assert brain.check_status().state == "ready"
    assert brain.wait(1).brain == "colours@1"


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(str, id="path as text"),
        pytest.param(Path.read_bytes, id="bytes"),
        pytest.param(read_image, id="decoded once"),
        pytest.param(lambda path: np.asarray(read_image(path)), id="array"),
        pytest.param(lambda path: np.asarray(read_image(path).convert("RGBA")), id="array with alpha"),
        pytest.param(lambda path: read_image(path.read_bytes()), id="decoded bytes"),
    ],
)
def test_every_form_of_an_image_is_seen_alike(brain: Brain, sample: Sample, form: Callable[[Path], bytes]) -> None:
    assert brain.run(form(sample.path)) == brain.predict_from_local(sample.path)


@pytest.mark.parametrize("width", range(93, 97))
def test_odd_widths_of_decoded_images(brain: Brain, sample: Sample, tmp_path: Path, width: int) -> None:
    image = read_image(sample.path).crop((0, 0, width, 96))
    image.save(tmp_path / "odd.png")
    assert brain.run(image) == brain.run(tmp_path / "odd.png")


def test_an_image_on_its_side_is_read_upright(sample: Sample, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    read_image(sample.path).resize((60, 40)).save(tmp_path / "side.jpg", exif=exif)
    assert read_image(tmp_path / "side.jpg").size == (40, 60)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        pytest.param(np.zeros((4, 4, 3)), r"float64 array of the shape \[4, 4, 3\].*uint8", id="floats"),
        pytest.param(np.zeros((4, 4, 2), np.uint8), r"shape \[4, 4, 2\]", id="two channels"),
        pytest.param(3, "a int.*Give a path", id="number"),
        pytest.param(b"hello", "in memory is not an image", id="text"),
        pytest.param("/nowhere/cat.jpg", r"cat\.jpg cannot be read", id="missing"),
    ],
)
def test_what_is_no_image_is_refused(brain: Brain, image: bytes, said: str) -> None:
    with pytest.raises(ImageRejected, match=said):
        brain.run(image)


def test_a_damaged_image_is_refused(brain: Brain, sample: Sample) -> None:
    with pytest.raises(ImageRejected, match="in memory is damaged"):
        brain.run(sample.path.read_bytes()[:2000])
    with pytest.raises(ImageRejected, match="in memory is damaged"):
        read_image(sample.path.read_bytes()[:2000])


def test_an_image_behind_a_url(brain: Brain, sample: Sample, site: str) -> None:
    assert brain.predict_from_url(f"{site}/image.png") == brain.run(sample.path)
    assert brain.predict_from_url(f"{site}/moved?signature=secret") == brain.run(sample.path)
    assert {credential for _, credential in asked} == {""}


def test_a_url_is_an_image_like_any_other(brain: Brain, sample: Sample, site: str) -> None:
    url = f"{site}/image.png?signature=secret"
    assert brain.run(url) == brain.run(sample.path)
    assert brain.visual(url).tobytes() == brain.visual(sample.path).tobytes()
    assert read_image(url).tobytes() == read_image(sample.path).tobytes()
    ((found,), (lost,)) = predict_many([brain], [url, f"{site}/none?signature=secret"])
    assert found == brain.run(sample.path)
    assert "answers 404" in lost.error
    assert "secret" not in lost.error
    with pytest.raises(ImageRejected, match="from the URL is not an image") as caught:
        read_image(f"{site}/page?signature=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("/none?signature=secret", "answers 404", id="404"),
        pytest.param("/loop", "redirects more than 5 times", id="loop"),
        pytest.param("/file", "redirects to, no URL of http", id="to a file"),
        pytest.param("/endless", "more than 0 MiB", id="too large"),
        pytest.param("/page", "from the URL is not an image", id="no image"),
    ],
)
def test_urls_that_give_no_image(
    brain: Brain, site: str, place: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 30_000)
    with pytest.raises(ImageRejected, match=said) as caught:
        brain.predict_from_url(site + place)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a.jpg", "cat.jpg", "http://[bad"])
def test_only_http_and_https(brain: Brain, url: str) -> None:
    with pytest.raises(ImageRejected, match="no URL of http or https"):
        brain.predict_from_url(url)


def test_nobody_at_the_url(brain: Brain) -> None:
    with pytest.raises(ImageRejected, match=r"cannot be fetched \(ConnectionError\)"):
        brain.predict_from_url("http://127.0.0.1:9/cat.jpg?signature=secret")


def test_a_file_of_diffgram(brain: Brain, project: Project, directory: Directory, sample: Sample) -> None:
    file = project.file.from_local(sample.path, directory=directory)
    seen = brain.predict_from_file(file.id)
    assert seen == brain.run(sample.path)
    project.client.ensure_labels(project.schema.default().id, ["red", "blue"])
    with pytest.raises(InvalidRequest, match=r"has no file 99999\."):
        brain.predict_from_file(99_999)


def test_two_brains_draw_over_one_image(
    project: Project, learned: BrainRecord, promote: Promote, sample: Sample, tmp_path: Path
) -> None:
    promote(learned, "page")
    promote(learned, "graphs")
    page, graphs = project.get_model("page"), project.get_model("graphs")
    image = read_image(sample.path)
    clean = image.copy()
    assert page.run(image).instances == graphs.run(image).instances
    once = page.visual(image)
    twice = graphs.visual(once)
    assert image.tobytes() == clean.tobytes()
    assert (twice.size, once.tobytes() != image.tobytes()) == (image.size, True)
    shown = {colour for _, colour in twice.getcolors(2**20) or []}
    assert {colour_of(box.label_file_id) for box in sample.boxes} <= shown
    assert page.visual(image, Inference("a@1", "x", 96, 96, ())).tobytes() == image.tobytes()
    assert page.visual(sample.path).size == (96, 96)


def test_polygons_and_tags_are_seen_drawn_and_sent_as_boxes_are(brain: Brain, sample: Sample) -> None:
    outline = ((10, 40), (80, 40), (80, 90))
    prediction = Prediction(
        "a",
        96,
        96,
        (Box(70, 5, 5, 20, 20, 0.5),),
        (Annotation("polygon", 40, outline, score=0.9), Annotation("tag", 70, (), ((3, "ripe"),), 0.25)),
    )
    seen = inference_of(prediction, brain="colours@1", method="any", label_map=brain.labels)
    assert [(one.label, one.type, one.score) for one in seen] == [
        ("blue", "polygon", 0.9),
        ("red", "box", 0.5),
        ("red", "tag", 0.25),
    ]
    assert [one.box for one in seen] == [Box(40, 10, 40, 80, 90, 0.9), prediction.boxes[0], None]
    assert (seen.instances[0].points, seen.annotations[1:]) == (outline, tuple(one.annotation for one in seen)[1:])
    mark = {"machine_made": True, "model_ref": "colours", "model_run_ref": "colours@1"}
    corners = {"x_min": 5, "y_min": 5, "x_max": 20, "y_max": 20}
    assert seen.as_instances() == [
        {"type": "polygon", "label_file_id": 40, "points": [{"x": x, "y": y} for x, y in outline], "score": 0.9} | mark,
        {"type": "box", "label_file_id": 70, **corners, "score": 0.5} | mark,
        {"type": "tag", "label_file_id": 70, "attribute_groups": {"3": "ripe"}, "score": 0.25} | mark,
    ]
    drawn = brain.visual(sample.path, seen)
    shown = {colour for _, colour in drawn.getcolors(2**20) or []}
    assert {colour_of(70), colour_of(40)} <= shown
    pixels = [image.getpixel((70, 60)) for image in (drawn, read_image(sample.path))]
    assert pixels[0] not in (pixels[1], colour_of(40))


def test_many_images_in_every_form_by_several_brains(
    project: Project, learned: BrainRecord, promote: Promote, snapshot: Snapshot
) -> None:
    promote(learned, "page")
    promote(learned, "graphs")
    page, graphs = project.get_model("page"), project.get_model("graphs")
    paths = [sample.path for sample in snapshot.split("train")]
    wrong: Any = np.zeros((4, 4), np.float32)
    images = [wrong, paths[0], read_image(paths[1]), b"a text", str(paths[2]), paths[3].read_bytes(), wrong]
    seen = list(predict_many([page, graphs], images, batch_size=2))
    assert [{one.brain for one in pair} for pair in seen] == [{"page@1", "graphs@1"}] * 7
    assert [bool(pair[0].error and pair[1].error) for pair in seen] == [True, False, False, True, False, False, True]
    good = [pair for pair in seen if not pair[0].error]
    assert [pair[0] for pair in good] == [page.run(path) for path in paths[:4]]
    assert [pair[1].instances for pair in good] == [pair[0].instances for pair in good]
    assert "float32 array" in seen[0][0].error
    assert "not an image" in seen[3][1].error
    with pytest.raises(ConfigurationError, match="No brain"):
        predict_many([], paths)


def test_an_image_is_decoded_once_for_all_brains(
    project: Project, learned: BrainRecord, promote: Promote, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(learned, "page")
    promote(learned, "graphs")
    brains = [project.get_model("page"), project.get_model("graphs")]
    paths = [sample.path for sample in snapshot.split("train")]
    decoded: list[bytes] = []

    def counted(content: bytes, *more: Any) -> Any:
        decoded.append(content)
        return decode_squares(content, *more)

    monkeypatch.setattr("diffgram_flows.brains.tensorflow.looking.decode_squares", counted)
    assert len(list(predict_many(brains, paths))) == len(paths) == len(decoded)


def test_small_things_in_a_large_image(brain: Brain, sample: Sample) -> None:
    large = Image.new("RGB", (960, 960), (110, 110, 110))
    large.paste(read_image(sample.path), (700, 800))
    where = [(box.x_min + 700, box.y_min + 800) for box in sample.boxes]
    for seen in (brain.run(large, tile="auto"), brain.run(large, tile=Tiling(side=96, overlap=0.5))):
        corners = [one.points[0] for one in seen]
        assert all(any(abs(x - a) < 12 and abs(y - b) < 12 for a, b in corners) for x, y in where)
    ((together,),) = predict_many([brain], [large], tile="auto")
    assert together == brain.run(large, tile="auto") != brain.run(large)
    with pytest.raises(ConfigurationError, match="cannot be laid"):
        brain.run(large, tile=2.0)


def test_drawing_needs_the_image_that_was_looked_at(brain: Brain, sample: Sample) -> None:
    with pytest.raises(BrainError, match=r"not looked at an image yet\. Call brain\.run"):
        brain.visual(sample.path)
    brain.run(sample.path)
    with pytest.raises(ImageRejected, match=r"50 x 40 pixels.* last saw one of 96 x 96"):
        brain.visual(Image.new("RGB", (50, 40)))


def test_what_it_saw_in_one_image_is_not_drawn_on_another_one(brain: Brain, snapshot: Snapshot) -> None:
    first, second = (one.path for one in snapshot.split("train")[:2])
    seen = brain.run(first)
    with pytest.raises(ImageRejected, match=rf"{second.name}, is another one .*brain\.run.* or give the inference"):
        brain.visual(second)
    assert brain.visual(second, seen).size == (96, 96)  # who names it knows why
    for same in (first, first.read_bytes(), read_image(first), np.asarray(read_image(first))):
        assert brain.visual(same).tobytes() == brain.visual(first).tobytes()
    drawn = brain.visual(first)
    brain.run(second)
    with pytest.raises(ImageRejected, match="in memory, is another one"):
        brain.visual(drawn)
    brain.run(drawn)  # whatever is on it
    assert brain.visual(drawn).size == (96, 96)
    assert [len(one) for one in predict_many([brain], [first, b"a text", second])] == [1, 1, 1]
    brain.visual(second)
    with pytest.raises(ImageRejected, match="is another one"):
        brain.visual(first)


def test_what_it_sees_goes_to_diffgram(brain: Brain, project: Project, directory: Directory, sample: Sample) -> None:
    seen = brain.run(sample.path)
    labels = project.label.new("red", "blue")
    instances = [
        {**instance, "label_file_id": labels[one.label]}
        for one, instance in zip(seen, seen.as_instances(), strict=True)
    ]
    file = project.file.from_local(sample.path, directory=directory, instances=instances)
    stored = file.annotations().instances
    assert [(one.machine_made, one.label_name) for one in stored] == [(True, one.label) for one in seen]


def test_which_brain_is_meant(project: Project, learned: BrainRecord, promote: Promote) -> None:
    with pytest.raises(BrainNotFound, match=r"There is no brain in .*project\.train\.start"):
        project.get_model()
    promote(learned, "page")
    assert project.get_model().name == "page"
    assert project.get_model("page", version=1).version == 1
    promote(learned, "graphs")
    with pytest.raises(BrainNotFound, match=r"There are 2 brains in .*: graphs, page\. Name the one"):
        project.get_model()
    with pytest.raises(BrainNotFound, match=r"no brain 'pag' .*graphs, page"):
        project.get_model("pag")
    with pytest.raises(BrainNotFound, match="no brain page@7"):
        project.get_model("page", version=7)
    with pytest.raises(ConfigurationError, match="Nothing says where the brain service is"):
        project.get_model("page", local=False)


def test_a_brain_that_was_never_promoted(project: Project, learned: BrainRecord, promote: Promote) -> None:
    promote(learned, "page")
    shutil.rmtree(project.workdir / "brains" / "page" / "promotions")
    with pytest.raises(NoChampion, match=r"promoted yet.*version=1"):
        project.get_model("page")
    assert project.get_model("page", version=1).version == 1
