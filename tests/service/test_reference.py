"""What the service says of itself: OpenAPI, and a page that works without the internet."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from pydantic import BaseModel
from service.conftest import Client

from diffgram_flows.brains import Registry
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings, create_app
from diffgram_flows.service.reference import _page
from diffgram_flows.service.sdk_shapes import AiStatus, Inference, LocalInfo, SdkForbidden, SdkRefused

PROJECT = "/api/walrus/project/{project}"
PROJECT_V1 = "/api/walrus/v1/project/{project}"
BODIES = {
    f"{PROJECT}/machine_learning/training/run": {"ai_name", "directory_id", "training_options"},
    f"{PROJECT_V1}/brain/status": {"ai_name"},
    f"{PROJECT}/brain/local_info": {"ai_name"},
    f"{PROJECT_V1}/inference/from_url": {"ai_name", "url"},
    f"{PROJECT_V1}/inference/from_local": {"ai_name", "file"},
    f"{PROJECT}/inference/add": {"ai_name", "file_list"},
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("nothing")
    found: dict[str, Any] = create_app(Registry(folder), ServiceSettings(workdir=folder, token="t")).openapi()
    return found


class Parts(HTMLParser):
    """What a page loads and links to, and what can be linked to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {name: value or "" for name, value in attrs}
        self.loaded += [value for name, value in given.items() if name in ("src", "srcset") or name.startswith("on")]
        self.loaded += [given["href"]] if tag == "link" else []
        self.links |= {given["href"]} if tag == "a" else set()
        self.ids |= {given["id"]} if "id" in given else set()


def test_the_page_needs_no_other_host_and_tells_everything(service: str, document: dict[str, Any]) -> None:
    reply = requests.get(f"{service}/docs", timeout=10)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    parts = Parts(reply.text)
    assert "script" not in parts.tags
    assert parts.loaded == []
    assert not re.search(r"url\(|@import", reply.text)
    assert parts.links - {"openapi.json"} <= {f"#{name}" for name in parts.ids}
    assert requests.get(f"{service}/openapi.json", timeout=10).json() == document
    for path, methods in document["paths"].items():
        assert path in reply.text
        for operation in methods.values():
            assert operation["operationId"] in parts.ids
            assert all(parameter["name"] in reply.text for parameter in operation.get("parameters", ()))
    assert set(document["components"]["schemas"]) <= parts.ids
    assert "prefers-color-scheme: dark" in reply.text
    assert requests.get(f"{service}/redoc", timeout=10).status_code == 404


def test_names_in_the_document_are_text_on_the_page(document: dict[str, Any]) -> None:
    hostile = "<script>alert(1)</script>"
    page = _page({**document, "info": {**document["info"], "title": hostile}})
    assert hostile not in page
    assert "&lt;script&gt;" in page


def test_credentials_and_bodies_are_documented(document: dict[str, Any]) -> None:
    schemes = {name: (one["type"], one["scheme"]) for name, one in document["components"]["securitySchemes"].items()}
    assert schemes == {"basic": ("http", "basic"), "token": ("http", "bearer")}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            open_to_all = path in ("/healthz", "/readyz")
            assert operation.get("security", []) == ([] if open_to_all else [{"basic": []}, {"token": []}])
            assert operation["responses"].keys() >= (set() if open_to_all else {"401", "403", "503"})
    for path, fields in BODIES.items():
        operation = document["paths"][path]["post"]
        (body,) = operation["requestBody"]["content"].values()
        assert set(body["schema"]["properties"]) == fields
        assert "400" in operation["responses"]
        assert not operation["responses"].keys() & {"404", "409", "413", "422", "429"}  # they are a 400 there
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(re.findall(r"#/[^']+", str(document))) <= known
    assert "HTTPValidationError" not in str(document)


def test_the_paths_of_the_sdk_answer_as_documented(
    client: Client, sandbox: SandboxProcess, document: dict[str, Any], picture: bytes
) -> None:
    for path in BODIES:
        url = path.format(project=sandbox.project)
        answers = [
            (client.post(url, data=b"{"), 400),
            (client.post(url, json={"ai_name": 3, "url": 3}), 400),
            (requests.post(f"{client.url}{url}", json={}, timeout=30), 401),
            (requests.post(f"{client.url}{url}", json={}, timeout=30, auth=("nobody", "x")), 403),
        ]
        for reply, status in answers:
            assert reply.status_code == status, (path, reply.text)
            assert str(status) in document["paths"][path]["post"]["responses"]
            (SdkRefused if status == 400 else SdkForbidden).model_validate(reply.json(), strict=True)
    good: dict[str, tuple[dict[str, Any], type[BaseModel]]] = {
        f"{PROJECT_V1}/brain/status": ({"json": {"ai_name": "detector"}}, AiStatus),
        f"{PROJECT}/brain/local_info": ({"json": {}}, LocalInfo),
        f"{PROJECT_V1}/inference/from_local": ({"files": {"file": picture}}, Inference),
    }
    for path, (body, shape) in good.items():
        reply = client.post(path.format(project=sandbox.project), **body)
        assert reply.status_code == 200, reply.text
        shape.model_validate(reply.json(), strict=True)
