"""The client's newer calls against a server that behaves as recorded, in a process of its own."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffgram_flows.diffgram import MIN_CHUNK, DiffgramClient, ImportRow, Packet, Prelabel, shapes
from diffgram_flows.errors import InvalidRequest, SessionRequired
from diffgram_flows.sandbox import SandboxProcess

SIDE = 1400  # pixels of noise: 5.9 MB that nothing can compress


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiffgramClient]:
    folder = tmp_path_factory.mktemp("sandbox")
    with (
        SandboxProcess(folder, rate_limits=False, task_delay=0.02) as sandbox,
        DiffgramClient(sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret) as client,
    ):
        client.ensure_labels(schema_of(client), ["car", "person"])
        yield client


@pytest.fixture(scope="module")
def labels(live: DiffgramClient) -> dict[str, int]:
    return live.ensure_labels(schema_of(live), ["car", "person"])


@pytest.fixture
def dataset(live: DiffgramClient, request: pytest.FixtureRequest) -> int:
    return live.ensure_directory(request.node.name[:100]).id


def schema_of(client: DiffgramClient) -> int:
    return next(schema.id for schema in client.schemas() if schema.is_default)


def picture(number: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (320, 240), (number * 40 % 256, 90, 60)).save(stream, "PNG")
    return stream.getvalue()


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def imported(client: DiffgramClient, name: str) -> ImportRow:
    """The finished import of this name."""

    def done() -> list[ImportRow]:
        return [row for row in client.imports() if row.original_filename == name and row.finished]

    until(lambda: bool(done()))
    return done()[0]


def test_attribute_groups_are_made_once(live: DiffgramClient, labels: dict[str, int]) -> None:
    schema = schema_of(live)
    made = live.ensure_attribute_group(
        schema, "occluded", options=["no", "partly"], label_file_ids=list(labels.values())
    )
    again = live.ensure_attribute_group(schema, "occluded", options=["partly", "heavily"])
    assert again.id == made.id
    (listed,) = [group for group in live.attribute_groups(schema) if group.name == "occluded"]
    assert [option.name for option in listed.options] == ["no", "partly", "heavily"]


def test_a_file_in_pieces_gets_the_prelabels_and_the_name_that_was_foretold(
    live: DiffgramClient, dataset: int, labels: dict[str, int], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    path = tmp_path / "no ise (1).png"
    Image.fromarray(noise).save(path, compress_level=0)
    assert path.stat().st_size > MIN_CHUNK
    batch = live.new_batch(dataset, {"no_ise_1.png": Prelabel([shapes.box("car", 1, 2, 50, 60)], {"camera": "left"})})
    done = live.upload_in_chunks(path, directory_id=dataset, batch_id=batch.id)
    assert done.count == 2
    row = imported(live, done.name)
    assert row.succeeded, row.failure
    assert row.file_id is not None
    found = live.annotations(row.file_id)
    assert (found.width, found.height) == (SIDE, SIDE)
    assert [(drawn.label_file_id, drawn.box is not None) for drawn in found.instances] == [(labels["car"], True)]


def test_prelabels_that_are_appended_are_loaded(live: DiffgramClient, dataset: int, tmp_path: Path) -> None:
    batch = live.new_batch(dataset)
    live.append_to_batch(batch.id, {"bta_1.png": Prelabel([shapes.tag("person")])})
    until(lambda: live.batch(batch.id).data_status == "success")
    (tmp_path / "bta_1.png").write_bytes(picture())
    live.upload_in_chunks(tmp_path / "bta_1.png", directory_id=dataset, batch_id=batch.id)
    row = imported(live, "bta_1.png")
    assert row.file_id is not None
    assert [drawn.type for drawn in live.annotations(row.file_id).instances] == ["tag"]


def test_a_batch_with_an_unknown_label_is_named(live: DiffgramClient, dataset: int, tmp_path: Path) -> None:
    batch = live.new_batch(dataset, {"btu_2.png": Prelabel([shapes.tag("nosuch")])})
    (tmp_path / "btu_2.png").write_bytes(picture())
    with pytest.raises(InvalidRequest, match=r"pre-labels of the upload 'btu_2\.png'"):
        live.upload_in_chunks(tmp_path / "btu_2.png", directory_id=dataset, batch_id=batch.id)


def test_what_can_be_known_of_a_file(live: DiffgramClient, dataset: int, labels: dict[str, int]) -> None:
    drawn = [shapes.box(labels["car"], 1, 2, 50, 60), shapes.polygon(labels["person"], [(1, 1), (90, 1), (50, 80)])]
    file_id = live.upload(picture(), name="known.png", directory_id=dataset, instances=drawn).file_id
    assert file_id is not None
    found = live.file(file_id)
    assert (found.name, found.width, found.height) == ("known.png", 320, 240)
    assert live.set_ordinal(file_id, 3).ordinal == 3
    assert live.rotate_file(file_id, 90).id == file_id
    assert {stat.label_file_id: stat.count for stat in live.file_stats(file_id) if stat.label_file_id} == {
        labels["car"]: 1,
        labels["person"]: 1,
    }
    assert {name: row.id for name, row in live.find_files(["known.png", "unknown.png"], dataset).items()} == {
        "known.png": file_id
    }
    (queried,) = live.query_files(f"dataset.id = {dataset}")
    assert (queried.file.id, len(queried.raw)) == (file_id, 2)


def test_instances_by_the_name_of_the_file(live: DiffgramClient, dataset: int, labels: dict[str, int]) -> None:
    file_id = live.upload(picture(1), name="by-name.png", directory_id=dataset).file_id
    assert file_id is not None
    live.send_packet(Packet(dataset, file_name="by-name.png", mode="update", instances=[shapes.tag(labels["car"])]))
    until(lambda: len(live.annotations(file_id).raw) == 1)


def test_files_move_from_one_dataset_to_another(live: DiffgramClient, dataset: int) -> None:
    other = live.ensure_directory("moved to").id
    file_id = live.upload(picture(2), name="moving.png", directory_id=dataset).file_id
    assert file_id is not None
    live.move_files([file_id], other, source_directory_id=dataset)
    assert (list(live.file_ids(dataset)), list(live.file_ids(other))) == ([], [file_id])


def test_a_job_from_its_making_to_its_end(live: DiffgramClient, dataset: int) -> None:
    output = live.ensure_directory("finished work").id
    person = next(member.member_id for member in live.members())
    file_id = live.upload(picture(3), name="work.png", directory_id=dataset).file_id
    assert file_id is not None
    job_id = live.new_job(
        "look",
        schema_id=schema_of(live),
        member_ids=[person],
        directory_ids=[dataset],
        reviewer_ids=[person],
        output_directory_id=output,
    )
    job = live.job_info(job_id)
    assert (job.status, job.member_ids, job.reviewer_ids) == ("draft", [person], [person])
    assert (job.output_directory_id, job.output_action) == (output, "copy")
    assert [attached.directory_id for attached in job.directories] == [dataset]
    live.launch_job(job_id)
    until(lambda: len(list(live.tasks(job_id))) == 1)
    (task,) = live.tasks_of_file(file_id)
    assert task.job_id == job_id
    with pytest.raises(SessionRequired, match="web page"):
        live.task(task.id)
    members = live.job_members(job_id)
    assert [who.member_id for who in members.assignees] == [person]
    data = live.export_now(task_id=task.id)
    assert str(file_id) in data
    live.archive_jobs([job_id])
    assert live.find_job("look") is None


def test_exports_are_waited_for_read_and_archived(live: DiffgramClient, dataset: int) -> None:
    file_id = live.upload(picture(4), name="export.png", directory_id=dataset).file_id
    export = live.wait_for_export(live.start_export(directory_id=dataset).id, timeout=20, poll=0.02)
    assert str(file_id) in live.export_data(export.id)
    assert export.id in [row.id for row in live.exports()]
    live.archive_exports([export.id])
    assert export.id not in [row.id for row in live.exports()]
