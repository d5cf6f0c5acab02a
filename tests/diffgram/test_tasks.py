"""Tasks: listed with a credential, read in a browser only."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import SessionRequired, UnexpectedReply

Server = Any  # servers.scripted.ScriptedServer


def task(number: int, file_id: int = 40, job_id: int = 1) -> dict[str, Any]:
    return {"id": number, "status": "available", "file": {"id": file_id}, "job": {"id": job_id}}


def test_the_tasks_of_a_file_in_all_jobs(server: Server, client: DiffgramClient) -> None:
    server.answer({"task_list": [task(1), task(9, job_id=3)], "log": {"success": False}}).answer({"task_list": []})
    found = list(client.tasks_of_file(40, page_size=2))
    assert [(row.id, row.job_id) for row in found] == [(1, 1), (9, 3)]
    assert server.sent[0].path == "/api/v1/project/contract-project/task/list"
    wanted = {"mode_data": "direct_route", "file_id": 40, "limit_count": 2}
    assert [sent.json for sent in server.sent] == [wanted | {"page_number": 0}, wanted | {"page_number": 1}]


def test_tasks_of_other_files_are_not_taken_for_those_of_this_one(server: Server, client: DiffgramClient) -> None:
    server.answer({"task_list": [task(1), task(2, file_id=41)]})
    with pytest.raises(UnexpectedReply, match=r"\['41'\] for file 40"):
        list(client.tasks_of_file(40))


def test_one_task_needs_a_browser(server: Server, client: DiffgramClient) -> None:
    server.answer({"error": "401 Unauthorized: Please login [No user_id]."}, status=401)
    with pytest.raises(SessionRequired, match=r"task 5.*web page of Diffgram"):
        client.task(5)
    assert server.last.json == {"task_id": 5, "builder_or_trainer_mode": "builder"}


def test_one_task_where_the_server_gives_it(server: Server, client: DiffgramClient) -> None:
    server.answer({"task": task(5)})
    assert client.task(5).file_id == 40
