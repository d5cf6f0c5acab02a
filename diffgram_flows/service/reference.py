"""What the service offers: its OpenAPI document, and a page of it that needs no script and no other host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from jinja2 import Environment, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from diffgram_flows.service.refusals import SDK_PATHS

_TEMPLATE = Path(__file__).with_name("reference.html")
_NOTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SCHEMES = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Client id and client secret of an API credential of the Diffgram project.",
    },
    "token": {"type": "http", "scheme": "bearer", "description": "The service's own DIFFGRAM_BRAIN_SERVICE_TOKEN."},
}
_WRONG = "HTTPValidationError"
_CLOSED = ("/v1/", SDK_PATHS)


def describe(app: FastAPI) -> None:
    """Give an application its OpenAPI document and, at ``/docs``, the page."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(document()), headers={"Content-Security-Policy": _NOTHING_ELSE})

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to change it
    app.add_route("/docs", page, include_in_schema=False)


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    document["components"]["securitySchemes"] = _SCHEMES
    for path, _, operation in _operations(document):
        if "description" in operation:  # a docstring, and here Markdown is meant
            operation["description"] = operation["description"].replace("``", "`")
        if path.startswith(_CLOSED):
            operation["security"] = [{name: []} for name in _SCHEMES]
        # FastAPI's own words for a wrong parameter: we have others, and on the paths of the SDK a 400.
        if _WRONG in json.dumps(operation["responses"].get("422")):
            del operation["responses"]["422"]
    for unused in (_WRONG, "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and what is said of it, in order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _page(document: dict[str, Any]) -> str:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, method, operation in _operations(document):
        for tag in operation.get("tags", ["other"]):
            groups.setdefault(tag, []).append({"path": path, "method": method, **operation})
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(document=document, groups=groups)
