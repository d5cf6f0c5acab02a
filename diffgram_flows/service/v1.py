"""``/v1``: predict, look at brains, train; health and metrics."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from diffgram_flows.models import Picture
from diffgram_flows.project import TrainingStatus
from diffgram_flows.service.desk import Asked
from diffgram_flows.service.parts import Parts, parts_of
from diffgram_flows.service.permissions import Caller
from diffgram_flows.service.refusals import Refusal
from diffgram_flows.service.shapes import (
    BrainDetails,
    BrainInfo,
    Predicted,
    Ready,
    Refused,
    Training,
    TrainingOrder,
    Where,
    predicted,
)

MAX_FILES = 16


def _refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Refused} for status in statuses}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The image itself, up to {MAX_FILES} images as a form, or where one is.",
        "content": {
            "image/*": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                    "required": ["file"],
                }
            },
            "application/json": {
                "schema": Where.model_json_schema(),
                "examples": {
                    "url": {"value": {"url": "https://example.com/cat.jpg"}},
                    "file": {"value": {"file_id": 111546}},
                },
            },
        },
    }
}
open_router = APIRouter(tags=["health"])
router = APIRouter(prefix="/v1", tags=["brains"], responses=_refuses(401, 403, 503))


async def caller_of(request: Request) -> Caller:
    """Who calls."""
    return await parts_of(request).doorman.let_in(request)


Let = Annotated[Caller, Depends(caller_of)]
Use = Annotated[Parts, Depends(parts_of)]


@open_router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process is alive."""
    return {"status": "ok"}


@open_router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(parts: Use) -> Response:
    """Whether every brain can be asked; a champion that was refused is told with the reason."""
    brains = _infos(parts)
    ready = parts.champions.looked and bool(brains) and all(brain.serving for brain in brains)
    body = Ready(ready=ready, brains=brains)
    return JSONResponse(body.model_dump(), 200 if ready else 503)


@open_router.get("/metrics", include_in_schema=False)
async def metrics(parts: Use) -> Response:
    """What was counted, for Prometheus."""
    return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/brains")
async def brains(caller: Let, parts: Use) -> list[BrainInfo]:
    """The brains, and who is in use."""
    return _infos(parts)


@router.get("/brains/{name}", responses=_refuses(404))
async def brain(name: str, caller: Let, parts: Use) -> BrainDetails:
    """One brain, with what is known about the version in use."""
    info = next((one for one in _infos(parts) if one.name == name), None)
    if info is None or info.serving is None:
        await parts.champions.batcher(name)  # says why
        raise Refusal(404, "BrainNotFound", f"There is no brain {name!r} here.")
    record = (await parts.champions.batcher(name)).brain.record
    manifest, test = record.manifest, record.manifest.metrics.get("test")
    return BrainDetails(
        **info.model_dump(),
        method=manifest.method,
        labels=dict(manifest.label_map.labels),
        image_size=manifest.options.image_size,
        score_threshold=manifest.score_threshold,
        created=manifest.created.isoformat(),
        snapshot_id=manifest.snapshot_id,
        scores=dict(test.scores) if test else {},
    )


@router.post("/brains/{name}/predict", responses=_refuses(400, 404, 413, 422, 502, 504), openapi_extra=_PREDICT_BODY)
async def predict(
    name: str,
    request: Request,
    caller: Let,
    parts: Use,
    score_threshold: Annotated[float | None, Query(ge=0, le=1, description="By default the brain's own one.")] = None,
) -> Predicted:
    """What a brain sees. ``name`` is the champion, ``name@3`` one version."""
    asked = Asked(name, score_threshold)
    async with parts.desk.place():
        pictures = await _pictures(request, caller, parts)
        if len(pictures) == 1:
            record, prediction = await parts.desk.look_at_one(request, asked, pictures[0])
            return predicted(record, (prediction,))
        return predicted(*await parts.desk.look(request, asked, pictures))


@router.post("/brains/{name}/train", status_code=202, responses=_refuses(400, 404, 409, 413, 422, 429, 502))
async def train(name: str, order: TrainingOrder, caller: Let, parts: Use) -> Training:
    """Start a training from what people finished in Diffgram; returns at once."""
    options = {"method": order.method, "from_champion": order.from_champion, **order.options}
    status = await parts.trainings.start(caller, name, directory_id=order.directory_id, options=options)
    return _training(name, status)


@router.get("/brains/{name}/status", responses=_refuses(404, 502))
async def status(name: str, caller: Let, parts: Use) -> Training:
    """How far the newest training of a brain is."""
    found = await parts.trainings.status(name)
    if found is not None:
        return _training(name, found)
    serving = (await parts.champions.batcher(name)).brain.record.ref
    return Training(name=name, state="ready", percent=100, brain=str(serving))


def _infos(parts: Parts) -> list[BrainInfo]:
    return [
        BrainInfo(
            name=name,
            champion=str(state.champion) if state.champion else None,
            serving=str(state.serving) if state.serving else None,
            problem=state.problem,
        )
        for name, state in parts.champions.states().items()
    ]


def _training(name: str, status: TrainingStatus) -> Training:
    return Training(
        name=name,
        state=status.state,
        percent=status.percent,
        brain=status.brain,
        promoted=status.promoted,
        map50=status.map50,
        reason=status.reason,
    )


async def _pictures(request: Request, caller: Caller, parts: Parts) -> list[Picture]:
    """The images that a request is about."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await pictures_of_form(request)
    body = await request.body()
    if kind == "application/json":
        return [await _elsewhere(body, caller, parts)]
    if not body:
        raise Refusal(400, "NoImage", "The request has no image.", "Send one as its body, as a form, or as JSON.")
    return [Picture("in the request", body)]


async def pictures_of_form(request: Request) -> list[Picture]:
    """The files of a form.

    Raises:
        Refusal: There is none.
    """
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FILES) as form:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise Refusal(400, "NoImage", "The form has no file.", "Send the image as the part `file`.")
        return [Picture((file.filename or "in the request")[:200], await file.read()) for file in files]


async def _elsewhere(body: bytes, caller: Caller, parts: Parts) -> Picture:
    try:
        where = Where.model_validate(json.loads(body))
    except (ValueError, ValidationError, RecursionError) as error:
        raise Refusal(400, "BadRequest", "The JSON is not {'url': ...} or {'file_id': ...}.") from error
    if (where.url is None) == (where.file_id is None):
        raise Refusal(400, "BadRequest", "The JSON must have either a url or a file_id.")
    if where.url is not None:
        return await parts.desk.of_url(where.url)
    return await parts.desk.of_file(caller, where.file_id or 0)
