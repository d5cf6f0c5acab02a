"""Label schemas and labels against recorded replies."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import InvalidRequest

Server = Any  # conftest.ScriptedServer


def schema(number: int, name: str, *, archived: bool = False) -> dict[str, Any]:
    return {"archived": archived, "id": number, "is_default": number == 1, "name": name, "time_updated": None}


def label(number: int, name: str) -> dict[str, Any]:
    colour = {"a": 1, "hex": "#00FF80", "rgba": {"a": 1, "b": 128, "g": 255, "r": 0}}
    return {"id": number, "label": {"id": number + 100, "name": name}, "colour": colour, "type": "label"}


def listed(*labels: dict[str, Any]) -> dict[str, Any]:
    return {"labels_out": list(labels), "attribute_groups": [], "log": {"error": {}, "success": False}}


def made(one: dict[str, Any]) -> dict[str, Any]:
    return {"label": one, "log": {"error": {}, "info": {}, "success": True}}


def test_the_schemas(server: Server, client: DiffgramClient) -> None:
    server.answer([schema(1, "Default Schema"), schema(2, "vehicles")])
    assert [(found.id, found.name, found.is_default) for found in client.schemas()] == [
        (1, "Default Schema", True),
        (2, "vehicles", False),
    ]
    assert server.last.path == "/api/v1/project/contract-project/labels-schema"


def test_a_schema_is_made_once(server: Server, client: DiffgramClient) -> None:
    server.answer([schema(1, "Default Schema")]).answer(schema(2, "vehicles"))
    assert client.ensure_schema("vehicles").id == 2
    assert server.last.json == {"name": "vehicles"}
    server.script[:] = []
    server.answer([schema(2, "vehicles")])
    assert client.ensure_schema("vehicles").id == 2
    assert len(server.sent) == 3


def test_a_schema_that_somebody_else_just_made_is_taken(server: Server, client: DiffgramClient) -> None:
    exists = {"log": {"error": {"schema_exists": 'Label Schema "vehicles" already exists.'}, "success": False}}
    server.answer([]).answer(exists, status=400).answer([schema(2, "vehicles")])
    assert client.ensure_schema("vehicles").id == 2


def test_the_name_of_an_archived_schema_is_taken(server: Server, client: DiffgramClient) -> None:
    exists = {"log": {"error": {"schema_exists": 'Label Schema "vehicles" already exists.'}, "success": False}}
    archived = [schema(2, "vehicles", archived=True)]
    server.answer(archived).answer(exists, status=400).answer(archived)
    with pytest.raises(InvalidRequest, match="already exists"):
        client.ensure_schema("vehicles")


def test_labels_are_known_by_their_file_id(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(label(1, "car"), label(2, "person")))
    found = client.labels(1)
    assert [(one.label_file_id, one.name, one.colour_hex) for one in found] == [
        (1, "car", "#00FF80"),
        (2, "person", "#00FF80"),
    ]
    assert server.last.path == "/api/project/contract-project/labels"
    assert server.last.query == {"schema_id": "1"}


def test_of_twins_the_oldest_counts(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(label(4, "car"), label(1, "car"), label(2, "person")))
    assert client.ensure_labels(1, ["car", "person", "car"]) == {"car": 1, "person": 2}
    assert len(server.sent) == 1


def test_only_missing_labels_are_made(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(label(1, "car"))).answer(made(label(7, "sign"))).answer(
        listed(label(1, "car"), label(7, "sign"))
    )
    assert client.ensure_labels(1, ["car", "sign"]) == {"car": 1, "sign": 7}
    assert [sent.json for sent in server.sent if sent.method == "POST"] == [{"name": "sign", "schema_id": 1}]


def test_two_who_make_the_same_label_agree_on_one(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer(made(label(7, "sign"))).answer(listed(label(7, "sign"), label(6, "sign")))
    assert client.ensure_labels(1, ["sign"]) == {"sign": 6}


def test_an_unknown_schema(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer({"error": "schema Required"}, status=500)
    with pytest.raises(InvalidRequest, match=r"'sign' in schema 9999.*ids"):
        client.ensure_labels(9999, ["sign"])
