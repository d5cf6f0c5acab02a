"""The recorded exports in full: what their trimmed places stand for."""

from __future__ import annotations

import re
from typing import Any

from contract.recorded import Exchange, exchange

_MODEL = "08/job_wait_data"
_SAME = "<same shape as in job_wait_data>"
_TRIMMED = "__trimmed__"
_CLOCKS = {"image_signed_expiry"}
#: Counted at another moment than the tasks, and stale at the time of the exports: no rule was found for it.
_STALE = {"file_count_statistic"}


def is_export(recorded: Exchange) -> bool:
    """Whether the recorded reply is the JSON of an export, or speaks of one."""
    return "/export/" in recorded.path and recorded.status in (200, 400)


def filled(got: Any, recorded: Exchange) -> tuple[Any, Any]:
    """A reply and the recorded one, with the same places trimmed in both."""
    wanted = recorded.response.get("json", recorded.response.get("text"))
    got, wanted = clockless(got), clockless(wanted)
    if not (isinstance(wanted, dict) and "readme" in wanted and isinstance(got, dict)):
        return got, wanted
    got, wanted = _same_files(got, wanted)
    model = clockless(exchange(_MODEL).response["json"])
    for key, value in wanted.items():
        if value == _SAME:
            wanted[key] = _info(recorded, model[key], wanted, got[key]) if key == "export_info" else model[key]
    return got, wanted


def _same_files(got: dict[str, Any], wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only the files that were recorded, and how many there are in all."""
    shown = {key for key in wanted if key.isdigit()}
    hidden = int(re.findall(r"\d+", wanted[_TRIMMED])[0]) if _TRIMMED in wanted else 0
    kept = {key: value for key, value in got.items() if not key.isdigit() or not hidden or key in shown}
    total = sum(key.isdigit() for key in got)
    return {**kept, _TRIMMED: total}, {**wanted, _TRIMMED: len(shown) + hidden}


def _info(recorded: Exchange, model: dict[str, Any], wanted: dict[str, Any], got: Any) -> dict[str, Any]:
    """What an export says about itself, from what was asked for."""
    sent = recorded.request["json"]
    if "source" not in sent:  # a link: the export itself is the model's twin
        return {**model, "id": sent["id"]}
    asked = {key: sent[key] for key in ("kind", "source", "file_comparison_mode", "masks", "ann_is_complete")}
    info = {**model, **asked, "file_list_length": wanted[_TRIMMED], "id": got["id"]}
    if sent["source"] == "job":
        return info
    # Which dataset it is, is in no reply but its id was sent; none means the default one.
    directory = {**got["directory"], "id": sent.get("directory_id") or 1, "directory_id": sent.get("directory_id") or 1}
    return {**info, "directory": directory, "job": None}


def clockless(value: Any) -> Any:
    """An export without moments, and without its own number."""
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in _CLOCKS | _STALE and item is not None else clockless(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [clockless(item) for item in value]
    return re.sub(r"(?<=/export/)\d+(?=_)", "<id>", value) if isinstance(value, str) else value
