"""Nothing that Prefect stored after faulty runs, and nothing that we wrote to disk, holds a secret."""

from __future__ import annotations

import base64
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter
from prefect.client.schemas.sorting import LogSort
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_RESULTS_PERSIST_BY_DEFAULT,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)
from servers.s3 import S3Server, s3_server

from diffgram_flows.errors import AuthenticationError
from diffgram_flows.parameters import ImportParameters
from diffgram_flows.tasks import importing as tasks
from flows.import_files import import_files

__all__ = ["s3_server"]

WRONG_SECRET = "wr0ng-client-secret"
SIGNED = re.compile(r"(?i)X-Amz-(?:Signature|Credential)(?:=|%3D)(?!<hidden>)")


@pytest.fixture
def results(site: Any) -> Iterator[Path]:
    """A folder of its own for what Prefect keeps of results, all of which it keeps."""
    folder: Path = site.folder / "results"
    with temporary_settings({PREFECT_RESULTS_PERSIST_BY_DEFAULT: True, PREFECT_LOCAL_STORAGE_PATH: folder}):
        yield folder


def secrets_of(site: Any) -> list[str]:
    pair = f"{site.sandbox.client_id}:{site.sandbox.client_secret}".encode()
    return [
        site.sandbox.client_secret,
        site.sandbox.password,
        WRONG_SECRET,
        base64.b64encode(pair).decode().rstrip("="),
    ]


def leaks(place: str, text: str, site: Any) -> list[str]:
    found = [f"{place}: a credential" for secret in secrets_of(site) if secret in text]
    return found + [f"{place}: ...{text[max(0, hit.start() - 80) : hit.end()]}" for hit in SIGNED.finditer(text)][:3]


def told_by_the_api() -> dict[str, str]:
    """Runs with their states and parameters, logs, and artifacts, as the Prefect API gives them."""
    APILogHandler().flush()
    with get_client(sync_client=True) as client:
        runs: list[Any] = [*client.read_flow_runs(limit=200), *client.read_task_runs(limit=200)]
        return {
            "runs": "\n".join(f"{run.model_dump_json()} {run.state!r}" for run in runs),
            "logs": "\n".join(log.model_dump_json() for log in all_logs(client)),
            "artifacts": "\n".join(artifact.model_dump_json() for artifact in client.read_artifacts()),
        }


def all_logs(client: Any) -> list[Any]:
    found: list[Any] = []
    while page := client.read_logs(LogFilter(), limit=200, offset=len(found), sort=LogSort.TIMESTAMP_ASC):
        found += page
    return found


def stored_by_the_server() -> str:
    """Its whole database, events and all."""
    path = PREFECT_SERVER_DATABASE_CONNECTION_URL.value().partition(":///")[2]
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    return dump


def files_below(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()}


def everything_stored(site: Any, results: Path) -> dict[str, str]:
    return {
        **told_by_the_api(),
        "database": stored_by_the_server(),
        **{f"result {name}": text for name, text in files_below(results).items()},
        **{f"workdir {name}": text for name, text in files_below(site.target.workdir).items()},
    }


def faulty_import(site: Any, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> ImportParameters:
    """Objects that vanish after they were listed: their URLs are signed, fetched in vain, and quoted by the server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.owner[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.owner[1])
    bucket = f"secrets-{time.time_ns()}"
    s3.client.create_bucket(Bucket=bucket)
    pictures = sorted(site.bucket.iterdir())[:4]
    for path in pictures:
        s3.client.put_object(Bucket=bucket, Key=path.name, Body=path.read_bytes())
    s3.client.put_object(Bucket=bucket, Key="text.jpg", Body=b"no picture")
    parameters: ImportParameters = site.import_parameters(
        f"s3://{bucket}", s3_endpoint=s3.endpoint, s3_region=s3.region
    )
    importing = parameters.importing.model_copy(update={"inspect_headers": False})
    parameters = parameters.model_copy(update={"importing": importing})
    list_the_bucket = tasks.scan_bucket

    def list_and_lose(given: ImportParameters) -> Any:
        taken = list_the_bucket(given)
        for path in pictures[:2]:
            s3.client.delete_object(Bucket=bucket, Key=path.name)
        return taken

    monkeypatch.setattr(tasks, "scan_bucket", list_and_lose)
    return parameters


def quoted_by_the_sandbox(site: Any) -> str:
    """What the server says about imports, without our client."""
    answer = requests.post(
        f"{site.sandbox.url}/api/walrus/v1/project/{site.sandbox.project}/input/view/list",
        json={"limit": 1000},
        auth=(site.sandbox.client_id, site.sandbox.client_secret),
        timeout=20,
    )
    return answer.text


def test_a_faulty_run_stores_no_secret(
    site: Any, s3_server: S3Server, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = faulty_import(site, s3_server, monkeypatch)
    summary: Any = import_files(parameters)
    assert (summary.imported, summary.failed) == (2, 3), summary
    assert any("<hidden>" in failure.reason for failure in summary.failures)
    assert SIGNED.search(quoted_by_the_sandbox(site))  # there was something to be hidden
    stored = everything_stored(site, results)
    assert "import-failures" in stored["artifacts"]
    assert "for flow 'import files'" in stored["logs"]
    assert parameters.bucket.uri in stored["runs"]
    assert "ledger.db" in "".join(stored)
    assert any(name.startswith("result ") for name in stored)
    assert [leak for place, text in stored.items() for leak in leaks(place, text, site)] == []


def test_a_run_with_a_wrong_credential_stores_no_secret(
    site: Any, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", WRONG_SECRET)
    parameters = site.import_parameters()
    fresh = parameters.target.model_copy(update={"dataset": f"{site.dataset} wrong"})
    with pytest.raises(AuthenticationError) as caught:
        import_files(parameters.model_copy(update={"target": fresh}))
    assert leaks("error", f"{caught.value!r} {caught.value}", site) == []
    stored = everything_stored(site, results)
    assert "AuthenticationError" in stored["runs"] + stored["logs"]
    assert [leak for place, text in stored.items() for leak in leaks(place, text, site)] == []


def test_the_search_finds_what_it_searches_for(site: Any) -> None:
    query = "http://store/a.jpg?X-Amz-Credential=me&X-Amz-Signature=5ec3"
    assert len(leaks("log", f"{query} {WRONG_SECRET} {site.sandbox.client_secret}", site)) == 4
    assert leaks("log", "http://store/a.jpg?<hidden> X-Amz-Signature=<hidden>", site) == []
