"""The calls about jobs, tasks, files, annotations and exports."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from contract.playback import Play, whole
from contract.plays import OLD, V1, body_of, id_of, makes, only_the_reply
from contract.recorded import Exchange, exchange

from diffgram_flows.diffgram import DiffgramClient, JobStat, SaveResult


@makes("POST", f"{V1}/job/new")
def _new_job(recorded: Exchange) -> Play:
    sent = body_of(recorded)
    attached = sent.get("attached_directories_dict", {}).get("attached_directories_list", [])

    def call(client: DiffgramClient, _: Path) -> int:
        return client.new_job(
            sent["name"],
            schema_id=sent.get("label_schema_id", 1),
            member_ids=sent.get("member_list_ids", [1]),
            directory_ids=[directory["directory_id"] for directory in attached],
            tags=sent.get("tag_list", []),
            reviewer_ids=sent.get("reviewer_list_ids", []),
        )

    # The SDK leaves to the server what our jobs say.
    return Play(call, at="job", free=("instance_type", "permission", "label_mode", "passes_per_file"))


@makes("POST", "/api/v1/job/<id>/builder/info")
def _job_info(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.job_info(id_of(recorded)), at="job")


@makes("POST", f"{V1}/job/set-output-dir")
def _output(recorded: Exchange) -> Play:
    sent = body_of(recorded)
    return Play(
        lambda client, _: client.set_output_directory(sent["job_id"], sent["output_dir"], sent["output_dir_action"])
    )


@makes("POST", "/api/v1/job/launch")
def _launch(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.launch_job(body_of(recorded)["job_id"]))


@makes("POST", "/api/v1/job/<id>/task/list")
def _tasks(recorded: Exchange) -> Play:
    status = body_of(recorded).get("status")
    if body_of(recorded).get("page_number", 0) == 0:
        return Play(lambda client, _: client.tasks(id_of(recorded), status=status), at="task_list")
    first = exchange("07/task_list").response["json"]["task_list"][:4]
    return Play(
        lambda client, _: [task.id for task in islice(client.tasks(id_of(recorded)), 6)],
        gives=[1, 2, 3, 4, 5, 6],
        before=({"task_list": first},),
    )


@makes("POST", f"{V1}/task/list")
def _tasks_of_file(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.tasks_of_file(body_of(recorded)["file_id"]), at="task_list")


@makes("POST", "/api/v1/task")
def _task(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.task(body_of(recorded)["task_id"]), at="task")


@makes("POST", "/api/v1/job/list")
def _jobs(recorded: Exchange) -> Play:
    search = body_of(recorded).get("metadata", {}).get("search")
    return Play(lambda client, _: client.jobs(search), at="Job_list", free=("status",))


@makes("GET", "/api/job/<id>/stat")
def _stat(recorded: Exchange) -> Play:
    counts = JobStat(total=6, completed=4, instances_created=5)
    return Play(lambda client, _: client.job_stat(id_of(recorded)), gives=counts)


@makes("GET", "/api/v1/job/<id>/members-list")
def _members(recorded: Exchange) -> Play:
    return Play(lambda client, _: [who.member_id for who in client.job_members(id_of(recorded)).assignees], gives=[1])


@makes("POST", "/api/v1/job/<id>/add-files")
def _add_files(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.add_files(id_of(recorded), body_of(recorded)["file_id_list"]))


@makes("POST", "/api/v1/job/cancel")
def _archive_jobs(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.archive_jobs([job["id"] for job in body_of(recorded)["job_list"]]))


@makes("POST", "/api/walrus/project/<p>/export/to_file")
def _export(recorded: Exchange) -> Play:
    sent = body_of(recorded)
    chosen = {key: sent.get(key) for key in ("directory_id", "job_id", "task_id")}
    settings = {"masks": sent["masks"], "only_complete": bool(sent["ann_is_complete"])}
    possible = sent.get("kind") == "Annotations" and sent["source"] in ("directory", "job", "task")
    if not sent.get("wait_for_export_generation"):
        return Play(lambda client, _: client.start_export(**chosen, **settings), at="export")
    return Play(
        lambda client, _: client.export_now(**chosen, **settings),
        gives=whole(recorded.response.get("json")),
        as_sent=possible,
    )


@makes("GET", "/api/walrus/project/<p>/export/<id>/status")
def _export_status(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.export_status(id_of(recorded)), at="export")


@makes("POST", "/api/walrus/project/<p>/export/link")
def _export_link(recorded: Exchange) -> Play:
    number, given = body_of(recorded)["id"], whole(recorded.response.get("json"))
    possible = body_of(recorded)["format"] == "JSON"
    if body_of(recorded)["return_type"] == "data":
        return Play(lambda client, _: client.export_data(number), gives=given, as_sent=possible)
    return Play(lambda client, _: client.export_link(number), gives=given, as_sent=possible)


@makes("GET", "/api/walrus/project/<p>/export/working_dir/list")
def _exports(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.exports(), at="export_list")


@makes("POST", "/api/walrus/project/<p>/export/update")
def _archive_export(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.archive_exports([body_of(recorded)["id"]]))


@makes("POST", f"{OLD}/user/sdk/file/list")
def _files(recorded: Exchange) -> Play:
    if "metadata" not in body_of(recorded):
        return only_the_reply(lambda client, _: list(client.files(2)))
    wanted = body_of(recorded)["metadata"]
    directory, search, query = wanted["directory_id"], wanted["search_term"], wanted["query"]
    if wanted["file_view_mode"] == "ids_only":
        return Play(lambda client, _: client.file_ids(directory), at="file_list")
    if wanted["file_view_mode"] == "explorer":  # the dataset of a query counts for nothing
        return Play(lambda client, _: client.query_files(query or ""), at="file_list", free=("directory_id",))
    if wanted["page"] == 1:
        return Play(lambda client, _: client.files(directory, search=search), at="file_list")
    first = exchange("09/list_annotation_mode").response["json"]["file_list"]
    here = recorded.response["json"]["file_list"]
    ids = [row["id"] for row in first + here]
    return Play(
        lambda client, _: [file.id for file in islice(client.files(directory), len(ids) + 1)],
        gives=ids,
        before=("09/list_annotation_mode",),
    )


@makes("POST", "/api/v1/file/view")
def _file(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.file(body_of(recorded)["file_id"]), at="file")


@makes("POST", f"{OLD}/file/<id>/annotation/list")
def _annotations(recorded: Exchange) -> Play:
    def call(client: DiffgramClient, _: Path) -> Any:
        found = client.annotations(id_of(recorded))
        assert found.raw == recorded.response["json"]["file_serialized"]["instance_list"]
        assert [instance.id for instance in found.instances] == [raw["id"] for raw in found.raw]
        return found

    return Play(call, at="file_serialized")


@makes("POST", f"{OLD}/file/<id>/annotation/update")
def _save(recorded: Exchange) -> Play:
    reply = recorded.response["json"]
    added = [row["id"] for row in reply.get("added_instances", []) if not row["soft_delete"]]
    warning = reply["log"].get("warning") or {} if "log" in reply else {}
    saved = SaveResult(
        added=added,
        deleted=reply.get("deleted_instances", []),
        warning=warning.get("information", ""),
        missing=warning.get("missing_ids", []),
    )
    return Play(
        lambda client, _: client.save_annotations(id_of(recorded), body_of(recorded)["instance_list"]), gives=saved
    )


@makes("POST", f"{V1}/file/exists")
def _exist(recorded: Exchange) -> Play:
    names, missing = body_of(recorded)["file_id_list"], recorded.response["json"]["result"]["missing_files"]
    return Play(lambda client, _: client.missing_files(names, 2), gives=set(missing))


@makes("GET", f"{OLD}/file/<id>/get-signed-url")
def _signed_url(recorded: Exchange) -> Play:
    image = recorded.response["json"].get("file", {}).get("image", {})
    return Play(lambda client, _: client.signed_url(id_of(recorded)), gives=image.get("url_signed"))


@makes("PUT", f"{V1}/file/<id>/update-metadata")
def _metadata(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.set_ordinal(id_of(recorded), body_of(recorded)["ordinal"]), at="file")


@makes("POST", f"{V1}/file/transfer")
def _transfer(recorded: Exchange) -> Play:
    sent = body_of(recorded)
    ids, directory = [file["id"] for file in sent["file_list"]], sent["destination_directory_id"]
    if sent["mode"] == "REMOVE":
        return Play(lambda client, _: client.remove_files(ids, directory))
    return Play(lambda client, _: client.mirror_files(ids, directory))


@makes("GET", f"{V1}/file/<id>/file-stats")
def _file_stats(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.file_stats(id_of(recorded)), at="file_stats")


@makes("POST", f"{V1}/model-runs/list")
def _model_runs(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.model_runs(body_of(recorded).get("id_list")), at="model_run_list")
