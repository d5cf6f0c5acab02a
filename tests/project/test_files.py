from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from servers.pages import Sign

from diffgram_flows import Project
from diffgram_flows.diffgram import shapes
from diffgram_flows.errors import BrokenReply, ConfigurationError, ImageRejected, ImportFailed, InvalidRequest
from diffgram_flows.project import Directory, uploading
from diffgram_flows.storage import ObjectStore

BOX = {"type": "box", "name": "car", "x_min": 4, "y_min": 6, "x_max": 30, "y_max": 40}


def corners(file: Any) -> list[tuple[str, int | None, int | None, int | None, int | None]]:
    return [(i.label_name, i.x_min, i.y_min, i.x_max, i.y_max) for i in file.annotations().instances]


def test_a_url_becomes_a_file(project: Project, directory: Directory, sign: Sign) -> None:
    queued = project.file.from_url(sign("cat.png"), directory=directory)
    file = queued.wait(60)
    assert (file.name, file.directory_id) == (queued.name, directory.id)
    assert file.name.startswith("cat-")
    assert [found.id for found in directory.files()] == [file.id]
    assert file == project.file.get(file.name, directory=directory)
    assert project.file.get_by_id(file.id).name == file.name
    assert project.file.exists(file.name, directory=directory)
    assert not project.file.exists(file.name, "other.png", directory=directory)


def test_a_queued_import_tells_no_secret(project: Project, directory: Directory, sign: Sign) -> None:
    url = sign("cat.png")
    queued = project.file.from_url(url, directory=directory, file_name="mine.png")
    assert url.partition("?")[2] not in repr(queued)
    assert project.client._transport._session.auth is not None
    assert "secret" not in repr(queued).lower()
    assert queued.wait(60).name == "mine.png"


def test_the_same_url_again_is_the_same_file(project: Project, directory: Directory, sign: Sign) -> None:
    first = project.file.from_url(sign("cat.png"), directory=directory).wait(60)
    signed_again = sign("cat.png")
    assert project.file.from_url(signed_again, directory=directory).wait(60) == first
    project.label.new("car")
    with pytest.raises(ImportFailed, match=rf"already \(id {first.id}\).*project\.file\.update"):
        project.file.from_url(signed_again, directory=directory, instances=[BOX]).wait(60)
    with pytest.raises(ImportFailed, match="Choose another file_name"):
        project.file.from_url(signed_again, directory=directory, file_name=first.name).wait(60)


def test_urls_that_differ_in_their_query_are_different_images(
    project: Project, directory: Directory, sign: Sign
) -> None:
    url = sign("cat.png")
    names = [project.file.from_url(f"{url}&page={page}", directory=directory).name for page in (1, 2)]
    assert len({*names, project.file.from_url(url, directory=directory).name}) == 3


def test_what_the_server_gave_up_is_told_with_its_reason(
    project: Project, directory: Directory, sign: Sign, tmp_path: Path
) -> None:
    url = sign("cat.png")
    (tmp_path / "bucket" / "cat.png").unlink()
    with pytest.raises(ImportFailed, match=r"The import of 'cat-\w{10}.png' failed: .*404"):
        project.file.from_url(url, directory=directory).wait(60)
    assert project.file.from_url(sign("cat.png"), directory=directory).wait(60).name.startswith("cat-")


