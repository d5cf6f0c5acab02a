"""A foreign client: makes the recorded calls with the official SDK and writes what came of them, as JSON.

A program of its own, so that the SDK's way of importing and its warnings stay out of the tests' process.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import requests

BOX = {"type": "box", "x_min": 1, "y_min": 2, "x_max": 30, "y_max": 40}
sent: list[dict[str, Any]] = []


def record() -> None:
    """Note every request that leaves the process, and its reply."""
    sending = requests.adapters.HTTPAdapter.send

    def noting(self: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = sending(self, request, **options)
        body = request.body.decode(errors="replace") if isinstance(request.body, bytes) else request.body
        is_json = request.headers.get("Content-Type") == "application/json"
        headers = {name: request.headers[name] for name in ("directory_id",) if name in request.headers}
        noted = {"method": request.method, "path": request.path_url, "headers": headers}
        noted["json"] = json.loads(body) if is_json and body else "<multipart>" if body else None
        sent.append({"request": noted, "response": {"status": response.status_code, "text": response.text}})
        return response

    requests.adapters.HTTPAdapter.send = noting  # type: ignore[method-assign,assignment]


def steps(url: str, client_id: str, client_secret: str, images: str, picture: str) -> dict[str, Callable[[], Any]]:
    """The recorded calls by the names of their recordings, in order."""
    project_class = importlib.import_module("diffgram").Project  # not tests/diffgram, which type checkers would take
    made: dict[str, Any] = {}

    def keep(name: str, value: Any) -> Any:
        made[name] = value
        return value

    def project() -> Any:
        return made["project"]

    def move_to_dataset() -> None:
        project().set_default_directory(directory=made["dataset"])
        project().file.from_url(f"{images}/img/sdk_2.jpg")

    def packet(number: int, **label: Any) -> Any:
        media = {"url": f"{images}/img/sdk_{number}.jpg", "type": "image"}
        return project().file.from_packet({"media": media, "directory_id": 2, "instance_list": [{**BOX, **label}]})

    def update(*, overwrite: bool = False) -> Any:
        model = {} if overwrite else {"model_ref": "m", "model_run_ref": "r", "score": 0.5}
        return made["file"].update(instance_list=[{**BOX, "name": "car", **model}], overwrite=overwrite)

    def job() -> Any:
        found = project().job
        found.id = 1
        return found

    return {
        "Project": lambda: keep("project", project_class("contract-project", client_id, client_secret, host=url)),
        "label_new": lambda: project().label_new({"name": "sdk-label"}),
        "directory.new": lambda: project().directory.new("sdk-ds"),
        "directory.get": lambda: keep("dataset", project().directory.get("raw-images")),
        "file.from_url": lambda: project().file.from_url(f"{images}/img/sdk_1.jpg"),
        "set_default_directory_from_url": move_to_dataset,
        "from_packet_directory_id_in_packet_label_name": lambda: packet(3, name="person"),
        "from_packet_label_file_id": lambda: packet(4, label_file_id=4),
        "from_local": lambda: keep("file", project().file.from_local(picture)),
        "file.update": update,
        "file.update_overwrite": lambda: update(overwrite=True),
        "directory.list_files": lambda: made["dataset"].list_files(limit=3),
        "file.get_by_id": lambda: project().file.get_by_id(10).__dict__.keys(),
        "file.file_list_exists": lambda: project().file.file_list_exists([10, 9]),
        "get_label_schema_list": lambda: project().get_label_schema_list(),
        "get_label_list": lambda: len(project().get_label_list()),
        "get_attributes": lambda: len(project().get_attributes()),
        "get_member_list": lambda: project().get_member_list(),
        "job.list": lambda: len(project().job.list()),
        "job.get_by_id": lambda: project().job.get_by_id(1),
        "job.generate_export_data": lambda: list(job().generate_export())[:3],
        "job.generate_export_no_wait": lambda: job().generate_export(wait_for_export_generation=False).status,
        "export.list": lambda: len(project().export.list()),
        "job.new": lambda: project().job.new(
            name="sdk job", sync_directories=[made["dataset"]], members_list_ids=[1], auto_launch=False
        ),
        "task.get_by_id": lambda: project().task.get_by_id(1),
        "get_model": lambda: project().get_model("m", local=True),
        "train_import": lambda: project().train,
    }


def main() -> None:
    """Make the calls; read where and as whom from the arguments."""
    sys.modules["six"] = None  # type: ignore[assignment]  # not there where the recordings were made
    record()
    report = []
    for name, step in steps(*sys.argv[1:]).items():
        sent.clear()
        try:
            result = repr(step())
        except Exception as error:
            result = f"EXC {type(error).__name__}: {error}"
        report.append({"name": name, "result": result, "exchanges": [*sent]})
    sys.stderr.write(json.dumps(report))


if __name__ == "__main__":
    main()
