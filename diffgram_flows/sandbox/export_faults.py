"""Exports that go wrong on demand, in every way in which an export can mislead or fail a client."""

from __future__ import annotations

from typing import Any, Literal, get_args

from diffgram_flows.errors import ConfigurationError

ExportFault = Literal[
    "none",
    "missing_file",
    "truncated",
    "empty",
    "unknown_label",
    "file_count",
    "lost_instance",
    "slow",
    "status_500",
    "link_500",
    "download_500",
    "expired_link",
]
KINDS: tuple[ExportFault, ...] = get_args(ExportFault)


def sequence(text: str) -> tuple[ExportFault, ...]:
    """The faults of a setting such as ``truncated,none``.

    Raises:
        ConfigurationError: One of them is unknown.
    """
    named = [part.strip() for part in text.split(",")]
    found = tuple(kind for name in named for kind in KINDS if kind == name)
    if len(found) != len(named):
        unknown = next(name for name in named if name not in KINDS)
        raise ConfigurationError(
            f"The sandbox knows no export fault {unknown!r}.",
            cure=f"Set export_fault to one of {', '.join(KINDS)}, or to several for one export after the other.",
        )
    return found


def fault_of(text: str, export_id: int) -> ExportFault:
    """What happens to an export: the n-th one meets the n-th fault, and all that follow meet the last."""
    faults = sequence(text)
    return faults[min(export_id, len(faults)) - 1]


def spoiled(content: dict[str, Any], fault: ExportFault) -> dict[str, Any]:
    """The content of an export after its fault; what the server says about itself stays as it was."""
    files = sorted((key for key in content if key.isdecimal()), key=int)
    if fault == "empty":
        return {key: value for key, value in content.items() if key not in files}
    if fault == "missing_file" and files:
        return {key: value for key, value in content.items() if key != files[-1]}
    drawn = [key for key in files if content[key]["instance_list"]]
    if fault in ("unknown_label", "lost_instance") and drawn:
        kept = list(content[drawn[0]]["instance_list"])
        last = kept.pop()
        if fault == "unknown_label":
            unknown = max(int(label) for label in content["label_map"]) + 1000
            kept.append({**last, "label_file_id": unknown})
        return {**content, drawn[0]: {**content[drawn[0]], "instance_list": kept}}
    return content


def counted(files: int, fault: ExportFault) -> int:
    """How many files the server says are in an export that has so many."""
    if fault == "empty":
        return 0
    return files + 1 if fault == "file_count" else files