def test_a_wait_that_is_too_short_says_what_to_do(project: Project, directory: Directory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/cat.png"
        queued = project.file.from_url(url, directory=directory)
        with pytest.raises(ImportFailed, match=r"not done after 0 s\. Wait again"):
            queued.wait(0)
    with pytest.raises(ImportFailed, match=r"The import of 'cat-\w{10}.png' failed"):
        queued.wait(60)


def test_many_imports_are_followed_together(
    project: Project, directory: Directory, sign: Sign, calls: list[str], tmp_path: Path
) -> None:
    urls = [sign(f"{number}.png") for number in range(12)]
    (tmp_path / "bucket" / "5.png").unlink()
    queued = [project.file.from_url(url, directory=directory) for url in urls]
    told: list[int] = []
    report = project.input.wait(queued, timeout=60, progress=lambda done, total, note="": told.append(done))
    assert [file.name for file in report.files] == [one.name for one in queued if not one.name.startswith("5-")]
    assert [failure.name for failure in report.failures] == [queued[5].name]
    assert report.waiting == ()
    assert told[-1] == 12
    assert sum(call.endswith("/input/view/list") for call in calls) <= len(told)
    by_name = project.input.wait([queued[0].name, "never-sent.png"], directory=directory, timeout=0)
    assert [file.name for file in by_name.files] == [queued[0].name]
    assert by_name.waiting == ("never-sent.png",)


def test_instances_of_all_kinds_come_along(project: Project, directory: Directory, sign: Sign) -> None:
    project.label.new("car", "road", "sunny")
    instances = [
        BOX,
        shapes.box("car", 1.4, 2.6, 20, 30),
        shapes.polygon("road", [(0, 40), (63, 40), (30, 20)]),
        shapes.line("road", [(0, 1), (5, 6)]),
        shapes.point("car", 8, 9),
        shapes.tag("sunny"),
    ]
    file = project.file.from_url(sign("cat.png"), directory=directory, instances=instances).wait(60)
    found = file.annotations().instances
    assert [(one.type, one.label_name) for one in found] == [
        ("box", "car"),
        ("box", "car"),
        ("polygon", "road"),
        ("line", "road"),
        ("point", "car"),
        ("tag", "sunny"),
    ]
    assert corners(file)[1] == ("car", 1, 3, 20, 30)


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        pytest.param({**BOX, "name": "unicorn"}, "'unicorn', which is no label here", id="unknown label"),
        pytest.param({**BOX, "x_max": 4}, "without area", id="no area"),
        pytest.param({**BOX, "type": "blob"}, "type is 'blob'", id="unknown kind"),
    ],
)
def test_wrong_instances_are_refused_before_anything_is_sent(
    project: Project, directory: Directory, sign: Sign, calls: list[str], instance: dict[str, Any], said: str
) -> None:
    project.label.new("car")
    with pytest.raises(InvalidRequest, match=said):
        project.file.from_url(sign("cat.png"), directory=directory, instances=[instance])
    assert not any(call.endswith("/packet") for call in calls)


