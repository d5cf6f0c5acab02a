"""Model runs (recording ``10_predictions``)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply
from diffgram_flows.sandbox.store import models

router = APIRouter()


@router.post("/api/v1/project/{project}/model-runs/list")
def model_runs_list(caller: Reader, body: Body, server: Server) -> Response:
    """Model runs; only ``id_list`` filters, the other filters have no effect."""
    ids = body.get("id_list")
    with server.database.read() as cx:
        return JsonReply({"model_run_list": models.runs(cx, caller.project_id, ids or None)})
