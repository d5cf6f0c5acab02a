"""Jobs and tasks against recorded replies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import BrokenReply, InvalidRequest, UnexpectedReply

Server = Any  # conftest.ScriptedServer


def job(number: int, name: str, status: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "status": status,
        "label_schema_id": 1,
        "instance_type": "box",
        "file_count_statistic": None,
        "launch_datetime": "None",
        "time_completed": "None",
        "time_created": "2026-11-22 06:39:34.939720",
    }


def jobs(*rows: dict[str, Any], pages: int = 1) -> dict[str, Any]:
    return {"Job_list": list(rows), "log": {"error": {}, "success": True}, "metadata": {"number_of_pages": pages}}


def task(number: int, status: str = "available", job_id: int = 1) -> dict[str, Any]:
    file = {"id": 100 + number, "original_filename": f"job_{number}.jpg", "image": {"url_signed": "http://a/b?c=d"}}
    return {
        "id": number,
        "file": file,
        "job": {"id": job_id, "name": "label cars"},
        "status": status,
        "time_completed": "2026-11-22 06:41:30.748526" if status == "complete" else "None",
        "time_updated": "2026-11-22 06:41:30.753851",
    }


def tasks(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"allow_reviews": False, "log": {"error": {}, "info": {}, "success": True}, "task_list": list(rows)}


def test_a_new_job(server: Server, client: DiffgramClient) -> None:
    made = {"created_time": "Sun, 22 Nov 2026 06:39:31 GMT", "id": 1, "name": "label cars", "status": "draft"}
    server.answer({"job": made, "log": {"error": {}, "info": {"update_member_list": {"1": "Added"}}, "success": True}})
    assert client.new_job("label cars", schema_id=1, member_ids=[1], directory_ids=[4], tags=["contract"]) == 1
    assert server.last.path == "/api/v1/project/contract-project/job/new"
    assert server.last.json == {
        "name": "label cars",
        "instance_type": "box",
        "share": "project",
        "type": "Normal",
        "permission": "all_secure_users",
        "label_mode": "closed_all_available",
        "passes_per_file": 1,
        "label_schema_id": 1,
        "member_list_ids": [1],
        "attached_directories_dict": {"attached_directories_list": [{"directory_id": 4, "selected": "sync"}]},
        "tag_list": ["contract"],
    }


def test_a_job_for_an_unknown_member(server: Server, client: DiffgramClient) -> None:
    error = {"update_member_list": {"999": "Invalid member_id 999"}}
    server.answer({"log": {"error": error, "info": {}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match="Invalid member_id 999"):
        client.new_job("bm", schema_id=1, member_ids=[999])


def test_a_job_for_an_unknown_dataset(server: Server, client: DiffgramClient) -> None:
    server.answer(raw=b"HTTP/1.0 0 gkpj\r\n")
    with pytest.raises(BrokenReply, match="9999"):
        client.new_job("bd", schema_id=1, member_ids=[1], directory_ids=[9999])


def test_launching_twice_is_no_error(server: Server, client: DiffgramClient) -> None:
    server.answer({"log": {"error": {}, "info": {"launch_flow": "soon"}, "success": True}})
    client.launch_job(1)
    assert (server.last.path, server.last.json) == ("/api/v1/job/launch", {"job_id": 1})
    server.script[:] = []
    server.answer({"log": {"error": {"job_status": "Job already launched."}, "success": False}}, status=400)
    client.launch_job(1)


def test_a_job_without_a_schema_cannot_be_launched(server: Server, client: DiffgramClient) -> None:
    server.answer({"log": {"error": {"schema": "Job must have a label schema"}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match=r"job 2.*must have a label schema"):
        client.launch_job(2)


def test_files_are_added_in_parts(server: Server, client: DiffgramClient) -> None:
    server.answer([7, 8])
    client.add_files(1, list(range(1, 2502)))
    assert {sent.path for sent in server.sent} == {"/api/v1/job/1/add-files"}
    assert [len(sent.json["file_id_list"]) for sent in server.sent] == [1000, 1000, 501]
    client.add_files(1, [])
    assert len(server.sent) == 3


def test_the_counts_of_a_job(server: Server, client: DiffgramClient) -> None:
    counts = {
        "completed": 4,
        "in_progress": 0,
        "in_review": 1,
        "instances_created": 5,
        "requires_changes": 2,
        "total": 6,
    }
    server.answer(counts)
    assert client.job_stat(1).model_dump() == counts
    assert (server.last.method, server.last.path) == ("GET", "/api/job/1/stat")


def test_the_list_of_jobs_is_read_to_its_last_page(server: Server, client: DiffgramClient) -> None:
    server.answer(jobs(job(6, "label cars", "draft"), pages=2)).answer(jobs(job(1, "label cars", "active"), pages=2))
    found = client.jobs("label")
    assert [(row.id, row.status) for row in found] == [(6, "draft"), (1, "active")]
    assert found[0].time_created == datetime(2026, 11, 22, 6, 39, 34, 939720, tzinfo=UTC)
    asked = [sent.json["metadata"] for sent in server.sent]
    assert [metadata["page_number"] for metadata in asked] == [1, 2]
    assert {metadata["search"] for metadata in asked} == {"label"}
    assert {metadata["project_string_id"] for metadata in asked} == {"contract-project"}


def test_a_list_of_jobs_that_repeats_itself_ends(server: Server, client: DiffgramClient) -> None:
    server.answer(jobs(job(6, "label cars", "draft"), pages=999))
    assert len(client.jobs()) == 1
    assert len(server.sent) == 2


def test_the_newest_job_of_a_name_that_is_not_archived(server: Server, client: DiffgramClient) -> None:
    server.answer(
        jobs(
            job(9, "label cars", "archived"),
            job(8, "label cars 2", "active"),
            job(6, "label cars", "complete"),
            job(1, "label cars", "active"),
        )
    )
    found = client.find_job("label cars")
    assert found is not None
    assert found.id == 6
    assert client.find_job("label") is None


def test_tasks_are_read_page_by_page(server: Server, client: DiffgramClient) -> None:
    server.answer(tasks(task(1, "complete"), task(2))).answer(tasks(task(3))).answer(tasks())
    found = client.tasks(1, page_size=2)
    first = next(found)
    assert len(server.sent) == 1
    assert (first.id, first.status, first.file_id, first.file_name, first.job_id) == (
        1,
        "complete",
        101,
        "job_1.jpg",
        1,
    )
    assert first.time_completed == datetime(2026, 11, 22, 6, 41, 30, 748526, tzinfo=UTC)
    rest = list(found)
    assert [row.id for row in rest] == [2, 3]
    assert rest[0].time_completed is None
    assert {sent.path for sent in server.sent} == {"/api/v1/job/1/task/list"}
    assert [sent.json["page_number"] for sent in server.sent] == [0, 1, 2]
    assert server.last.json == {"mode_data": "direct_route", "job_id": 1, "limit_count": 2, "page_number": 2}


def test_tasks_of_one_status(server: Server, client: DiffgramClient) -> None:
    server.answer(tasks())
    assert list(client.tasks(1, status="complete")) == []
    assert server.last.json["status"] == "complete"


def test_a_server_that_ignores_the_page_does_not_go_on_for_ever(server: Server, client: DiffgramClient) -> None:
    server.answer(tasks(task(1), task(2)))
    assert [row.id for row in client.tasks(1, page_size=2)] == [1, 2]


def test_tasks_of_another_job_are_not_passed_on(server: Server, client: DiffgramClient) -> None:
    server.answer(tasks(task(1, job_id=1), task(13, job_id=8)))
    with pytest.raises(UnexpectedReply, match=r"jobs \['8'\] for job 1"):
        list(client.tasks(1))


def test_a_task_without_its_file(server: Server, client: DiffgramClient) -> None:
    server.answer(tasks(task(1) | {"file": None})).answer(tasks())
    (row,) = client.tasks(1)
    assert (row.file_id, row.file_name) == (None, "")


DONE = {"log": {"error": {}, "info": {}, "success": True}}
MADE = DONE | {"job": {"id": 8, "name": "review job", "status": "draft"}}
INFO = {
    "job": {
        "id": 8,
        "name": "review job",
        "status": "draft",
        "type": "Normal",
        "share_type": "project",
        "label_schema_id": 1,
        "member_list_ids": [1],
        "reviewer_list_ids": [2],
        "attached_directories_dict": {
            "attached_directories_list": [{"directory_id": 4, "nickname": "job-src", "selected": "sync"}]
        },
        "completion_directory_id": 5,
        "output_dir_action": "copy",
        "stat_count_tasks": None,
        "percent_completed": 0,
        "guide": None,
    }
}


def test_a_job_with_reviews_and_an_output_dataset(server: Server, client: DiffgramClient) -> None:
    server.answer(MADE).answer(MADE)
    job_id = client.new_job(
        "review job",
        schema_id=1,
        member_ids=[1],
        reviewer_ids=[2],
        review_chance=50,
        output_directory_id=5,
        output_action="move",
    )
    assert job_id == 8
    new, output = (sent.json for sent in server.sent)
    assert (new["allow_reviews"], new["review_chance"], new["reviewer_list_ids"]) == (True, 50, [2])
    assert output == {"job_id": 8, "output_dir": 5, "output_dir_action": "move"}
    assert server.last.path == "/api/v1/project/contract-project/job/set-output-dir"


def test_a_job_whose_output_dataset_fails_is_not_lost(server: Server, client: DiffgramClient) -> None:
    server.answer(MADE).answer({"log": {"error": {"output_dir": "no such"}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match="output dataset 5 of job 8") as caught:
        client.new_job("review job", schema_id=1, member_ids=[1], output_directory_id=5)
    assert caught.value.fields["job_id"] == "8"


def test_what_makes_no_sense_for_a_job_is_not_sent(server: Server, client: DiffgramClient) -> None:
    with pytest.raises(InvalidRequest, match="101 of 100"):
        client.new_job("a", schema_id=1, member_ids=[1], review_chance=101)
    with pytest.raises(InvalidRequest, match="'zip'"):
        client.set_output_directory(8, 5, "zip")  # type: ignore[arg-type]
    client.archive_jobs([])
    assert server.sent == []


def test_all_about_a_job(server: Server, client: DiffgramClient) -> None:
    server.answer(INFO)
    job = client.job_info(8)
    assert (job.status, job.member_ids, job.reviewer_ids, job.tasks) == ("draft", [1], [2], 0)
    assert [(old.directory_id, old.name, old.mode) for old in job.directories] == [(4, "job-src", "sync")]
    assert (job.output_directory_id, job.output_action) == (5, "copy")


def test_a_change_sends_the_whole_job(server: Server, client: DiffgramClient) -> None:
    server.answer(INFO).answer(MADE)
    client.update_job(8, name="other", tags=["a"])
    assert server.last.path == "/api/v1/project/contract-project/job/update"
    assert server.last.json == {
        "id": 8,
        "job_id": 8,
        "name": "other",
        "status": "draft",
        "label_schema_id": 1,
        "share": "project",
        "type": "Normal",
        "member_list_ids": [1],
        "attached_directories_dict": {"attached_directories_list": [{"directory_id": 4, "selected": "sync"}]},
        "tag_list": ["a"],
    }


def test_more_datasets_for_a_draft(server: Server, client: DiffgramClient) -> None:
    server.answer(INFO).answer(MADE)
    client.attach_directories(8, [6, 4], mode="copy_once")
    attached = server.last.json["attached_directories_dict"]["attached_directories_list"]
    assert attached == [{"directory_id": 4, "selected": "sync"}, {"directory_id": 6, "selected": "copy_once"}]
    assert len(server.sent) == 2


def test_a_job_that_runs_is_not_changed(server: Server, client: DiffgramClient) -> None:
    server.answer({"job": INFO["job"] | {"status": "active"}})
    with pytest.raises(InvalidRequest, match="job 8 is active"):
        client.attach_directories(8, [6])
    assert len(server.sent) == 1


def test_daily_budgets_of_jobs(server: Server, make_client: Any) -> None:
    waited: list[str] = []

    class Counting:
        def wait(self, endpoint: str) -> None:
            waited.append(endpoint)

    server.answer(INFO).answer(DONE)
    client = make_client(pacer=Counting())
    client.job_info(8)
    client.archive_jobs([8, 9])
    assert waited == ["job/builder/info", "job/cancel"]
    assert server.last.json == {"job_list": [{"id": 8}, {"id": 9}], "mode": "archive"}


def test_a_guide_as_the_official_sdk_sends_it(server: Server, client: DiffgramClient) -> None:
    server.answer({"guide": {"id": 3, "name": "cars"}}).answer(DONE)
    guide = client.new_guide("cars", "# Cars")
    client.attach_guide(8, guide.id, "review")
    assert [(sent.path, sent.json) for sent in server.sent] == [
        ("/api/v1/project/contract-project/guide/new", {"name": "cars", "description_markdown": "# Cars"}),
        (
            "/api/v1/guide/attach/job",
            {"guide_id": 3, "job_id": 8, "kind": "review", "update_or_remove": "update"},
        ),
    ]
