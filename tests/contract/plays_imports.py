"""The calls that bring files in, and tell what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contract.playback import Play
from contract.plays import V1, WALRUS, body_of, id_of, makes, only_the_reply
from contract.recorded import Exchange

from diffgram_flows.diffgram import MIN_CHUNK, DiffgramClient, Packet, Prelabel, UploadState

_BOX = {"type": "box", "label_file_id": 4, "x_min": 1, "y_min": 2, "x_max": 50, "y_max": 60}


@makes("POST", f"{WALRUS}/input/packet")
def _packet(recorded: Exchange) -> Play:
    if not _is_a_packet(body_of(recorded)):
        return only_the_reply(lambda client, _: client.send_packet(Packet(2, url="http://images.local/img/a.jpg")))
    return Play(lambda client, _: client.send_packet(packet_of(body_of(recorded))))


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


@makes("POST", f"{WALRUS}/input/view/list")
def _imports(recorded: Exchange) -> Play:
    asked = body_of(recorded)
    status, file_id = asked.get("status_filter", "All"), asked.get("file_id")
    return Play(lambda client, _: client.imports(status=status, file_id=file_id), at="input_list")


@makes("POST", f"{WALRUS}/input/view/<id>")
def _import(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.import_row(id_of(recorded)), at="input")


@makes("POST", f"{WALRUS}/input/update")
def _update_imports(recorded: Exchange) -> Play:
    ids, mode = body_of(recorded)["id_list"], body_of(recorded)["mode"]
    if mode == "RETRY":
        return Play(lambda client, _: client.retry_imports(ids))
    return Play(lambda client, _: client.archive_imports(ids), as_sent=mode == "ARCHIVE")


@makes("POST", f"{WALRUS}/input/from_local")
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


@makes("POST", f"{V1}/input-batch/new")
def _new_batch(recorded: Exchange) -> Play:
    known = {
        name: Prelabel(entry["instance_list"], entry.get("file_metadata") or {})
        for name, entry in body_of(recorded).get("pre_labeled_data", {}).items()
    }
    return Play(lambda client, _: client.new_batch(2, known), at="input_batch")


@makes("POST", f"{V1}/input-batch/<id>")
def _batch(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.batch(id_of(recorded)), at="input_batch")


@makes("POST", f"{V1}/input-batch/<id>/append-data")
def _append(recorded: Exchange) -> Play:
    wanted = recorded.request["files"]["file"]["bytes"]
    empty = len(json.dumps({"bta_1.jpg": Prelabel(metadata={"a": ""}).body()}))
    known = {"bta_1.jpg": Prelabel(metadata={"a": "x" * (wanted - empty)})}
    return Play(lambda client, _: client.append_to_batch(id_of(recorded), known))
