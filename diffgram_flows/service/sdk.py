"""What the ``brain`` folder of Diffgram's official SDK calls, at the paths where it calls it.

Paths and fields are those that the SDK 0.15.0 sends and reads; the open-source Diffgram answers them with 404.
"""

from __future__ import annotations

import itertools
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse

from diffgram_flows.brains import BrainRecord, class_numbers
from diffgram_flows.models import Picture, Prediction
from diffgram_flows.project import TrainingStatus
from diffgram_flows.service.desk import Asked
from diffgram_flows.service.downloads import PATH
from diffgram_flows.service.parts import Parts, parts_of
from diffgram_flows.service.permissions import Caller
from diffgram_flows.service.refusals import Refusal
from diffgram_flows.service.sdk_shapes import (
    OF_BRAIN,
    OF_FILE,
    OF_LOCAL,
    OF_TRAINING,
    OF_URL,
    AiStatus,
    Inference,
    LocalInfo,
    refusals,
)
from diffgram_flows.service.v1 import MAX_FILES

router = APIRouter(tags=["official SDK"])
_PROJECT = "/api/walrus/project/{project}"
_PROJECT_V1 = "/api/walrus/v1/project/{project}"
_numbers = itertools.count(1)


async def caller_of(request: Request, project: str) -> Caller:
    """Who calls."""
    return await parts_of(request).doorman.let_in(request, project)


Let = Annotated[Caller, Depends(caller_of)]
Use = Annotated[Parts, Depends(parts_of)]


@router.post(
    f"{_PROJECT}/machine_learning/training/run",
    response_model=AiStatus,
    responses=refusals(502),
    openapi_extra=OF_TRAINING,
)
async def training_run(request: Request, caller: Let, parts: Use) -> dict[str, Any]:
    """``Train.start``: a brain at once, which is trained from then on."""
    body = await _body(request)
    name, options = _text(body, "ai_name"), body.get("training_options") or {}
    directory_id = body.get("directory_id")
    if not isinstance(options, dict) or not isinstance(directory_id, int | None):
        raise Refusal(400, "BadRequest", "training_options must be a dict, and directory_id a number.")
    if not name:
        raise Refusal(400, "BadRequest", "ai_name is missing.")
    status = await parts.trainings.start(caller, name, directory_id=directory_id, options=options)
    return {"ai": {"id": next(_numbers), **_status(name, status)}}


@router.post(
    f"{_PROJECT_V1}/brain/status",
    response_model=AiStatus,
    response_model_exclude_unset=True,
    responses=refusals(502),
    openapi_extra=OF_BRAIN,
)
async def brain_status(request: Request, caller: Let, parts: Use) -> dict[str, Any]:
    """``Brain.check_status``."""
    name = _text(await _body(request), "ai_name") or parts.champions.only_name()
    found = await parts.trainings.status(name)
    if found is not None:
        return {"ai": _status(name, found)}
    serving = (await parts.champions.batcher(name)).brain.record.ref
    return {"ai": {"id": serving.version, **_status(name, TrainingStatus("ready", 100, str(serving)))}}


@router.post(f"{_PROJECT}/brain/local_info", response_model=LocalInfo, responses=refusals(), openapi_extra=OF_BRAIN)
async def local_info(request: Request, caller: Let, parts: Use) -> dict[str, Any]:
    """``Brain.get_checkpoint_and_label_map``: the numbers of the labels, and a link to the frozen graph."""
    name = _text(await _body(request), "ai_name") or parts.champions.only_name()
    record = (await parts.champions.batcher(name)).brain.record
    url = await parts.downloads.link(request, record)
    return {"ai": {"id": record.ref.version, "name": name, "label_dict": class_numbers(record), "url_model": url}}


@router.get(PATH, include_in_schema=False)
async def graph(
    graph: str, parts: Use, expires: Annotated[str, Query()] = "", signature: Annotated[str, Query()] = ""
) -> FileResponse:
    """The frozen graph that a link leads to."""
    return FileResponse(parts.downloads.file(graph, expires, signature), media_type="application/octet-stream")


@router.post(
    f"{_PROJECT_V1}/inference/from_url", response_model=Inference, responses=refusals(504), openapi_extra=OF_URL
)
async def from_url(request: Request, caller: Let, parts: Use) -> dict[str, Any]:
    """``Brain.predict_from_url``."""
    async with parts.desk.place():
        body = await _body(request)
        if not (url := _text(body, "url")):
            raise Refusal(400, "BadRequest", "url is missing.")
        picture = await parts.desk.of_url(url)
        return _inference(*await parts.desk.look_at_one(request, Asked(_text(body, "ai_name")), picture))


@router.post(
    f"{_PROJECT_V1}/inference/from_local", response_model=Inference, responses=refusals(504), openapi_extra=OF_LOCAL
)
async def from_local(request: Request, caller: Let, parts: Use) -> dict[str, Any]:
    """``Brain.predict_from_local``: a form with the file."""
    async with parts.desk.place():
        async with request.form(max_files=1, max_fields=MAX_FILES) as form:
            name, file = form.get("ai_name"), form.get("file")
            if file is None or isinstance(file, str):
                raise Refusal(400, "NoImage", "The form has no file.", "Send the image as the part `file`.")
            picture = Picture((file.filename or "in the request")[:200], await file.read())
        asked = Asked(name if isinstance(name, str) else "")
        return _inference(*await parts.desk.look_at_one(request, asked, picture))


@router.post(f"{_PROJECT}/inference/add", response_model=Inference, responses=refusals(502, 504), openapi_extra=OF_FILE)
async def from_file(request: Request, caller: Let, parts: Use) -> dict[str, Any]:
    """``Brain.predict_from_file``: one file of Diffgram."""
    async with parts.desk.place():
        body = await _body(request)
        match body.get("file_list"):
            case [{"id": int(file_id)}]:
                picture = await parts.desk.of_file(caller, file_id)
            case _:
                raise Refusal(400, "BadRequest", "file_list must be a list with one file and its id.")
        return _inference(*await parts.desk.look_at_one(request, Asked(_text(body, "ai_name")), picture))


def _status(name: str, status: TrainingStatus) -> dict[str, Any]:
    """The state alone, which programs compare, and beside it what people want to know."""
    return {
        "name": name,
        "status": status.state,
        "state": status.state,
        "percent": status.percent,
        "brain": status.brain,
        "reason": status.reason,
    }


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "BadRequest", "The request is not a JSON object.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise Refusal(400, "BadRequest", f"{name} must be a text.")
    return value


def _inference(record: BrainRecord, seen: Prediction) -> dict[str, Any]:
    """What the SDK makes an ``Inference`` of: boxes as fractions, y before x, as TensorFlow's detectors give them."""
    names = record.manifest.label_map.name_of()
    boxes = [
        [box.y_min / seen.height, box.x_min / seen.width, box.y_max / seen.height, box.x_max / seen.width]
        for box in seen.boxes
    ]
    return {
        "inference": {
            "id": next(_numbers),
            "status": "complete",
            "method": record.manifest.method,
            "brain": str(record.ref),
            "box_list": boxes,
            "score_list": [box.score for box in seen.boxes],
            "label_list": [box.label_file_id for box in seen.boxes],
            "label_name_list": [names[box.label_file_id] for box in seen.boxes],
        }
    }
