from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from servers.gcs import GoogleServer, gcs_server
from servers.s3 import S3Server, s3_server

from diffgram_flows.errors import (
    AccessDenied,
    AuthenticationError,
    BucketNotFound,
    DiffgramFlowsError,
    NothingToImport,
    ProjectNotFound,
    ServerUnreachable,
)
from diffgram_flows.parameters import ImportParameters
from diffgram_flows.tasks.importing import ImportSummary
from flows.import_files import import_files

__all__ = ["gcs_server", "s3_server"]


def png_bomb(path: Path, side: int = 20_000) -> None:
    """A PNG of side x side pixels in a few megabytes: one row of zeros, over and over."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def imported(parameters: ImportParameters) -> ImportSummary:
    """What an import did; a plan is another thing."""
    summary = import_files(parameters)
    assert isinstance(summary, ImportSummary)
    return summary


def artifacts() -> dict[str, Any]:
    """The newest artifact of every key."""
    with get_client(sync_client=True) as client:
        found = sorted(client.read_artifacts(), key=lambda item: str(item.created))
    return {str(item.key): item for item in found}


def test_everything_is_imported_once_and_becomes_a_task(site: Any) -> None:
    first = imported(site.import_parameters())
    assert (first.listed, first.new, first.imported, first.waiting) == (12, 12, 12, 0)
    assert len(site.file_names()) == 12
    assert len(site.workspace.ledger.work.tasked_files()) == 12
    again = imported(site.import_parameters())
    assert (again.listed, again.new, again.imported) == (12, 0, 12)
    assert len(site.file_names()) == 12


def test_only_what_came_since_is_imported_the_next_time(site: Any) -> None:
    import_files(site.import_parameters())
    before = set(site.file_names())
    site.arrive(12, 15)
    assert imported(site.import_parameters()).new == 3
    assert before < set(site.file_names())
    assert len(site.workspace.ledger.work.tasked_files()) == 15


def test_a_bad_object_stops_nothing_and_is_named_with_its_reason(site: Any) -> None:
    (site.bucket / "broken.jpg").write_bytes((site.bucket / "photo-00000.jpg").read_bytes()[:300])
    (site.bucket / "notes.jpg").write_text("a text with the name of a picture")
    png_bomb(site.bucket / "bomb.png")
    (site.bucket / "table.csv").write_text("a,b")
    summary = imported(site.import_parameters())
    assert (summary.imported, summary.refused) == (12, 3)
    reasons = {Path(failure.name).name: failure.reason for failure in summary.failures}
    assert reasons.keys() == {"broken.jpg", "notes.jpg", "bomb.png"}
    assert "pixels" in reasons["bomb.png"]
    assert "Scale it down" in reasons["bomb.png"]
    assert not any("broken" in name or "notes" in name or "bomb" in name for name in site.file_names())


def test_people_see_counts_and_failures_in_the_prefect_ui(site: Any) -> None:
    (site.bucket / "notes.jpg").write_text("a text with the name of a picture")
    import_files(site.import_parameters())
    shown = artifacts()
    assert '"imported": 12' in str(shown["import"].data)
    assert "notes.jpg" in str(shown["import-failures"].data)
    assert shown["importing"].type == "progress"


def test_s3_is_imported_through_presigned_urls_that_a_real_server_verifies(
    site: Any, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.owner[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.owner[1])
    client = s3_server.client
    client.create_bucket(Bucket="photos")
    for path in sorted(site.bucket.iterdir())[:5]:
        client.put_object(Bucket="photos", Key=f"2026/a b+ü/{path.name}", Body=path.read_bytes())
    parameters = site.import_parameters("s3://photos/2026", s3_endpoint=s3_server.endpoint, s3_region=s3_server.region)
    assert imported(parameters).imported == 5
    assert imported(parameters).new == 0
    assert len(site.file_names()) == 5


def test_gcs_is_imported_through_v4_urls_that_are_verified(site: Any, gcs_server: GoogleServer) -> None:
    bucket = gcs_server.client.create_bucket("photos-of-flows")
    for path in sorted(site.bucket.iterdir())[:5]:
        bucket.blob(f"2026/a b+ü/{path.name}").upload_from_filename(str(path))
    parameters = site.import_parameters(
        "gs://photos-of-flows/2026", gcs_endpoint=gcs_server.endpoint, gcs_key_file=gcs_server.key_file
    )
    assert imported(parameters).imported == 5
    assert len(site.file_names()) == 5


def refused(parameters: ImportParameters, kind: type[DiffgramFlowsError], match: str) -> None:
    with pytest.raises(kind, match=match) as caught:
        import_files(parameters)
    assert caught.value.cure


def test_wrong_credentials(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", "wrong")
    parameters = site.import_parameters()
    fresh = parameters.model_copy(update={"target": parameters.target.model_copy(update={"dataset": "never"})})
    refused(fresh, AuthenticationError, r"(?i)credential|secret|role")


def test_unknown_project(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = site.import_parameters()
    target = parameters.target.model_copy(update={"project": "no-such-project"})
    refused(parameters.model_copy(update={"target": target}), ProjectNotFound, "no-such-project")


def test_unreachable_server(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = site.import_parameters()
    target = parameters.target.model_copy(update={"diffgram_url": "http://127.0.0.1:9"})
    monkeypatch.setattr("diffgram_flows.tasks.importing.check_access", without_retries())
    refused(parameters.model_copy(update={"target": target}), ServerUnreachable, r"127\.0\.0\.1:9")


def without_retries() -> Any:
    from diffgram_flows.tasks.importing import check_access

    return check_access.with_options(retries=0)


def test_missing_bucket(site: Any) -> None:
    refused(site.import_parameters(f"file://{site.folder}/nowhere"), BucketNotFound, "nowhere")


def test_no_permission_to_list(site: Any, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_server.client.create_bucket(Bucket="private")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.guest[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.guest[1])
    where = {"s3_endpoint": s3_server.endpoint, "s3_region": s3_server.region}
    refused(site.import_parameters("s3://private", **where), AccessDenied, "private")


def test_empty_prefix(site: Any) -> None:
    empty = site.folder / "empty"
    empty.mkdir()
    refused(site.import_parameters(f"file://{empty}"), NothingToImport, "empty")
    assert site.file_names() == []
