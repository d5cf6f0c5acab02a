"""The object store behind signed links, and a sign of life."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from diffgram_flows.sandbox.core import Sandbox, Server
from diffgram_flows.sandbox.export_faults import fault_of
from diffgram_flows.sandbox.media import BUCKET
from diffgram_flows.sandbox.replies import JsonReply

router = APIRouter()
EXPORT = re.compile(r"export/(\d+)_.*\.json", re.DOTALL)


@router.get("/sandbox/health")
async def health() -> Response:
    """Whether the server is up."""
    return JsonReply({"status": "ok"})


@router.api_route(f"/storage/{BUCKET}/{{blob:path}}", methods=["GET", "HEAD"])
def blob_get(blob: str, server: Server, Expires: str = "", Signature: str = "") -> Response:  # noqa: N803 - a query
    """The bytes behind a signed link, for as long as it is valid."""
    if not server.media.is_valid(blob, Expires, Signature):
        return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
    export = EXPORT.fullmatch(blob)
    if export and fault_of(server.settings.export_fault, int(export[1])) == "download_500":
        return Response("<Error><Code>InternalError</Code></Error>", 500, media_type="application/xml")
    path, content_type = _found(server, blob)
    if not path.is_file():
        return Response("<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
    return FileResponse(path, media_type=content_type)


def _found(server: Sandbox, blob: str) -> tuple[Path, str]:
    export = EXPORT.fullmatch(blob)
    if export:
        return server.media.export_path(int(export[1])), "application/json"
    name = blob.removesuffix("_thumb")  # thumbnails are the image itself: nothing here encodes images
    with server.database.read() as cx:
        row = cx.execute("SELECT * FROM image WHERE id = ?", (name.rpartition("/")[2],)).fetchone()
    content_type = row["content_type"] if row is not None else "application/octet-stream"
    return server.media.path(name), content_type
