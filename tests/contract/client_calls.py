"""For every recorded operation that the client offers: the call that sends such a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from contract.playback import Play, operation, whole
from contract.recorded import Exchange, exchange

from diffgram_flows.diffgram import MIN_CHUNK, DiffgramClient, JobStat, Packet, Prelabel, SaveResult, UploadState

Maker = Callable[[Exchange], Play]
_MAKERS: dict[tuple[str, str], Maker] = {}
_WALRUS, _V1, _OLD = "/api/walrus/v1/project/<p>", "/api/v1/project/<p>", "/api/project/<p>"
_BOX = {"type": "box", "label_file_id": 4, "x_min": 1, "y_min": 2, "x_max": 50, "y_max": 60}


def play_of(recorded: Exchange) -> Play | None:
    """The call for an exchange, ``None`` where the client offers no such operation."""
    maker = _MAKERS.get(operation(recorded))
    return maker(recorded) if maker else None


def only_the_reply(call: Callable[[DiffgramClient, Path], Any] | None = None) -> Play:
    """A reply that can meet any call."""
    return Play(call or (lambda client, _: client.job_stat(1)), as_sent=False)


def makes(method: str, path: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        _MAKERS[(method, path)] = maker
        return maker

    return register


def _id(recorded: Exchange) -> int:
    """The only number in the path."""
    found = re.search(r"/(\d+)(?=/|$)", recorded.path)
    assert found is not None
    return int(found[1])


def _json(recorded: Exchange) -> Any:
    return recorded.request.get("json", {})


@makes("GET", f"{_OLD}/view")
def _view(recorded: Exchange) -> Play:
    project = recorded.path.split("/")[3]
    return Play(lambda client, _: client.view_project(), at="project", project=project)


@makes("POST", f"{_V1}/directory/list")
def _directories(recorded: Exchange) -> Play:
    name = _json(recorded).get("nickname")
    if "body" in recorded.request:
        return only_the_reply(lambda client, _: client.directories())
    return Play(lambda client, _: client.directories(name), at="directory_list")


@makes("POST", f"{_V1}/directory/new")
def _new_directory(recorded: Exchange) -> Play:
    none: dict[str, Any] = {"directory_list": []}
    name = _json(recorded).get("nickname")
    return Play(lambda client, _: client.ensure_directory(name), at="new_directory", before=(none,), after=(none,))


@makes("GET", f"{_V1}/labels-schema")
def _schemas(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.schemas(), at=".")


@makes("POST", f"{_V1}/labels-schema/new")
def _new_schema(recorded: Exchange) -> Play:
    name = _json(recorded)["name"]
    return Play(lambda client, _: client.ensure_schema(name), at=".", before=([],), after=([],))


@makes("POST", f"{_V1}/label/new")
def _new_label(recorded: Exchange) -> Play:
    name, schema = _json(recorded)["name"], _json(recorded).get("schema_id")
    made = recorded.response["json"].get("label")
    listed = {"labels_out": [made] if made else []}
    return Play(
        lambda client, _: client.ensure_labels(schema, [name]),
        gives={name: made["id"]} if made else None,
        before=({"labels_out": []},),
        after=(listed,),
    )


@makes("GET", f"{_OLD}/labels")
def _labels(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.labels(1), at="labels_out")


@makes("POST", f"{_V1}/attribute/template/list")
def _attribute_groups(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.attribute_groups(1), at="attribute_group_list")


def _new_attribute(before: tuple[Any, ...], after: tuple[Any, ...]) -> Play:
    """The whole making of the recorded group, of which one call is looked at."""

    def call(client: DiffgramClient, _: Path) -> Any:
        return client.ensure_attribute_group(
            1, "occluded", prompt="Is it occluded?", options=["no", "partly", "heavily"], label_file_ids=[4, 2]
        ).id

    return Play(call, gives=1, before=before, after=after)


_NO_GROUPS: dict[str, Any] = {"attribute_group_list": []}
_OPTIONS = ("02/attribute_option_new_no", "02/attribute_option_new_partly", "02/attribute_option_new_heavily")


def _named_group(*options: str) -> dict[str, Any]:
    group = exchange("02/attribute_group_update").response["json"]["group"]
    made = [exchange(option).response["json"]["attribute_template"] for option in options]
    return {"attribute_group_list": [group | {"attribute_template_list": made}]}


@makes("POST", f"{_V1}/attribute/group/new")
def _new_group(recorded: Exchange) -> Play:
    return _new_attribute((_NO_GROUPS,), ("02/attribute_group_update", _named_group(), *_OPTIONS))


@makes("POST", f"{_V1}/attribute/group/update")
def _name_group(recorded: Exchange) -> Play:
    sent = _json(recorded)
    leftover = {"attribute_group_list": [{"id": sent["group_id"], "name": None, "kind": None, "prompt": None}]}
    named = {"attribute_group_list": [recorded.response["json"]["group"]]}
    labels = [label["id"] for label in sent["label_file_list"]]

    def call(client: DiffgramClient, _: Path) -> Any:
        return client.ensure_attribute_group(
            1, sent["name"], prompt=sent["prompt"], kind=sent["kind"], label_file_ids=labels
        )

    return Play(call, at="group", before=(leftover,), after=(named,))


@makes("POST", f"{_V1}/attribute")
def _new_option(recorded: Exchange) -> Play:
    done = _OPTIONS.index(recorded.id)
    return _new_attribute((_named_group(*_OPTIONS[:done]),), _OPTIONS[done + 1 :])


@makes("POST", f"{_WALRUS}/input/packet")
def _packet(recorded: Exchange) -> Play:
    if not _is_a_packet(_json(recorded)):
        return only_the_reply(lambda client, _: client.send_packet(Packet(2, url="http://images.local/img/a.jpg")))
    return Play(lambda client, _: client.send_packet(packet_of(_json(recorded))))


def _is_a_packet(body: Any) -> bool:
    """Whether it is more than a wrong type, which the client cannot send."""
    return (
        isinstance(body, dict)
        and bool(body)
        and isinstance(body.get("media", {}), dict)
        and isinstance(body.get("instance_list") or [], list)
    )


def packet_of(body: dict[str, Any]) -> Packet:
    """The packet that was recorded as JSON."""
    media = body.get("media") or {}
    instances = body.get("instance_list") or ()
    if instances == ["<2000 boxes>"]:
        instances = [_BOX] * 2000
    name = body.get("original_filename") or body.get("file_name")
    more = {"media_type": media["type"]} if "type" in media else {}
    return Packet(
        body.get("directory_id", 2),
        url=media.get("url"),
        file_name="L" * 296 + ".jpg" if name and "300 characters" in name else name,
        instances=instances,
        file_id=body.get("file_id"),
        mode=body.get("mode"),
        job_id=body.get("job_id"),
        **more,
    )


@makes("POST", f"{_WALRUS}/input/view/list")
def _imports(recorded: Exchange) -> Play:
    asked = _json(recorded)
    status, file_id = asked.get("status_filter", "All"), asked.get("file_id")
    return Play(lambda client, _: client.imports(status=status, file_id=file_id), at="input_list")


@makes("POST", f"{_WALRUS}/input/view/<id>")
def _import(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.import_row(_id(recorded)), at="input")


@makes("POST", f"{_WALRUS}/input/update")
def _update_imports(recorded: Exchange) -> Play:
    ids, mode = _json(recorded)["id_list"], _json(recorded)["mode"]
    if mode == "RETRY":
        return Play(lambda client, _: client.retry_imports(ids))
    return Play(lambda client, _: client.archive_imports(ids), as_sent=mode == "ARCHIVE")


@makes("POST", f"{_WALRUS}/input/from_local")
def _upload(recorded: Exchange) -> Play:
    settings, name = recorded.request["multipart"]["json"], recorded.request["multipart"]["file"]
    if not isinstance(settings, dict) or not name:
        return only_the_reply(lambda client, _: client.upload(b"x", name="a.jpg", directory_id=2))
    given = {key: settings[key] for key in ("directory_id", "ordinal") if key in settings}
    instances = settings.get("instance_list", ())
    return Play(lambda client, _: client.upload(b"x", name=name, instances=instances, **given), at="input")


@makes("POST", "/api/walrus/project/<p>/upload/large")
def _upload_large(recorded: Exchange) -> Play:
    if "dztotalfilesize" not in recorded.request.get("form", {}):
        return only_the_reply(lambda client, folder: _send_file(client, folder, "a.jpg", 10))
    form, file = recorded.request["form"], recorded.request["files"]["file"]
    chunk, count = int(form["dzchunkindex"]), int(form["dztotalchunkcount"])
    batch, size = form.get("input_batch_id"), int(form["dztotalfilesize"])
    chunk_size = int(form["dzchunksize"]) if count > 1 else MIN_CHUNK

    def call(client: DiffgramClient, folder: Path) -> Any:
        more = {"batch_id": int(batch)} if batch else {}
        return _send_file(client, folder, file["filename"], size, chunk_size=chunk_size, **more).finished

    good: dict[str, Any] = {"success": True}
    return Play(call, gives=True, before=(good,) * chunk, after=(good,) * (count - chunk - 1), free=("filename",))


def _send_file(client: DiffgramClient, folder: Path, name: str, size: int, **more: Any) -> UploadState:
    path = folder / name
    path.write_bytes(bytes(size))
    return client.upload_in_chunks(path, directory_id=2, **more)


@makes("POST", f"{_V1}/input-batch/new")
def _new_batch(recorded: Exchange) -> Play:
    known = {
        name: Prelabel(entry["instance_list"], entry.get("file_metadata") or {})
        for name, entry in _json(recorded).get("pre_labeled_data", {}).items()
    }
    return Play(lambda client, _: client.new_batch(2, known), at="input_batch")


@makes("POST", f"{_V1}/input-batch/<id>")
def _batch(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.batch(_id(recorded)), at="input_batch")


@makes("POST", f"{_V1}/input-batch/<id>/append-data")
def _append(recorded: Exchange) -> Play:
    wanted = recorded.request["files"]["file"]["bytes"]
    empty = len(json.dumps({"bta_1.jpg": Prelabel(metadata={"a": ""}).body()}))
    known = {"bta_1.jpg": Prelabel(metadata={"a": "x" * (wanted - empty)})}
    return Play(lambda client, _: client.append_to_batch(_id(recorded), known))


@makes("POST", f"{_V1}/job/new")
def _new_job(recorded: Exchange) -> Play:
    sent = _json(recorded)
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
    return Play(lambda client, _: client.job_info(_id(recorded)), at="job")


@makes("POST", f"{_V1}/job/set-output-dir")
def _output(recorded: Exchange) -> Play:
    sent = _json(recorded)
    return Play(
        lambda client, _: client.set_output_directory(sent["job_id"], sent["output_dir"], sent["output_dir_action"])
    )


@makes("POST", "/api/v1/job/launch")
def _launch(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.launch_job(_json(recorded)["job_id"]))


@makes("POST", "/api/v1/job/<id>/task/list")
def _tasks(recorded: Exchange) -> Play:
    status = _json(recorded).get("status")
    if _json(recorded).get("page_number", 0) == 0:
        return Play(lambda client, _: client.tasks(_id(recorded), status=status), at="task_list")
    first = exchange("07/task_list").response["json"]["task_list"][:4]
    return Play(
        lambda client, _: [task.id for task in islice(client.tasks(_id(recorded)), 6)],
        gives=[1, 2, 3, 4, 5, 6],
        before=({"task_list": first},),
    )


@makes("POST", f"{_V1}/task/list")
def _tasks_of_file(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.tasks_of_file(_json(recorded)["file_id"]), at="task_list")


@makes("POST", "/api/v1/task")
def _task(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.task(_json(recorded)["task_id"]), at="task")


@makes("POST", "/api/v1/job/list")
def _jobs(recorded: Exchange) -> Play:
    search = _json(recorded).get("metadata", {}).get("search")
    return Play(lambda client, _: client.jobs(search), at="Job_list", free=("status",))


@makes("GET", "/api/job/<id>/stat")
def _stat(recorded: Exchange) -> Play:
    counts = JobStat(total=6, completed=4, instances_created=5)
    return Play(lambda client, _: client.job_stat(_id(recorded)), gives=counts)


@makes("GET", "/api/v1/job/<id>/members-list")
def _members(recorded: Exchange) -> Play:
    return Play(lambda client, _: [who.member_id for who in client.job_members(_id(recorded)).assignees], gives=[1])


@makes("POST", "/api/v1/job/<id>/add-files")
def _add_files(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.add_files(_id(recorded), _json(recorded)["file_id_list"]))


@makes("POST", "/api/v1/job/cancel")
def _archive_jobs(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.archive_jobs([job["id"] for job in _json(recorded)["job_list"]]))


@makes("POST", "/api/walrus/project/<p>/export/to_file")
def _export(recorded: Exchange) -> Play:
    sent = _json(recorded)
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
    return Play(lambda client, _: client.export_status(_id(recorded)), at="export")


@makes("POST", "/api/walrus/project/<p>/export/link")
def _export_link(recorded: Exchange) -> Play:
    number, given = _json(recorded)["id"], whole(recorded.response.get("json"))
    possible = _json(recorded)["format"] == "JSON"
    if _json(recorded)["return_type"] == "data":
        return Play(lambda client, _: client.export_data(number), gives=given, as_sent=possible)
    return Play(lambda client, _: client.export_link(number), gives=given, as_sent=possible)


@makes("GET", "/api/walrus/project/<p>/export/working_dir/list")
def _exports(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.exports(), at="export_list")


@makes("POST", "/api/walrus/project/<p>/export/update")
def _archive_export(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.archive_exports([_json(recorded)["id"]]))


@makes("POST", f"{_OLD}/user/sdk/file/list")
def _files(recorded: Exchange) -> Play:
    if "metadata" not in _json(recorded):
        return only_the_reply(lambda client, _: list(client.files(2)))
    wanted = _json(recorded)["metadata"]
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
    return Play(lambda client, _: client.file(_json(recorded)["file_id"]), at="file")


@makes("POST", f"{_OLD}/file/<id>/annotation/list")
def _annotations(recorded: Exchange) -> Play:
    def call(client: DiffgramClient, _: Path) -> Any:
        found = client.annotations(_id(recorded))
        assert found.raw == recorded.response["json"]["file_serialized"]["instance_list"]
        assert [instance.id for instance in found.instances] == [raw["id"] for raw in found.raw]
        return found

    return Play(call, at="file_serialized")


@makes("POST", f"{_OLD}/file/<id>/annotation/update")
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
    return Play(lambda client, _: client.save_annotations(_id(recorded), _json(recorded)["instance_list"]), gives=saved)


@makes("POST", f"{_V1}/file/exists")
def _exist(recorded: Exchange) -> Play:
    names, missing = _json(recorded)["file_id_list"], recorded.response["json"]["result"]["missing_files"]
    return Play(lambda client, _: client.missing_files(names, 2), gives=set(missing))


@makes("GET", f"{_OLD}/file/<id>/get-signed-url")
def _signed_url(recorded: Exchange) -> Play:
    image = recorded.response["json"].get("file", {}).get("image", {})
    return Play(lambda client, _: client.signed_url(_id(recorded)), gives=image.get("url_signed"))


@makes("PUT", f"{_V1}/file/<id>/update-metadata")
def _metadata(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.set_ordinal(_id(recorded), _json(recorded)["ordinal"]), at="file")


@makes("POST", f"{_V1}/file/transfer")
def _transfer(recorded: Exchange) -> Play:
    sent = _json(recorded)
    ids, directory = [file["id"] for file in sent["file_list"]], sent["destination_directory_id"]
    if sent["mode"] == "REMOVE":
        return Play(lambda client, _: client.remove_files(ids, directory))
    return Play(lambda client, _: client.mirror_files(ids, directory))


@makes("GET", f"{_V1}/file/<id>/file-stats")
def _file_stats(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.file_stats(_id(recorded)), at="file_stats")


@makes("POST", f"{_V1}/model-runs/list")
def _model_runs(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.model_runs(_json(recorded).get("id_list")), at="model_run_list")


_ANY_CALL = (
    *(
        ("POST", f"/api/walrus{path}")
        for path in (
            "/project/<p>/machine_learning/training/run",
            "/v1/project/<p>/brain/status",
            "/project/<p>/brain/local_info",
            "/v1/project/<p>/inference/from_url",
            "/v1/project/<p>/inference/from_local",
            "/project/<p>/inference/add",
        )
    ),
    ("POST", f"{_V1}/nope"),
    ("GET", f"{_V1}/nope"),
    ("GET", f"{_WALRUS}/nope"),
    ("DELETE", f"{_WALRUS}/input/packet"),
    ("GET", f"{_WALRUS}/input/view/<id>"),
    ("GET", "/api/v1/job/<id>/builder/info"),
)
for _place in _ANY_CALL:  # the client never asks there; their replies could still meet any of its calls
    _MAKERS[_place] = lambda recorded: only_the_reply()
