"""Attributes: made in three calls, listed with their labels, and told in exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

Json = dict[str, Any]
Call = Callable[..., requests.Response]
ATTRIBUTE = "/api/v1/project/{p}/attribute"


@pytest.fixture(scope="module")
def schema(call: Call) -> int:
    made = call("/api/v1/project/{p}/labels-schema/new", {"name": "with attributes"}).json()
    return int(made["id"])


@pytest.fixture(scope="module")
def label(call: Call, schema: int) -> Json:
    made: Json = call("/api/v1/project/{p}/label/new", {"name": "bus", "schema_id": schema}).json()["label"]
    return made


def new_group(call: Call, schema: int, **wanted: Any) -> Json:
    group = call(f"{ATTRIBUTE}/group/new", {"schema_id": schema}).json()["attribute_template_group"]
    updated: dict[str, Json] = call(
        f"{ATTRIBUTE}/group/update", {"group_id": group["id"], "mode": "UPDATE", **wanted}
    ).json()
    return updated["group"] | {"log": updated["log"]}


def test_an_attribute_is_listed_with_its_options_and_labels(call: Call, schema: int, label: Json) -> None:
    wanted = {"name": "occluded", "kind": "select", "prompt": "How much?", "label_file_list": [{"id": label["id"]}]}
    group = new_group(call, schema, **wanted)
    assert (group["log"]["info"], group["ordinal"], group["time_updated"]) == ({"update": "Success"}, 0, "None")
    for name in ("no", "partly"):
        reply = call(ATTRIBUTE, {"mode": "NEW", "attribute": {"name": name, "group_id": group["id"]}}).json()
        assert (reply["attribute_template"]["name"], reply["attribute_template"]["group_id"]) == (name, group["id"])
    listed = call(f"{ATTRIBUTE}/template/list", {"schema_id": schema, "mode": "from_project"}).json()
    (found,) = listed["attribute_group_list"]
    assert [option["name"] for option in found["attribute_template_list"]] == ["no", "partly"]
    assert (found["name"], found["kind"], found["prompt"]) == ("occluded", "select", "How much?")
    assert found["time_updated"] != "None"
    (of_labels,) = call(f"/api/project/{{p}}/labels?schema_id={schema}", method="GET").json()["attribute_groups"]
    assert of_labels == {**found, "label_file_list": [label]}
    assert call("/api/project/{p}/labels?schema_id=1", method="GET").json()["attribute_groups"] == []


def test_an_attribute_of_files_is_listed_apart(call: Call, schema: int) -> None:
    group = new_group(call, schema, name="weather", kind="text", is_global=True)
    labels = call(f"/api/project/{{p}}/labels?schema_id={schema}", method="GET").json()
    assert [each["id"] for each in labels["global_attribute_groups_list"]] == [group["id"]]
    assert group["id"] not in [each["id"] for each in labels["attribute_groups"]]


def test_labels_of_a_group_are_replaced_and_unknown_ones_ignored(call: Call, schema: int, label: Json) -> None:
    group = new_group(call, schema, name="side", label_file_list=[{"id": 99_999}, {"id": label["id"]}])
    for wanted, found in ([None, [label["id"]]], [[], []]):
        body = {"group_id": group["id"], "mode": "UPDATE", "prompt": "?"}
        call(f"{ATTRIBUTE}/group/update", body if wanted is None else {**body, "label_file_list": wanted})
        groups = call(f"/api/project/{{p}}/labels?schema_id={schema}", method="GET").json()["attribute_groups"]
        (mine,) = [each for each in groups if each["id"] == group["id"]]
        assert [each["id"] for each in mine["label_file_list"]] == found
        assert mine["name"] == "side"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/template/list", {"schema_id": 1}, 400),
        ("/group/update", {"group_id": 1, "mode": "DO"}, 400),
        ("", {"mode": "OLD", "attribute": {"name": "x", "group_id": 1}}, 400),
        ("/group/update", {"group_id": 99_999, "mode": "UPDATE"}, 500),
        ("/group/new", {"schema_id": 99_999}, 500),
    ],
)
def test_attributes_that_are_refused(call: Call, path: str, body: Json, status: int) -> None:
    reply = call(ATTRIBUTE + path, body)
    assert reply.status_code == status
    if status == 400:
        assert reply.json()["log"]["error"] == {"mode": "Invalid mode"}
