"""docs/from-the-official-sdk.md names nothing that is not there, and no option that is not taken."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import diffgram_flows
from diffgram_flows import Project
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.project import Brain, Directory, Export, File, Inference, Instance, Job, QueuedImport

PAGE = Path(__file__).parents[2] / "docs" / "from-the-official-sdk.md"
ROWS = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
OURS = [span for row in ROWS for span in re.findall(r"`([^`]+)`", row[2])]
HANDLES: dict[str, Any] = {
    "project": Project,
    "brain": Brain,
    "directory": Directory,
    "export": Export,
    "file": File,
    "inference": Inference,
    "instance": Instance,
    "job": Job,
    "queued": QueuedImport,
}


def member(kind: Any, name: str) -> Any:
    """What an attribute of an instance of ``kind`` is: a function, or the class of a value."""
    found = inspect.getattr_static(kind, name, None)
    for getter in (getattr(found, "func", None), getattr(found, "fget", None)):
        if getter is not None:
            return get_type_hints(getter)["return"]
    if inspect.isfunction(found):
        return found
    if kind is Project and name == "client":
        return DiffgramClient
    return get_type_hints(kind)[name]


def resolved(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return HANDLES.get(node.id) or getattr(diffgram_flows, node.id)
    assert isinstance(node, ast.Attribute), ast.dump(node)
    owner = resolved(node.value)
    return (
        getattr(owner, node.attr) if owner is Project and node.attr == "from_environment" else member(owner, node.attr)
    )


@pytest.mark.parametrize("span", OURS)
def test_everything_of_ours_exists(span: str) -> None:
    tree = ast.parse(span, mode="eval").body
    if not isinstance(tree, ast.Call):
        assert resolved(tree)
        return
    signature = inspect.signature(resolved(tree.func))
    named = {keyword.arg or "" for keyword in tree.keywords}
    values: list[Any] = [None] * len(tree.args)
    if "self" in signature.parameters:
        values.insert(0, None)
    signature.bind(*values, **dict.fromkeys(named))


def test_the_table_covers_the_readme_of_the_sdk() -> None:
    calls = (
        "project.job.new project.file.from_url project.file.from_packet project.file.from_local project.train.start "
        "brain.check_status brain.predict_from_local brain.predict_from_url brain.predict_from_file project.get_model "
        "brain.run brain.visual"
    )
    theirs = " ".join(row[1] for row in ROWS)
    assert [call for call in calls.split() if call not in theirs] == []
    assert len(OURS) > 60
