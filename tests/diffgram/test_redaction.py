"""Every way in which a signed URL was seen in the server's texts."""

from __future__ import annotations

import pytest

from diffgram_flows.diffgram import ImportRow, without_secrets

S3 = (
    "http://storage.local/photos/a.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAKEY&X-Amz-Signature=5ec3e7"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"no valid response (403) from {S3} Response: denied", id="status text"),
        pytest.param("Max retries exceeded with url: /a.jpg?X-Amz-Signature=5ec3e7 (Caused by ...)", id="urllib3"),
        pytest.param('{"url":"https://g.com/b/o?X-Goog-Signature=5ec3e7"}', id="JSON"),
        pytest.param("see http://proxy/fetch#u=a%3FX-Amz-Signature%3D5ec3e7", id="percent-encoded"),
        pytest.param("params X-Amz-Signature=5ec3e7&amp;x", id="without question mark"),
        pytest.param("<SignatureProvided>5ec3e7</SignatureProvided>", id="S3's answer"),
        pytest.param("Response: <StringToSign>AWS4\n5ec3e7\nmore", id="S3's answer, cut off"),
        pytest.param("https://acc.blob.core.windows.net/c/b?sv=2024&sig=5ec3e7", id="Azure"),
    ],
)
def test_signatures_are_cut_out(text: str) -> None:
    assert "5ec3e7" not in without_secrets(text)
    assert "<hidden>" in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "Missing label_file_id} On SDK?: Some types of errors may be resolved by updating to latest.",
        "Filename a1.jpg Already Exists in Dir. Existing ID is:7",
        "http://images.local/404/c3.jpg",
    ],
    ids=["question mark", "id", "URL"],
)
def test_other_texts_stay(text: str) -> None:
    assert without_secrets(text) == text


def test_a_row_keeps_no_secret_in_any_field() -> None:
    row = ImportRow.model_validate(
        {
            "id": 1,
            "status": "failed",
            "status_text": f"no valid response (403) from {S3}",
            "update_log": {"download_media": f"url: {S3}", "error": {"process_one_image": [S3]}},
        }
    )
    assert "5ec3e7" not in repr(row) + row.model_dump_json() + row.reason
    assert "storage.local/photos/a.jpg?<hidden>" in row.reason