def test_packets_of_the_official_sdk(project: Project, directory: Directory, sign: Sign) -> None:
    project.label.new("car")
    packet = {"instance_list": [BOX], "media": {"url": sign("cat.png"), "type": "image"}}
    file = project.file.from_packet(packet, directory=directory).wait(60)
    assert corners(file) == [("car", 4, 6, 30, 40)]
    more = {"file_id": file.id, "mode": "update", "instance_list": [{**BOX, "x_min": 1}]}
    project.file.from_packet(more).wait(60)
    assert corners(file) == [("car", 4, 6, 30, 40), ("car", 1, 6, 30, 40)]


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        pytest.param({"media": {"url": "http://x/a.jpg"}, "colour": 1}, "unknown keys 'colour'", id="unknown key"),
        pytest.param({"instance_list": []}, "neither a media.url nor a file_id", id="no source"),
        pytest.param({"file_id": 3, "instance_list": [BOX]}, "mode None and the file_id 3", id="no mode"),
        pytest.param(
            {"file_id": 3, "mode": "update_with_existing", "instance_list": [BOX]}, "erases what people", id="overwrite"
        ),
    ],
)
def test_bad_packets_are_refused(project: Project, packet: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        project.file.from_packet(packet)


def test_updating_adds_and_never_overwrites(project: Project, directory: Directory, sign: Sign) -> None:
    label = project.label.new("car")["car"]
    file = project.file.from_url(sign("cat.png"), directory=directory, instances=[BOX]).wait(60)
    with pytest.raises(InvalidRequest, match="not overwritten: that erases what people drew"):
        project.file.update(file, [BOX], overwrite=True)
    assert file.update([shapes.box(label, 1, 1, 9, 9)]).wait(60).id == file.id
    assert project.file.update(file.id, [shapes.box("car", 2, 2, 8, 8)]).wait(60).id == file.id
    assert corners(file) == [("car", 4, 6, 30, 40), ("car", 1, 1, 9, 9), ("car", 2, 2, 8, 8)]


def test_a_local_image_is_there_when_the_call_returns(project: Project, directory: Directory, tmp_path: Path) -> None:
    project.label.new("car")
    path = tmp_path / "dog.png"
    Image.new("RGB", (64, 48), (1, 2, 3)).save(path)
    file = project.file.from_local(path, directory=directory, instances=[{**BOX, "x_max": 99}])
    assert file.name.startswith("dog-")
    assert corners(file) == [("car", 4, 6, 64, 40)]
    assert file.read() == path.read_bytes()
    assert file.download(tmp_path / "copy" / "dog.png").read_bytes() == path.read_bytes()
    other = project.file.from_local(str(path), directory=directory, file_name="other.png")
    assert project.file.from_local(path, directory=project.directory.new(directory.name), file_name="x.png").id
    with pytest.raises(InvalidRequest, match=r"(?i)already exists"):
        project.file.from_local(path, directory=directory, file_name="other.png")
    assert other.name == "other.png"


def test_the_same_local_image_again_is_the_same_file(project: Project, directory: Directory, tmp_path: Path) -> None:
    path = tmp_path / "dog.png"
    Image.new("RGB", (64, 48), (1, 2, 3)).save(path)
    first = project.file.from_local(path, directory=directory)
    assert project.file.from_local(path, directory=directory) == first
    Image.new("RGB", (64, 48), (3, 2, 1)).save(path)
    assert project.file.from_local(path, directory=directory) != first


def test_large_files_go_in_pieces(
    project: Project, directory: Directory, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_AT_ONCE", 100)
    project.label.new("car")
    path = tmp_path / "lär ge.png"
    Image.effect_noise((200, 150), 100).save(path)
    file = project.file.from_local(path, directory=directory, instances=[BOX], timeout=60)
    assert any(call.endswith("/upload/large") for call in calls)
    assert file.read() == path.read_bytes()
    assert corners(file) == [("car", 4, 6, 30, 40)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"hello", "hello.png is not an image", id="text"),
        pytest.param(None, "hello.png cannot be read", id="missing"),
    ],
)
def test_bad_local_files_are_refused_before_anything_is_sent(
    project: Project, directory: Directory, tmp_path: Path, calls: list[str], content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "hello.png").write_bytes(content)
    calls.clear()
    with pytest.raises(ImageRejected, match=said):
        project.file.from_local(tmp_path / "hello.png", directory=directory)
    assert calls == []


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        pytest.param({"directory": "nowhere"}, ConfigurationError, r"no dataset 'nowhere'.*directory\.new", id="name"),
        pytest.param({"directory": 99_999}, BrokenReply, "dataset 99999", id="id"),
        pytest.param({"directory": ""}, ConfigurationError, "name of a dataset is empty", id="empty"),
    ],
)
def test_unknown_datasets(
    project: Project, sign: Sign, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        project.file.from_url(sign("cat.png"), **options)


def test_a_url_without_an_extension_needs_a_name(project: Project, directory: Directory, calls: list[str]) -> None:
    with pytest.raises(InvalidRequest, match=r"no extension.*file_name") as caught:
        project.file.from_url("https://example.com/image/12?secret=5", directory=directory)
    assert "secret" not in str(caught.value)
    assert project.file.from_url("https://example.com/image/12", directory=directory, file_name="12.jpg").name


def test_files_move_between_datasets(project: Project, directory: Directory, sign: Sign) -> None:
    files = [project.file.from_url(sign(f"{n}.png"), directory=directory).wait(60) for n in range(3)]
    there = project.directory.new(f"{directory.name} beside")
    project.file.transfer(files[0], to=there)
    assert ids(there) == {files[0].id}
    assert ids(directory) == {file.id for file in files}
    project.file.transfer([files[1].id, files[2]], to=there, action="move", source=directory)
    assert ids(there) == {file.id for file in files}
    assert ids(directory) == {files[0].id}
    there.remove(files)
    there.add([files[0]])
    assert ids(there) == {files[0].id}
    with pytest.raises(InvalidRequest, match="'steal'"):
        project.file.transfer(files, to=there, action="steal")  # type: ignore[arg-type]


def ids(directory: Directory) -> set[int]:
    return set(directory.file_ids())


def test_a_job_gets_a_task_for_what_is_imported_into_it(
    project: Project, directory: Directory, sign: Sign, bucket: ObjectStore, tmp_path: Path
) -> None:
    project.label.new("car")
    job = project.job.new("label cars")
    imported = project.file.from_url(sign("cat.png"), directory=directory, job=job).wait(60)
    Image.new("RGB", (64, 48), (1, 2, 3)).save(tmp_path / "dog.png")
    sent = project.file.from_local(tmp_path / "dog.png", directory=directory, job=job)
    ends_at = time.monotonic() + 20
    while len(tasks := list(job.tasks())) < 2 and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert {task.file_id for task in tasks} == {imported.id, sent.id}
    assert [task.id for task in project.task.list(file=sent)] == [t.id for t in tasks if t.file_id == sent.id]
