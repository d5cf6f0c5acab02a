"""The calls about the project, its datasets, labels and attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract.playback import Play
from contract.plays import OLD, V1, body_of, makes, only_the_reply
from contract.recorded import Exchange, exchange

from diffgram_flows.diffgram import DiffgramClient


@makes("GET", f"{OLD}/view")
def _view(recorded: Exchange) -> Play:
    project = recorded.path.split("/")[3]
    return Play(lambda client, _: client.view_project(), at="project", project=project)


@makes("POST", f"{V1}/directory/list")
def _directories(recorded: Exchange) -> Play:
    name = body_of(recorded).get("nickname")
    if "body" in recorded.request:
        return only_the_reply(lambda client, _: client.directories())
    return Play(lambda client, _: client.directories(name), at="directory_list")


@makes("POST", f"{V1}/directory/new")
def _new_directory(recorded: Exchange) -> Play:
    none: dict[str, Any] = {"directory_list": []}
    name = body_of(recorded).get("nickname")
    return Play(lambda client, _: client.ensure_directory(name), at="new_directory", before=(none,), after=(none,))


@makes("GET", f"{V1}/labels-schema")
def _schemas(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.schemas(), at=".")


@makes("POST", f"{V1}/labels-schema/new")
def _new_schema(recorded: Exchange) -> Play:
    name = body_of(recorded)["name"]
    return Play(lambda client, _: client.ensure_schema(name), at=".", before=([],), after=([],))


@makes("POST", f"{V1}/label/new")
def _new_label(recorded: Exchange) -> Play:
    name, schema = body_of(recorded)["name"], body_of(recorded).get("schema_id")
    made = recorded.response["json"].get("label")
    listed = {"labels_out": [made] if made else []}
    return Play(
        lambda client, _: client.ensure_labels(schema, [name]),
        gives={name: made["id"]} if made else None,
        before=({"labels_out": []},),
        after=(listed,),
    )


@makes("GET", f"{OLD}/labels")
def _labels(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.labels(1), at="labels_out")


@makes("POST", f"{V1}/attribute/template/list")
def _attribute_groups(recorded: Exchange) -> Play:
    return Play(lambda client, _: client.attribute_groups(1), at="attribute_group_list")


def _new_attribute(before: tuple[Any, ...], after: tuple[Any, ...]) -> Play:
    """The whole making of the recorded group, of which one call is looked at."""

    def call(client: DiffgramClient, _: Path) -> Any:
        return client.ensure_attribute_group(
            1, "occluded", prompt="Is it occluded?", options=["no", "partly", "heavily"], label_file_ids=[4, 2]
        ).id

    return Play(call, gives=1, before=before, after=after)


_NO_GROUPS: dict[str, Any] = {"attribute_group_list": []}
_OPTIONS = ("02/attribute_option_new_no", "02/attribute_option_new_partly", "02/attribute_option_new_heavily")


def _named_group(*options: str) -> dict[str, Any]:
    group = exchange("02/attribute_group_update").response["json"]["group"]
    made = [exchange(option).response["json"]["attribute_template"] for option in options]
    return {"attribute_group_list": [group | {"attribute_template_list": made}]}


@makes("POST", f"{V1}/attribute/group/new")
def _new_group(recorded: Exchange) -> Play:
    return _new_attribute((_NO_GROUPS,), ("02/attribute_group_update", _named_group(), *_OPTIONS))


@makes("POST", f"{V1}/attribute/group/update")
def _name_group(recorded: Exchange) -> Play:
    sent = body_of(recorded)
    leftover = {"attribute_group_list": [{"id": sent["group_id"], "name": None, "kind": None, "prompt": None}]}
    named = {"attribute_group_list": [recorded.response["json"]["group"]]}
    labels = [label["id"] for label in sent["label_file_list"]]

    def call(client: DiffgramClient, _: Path) -> Any:
        return client.ensure_attribute_group(
            1, sent["name"], prompt=sent["prompt"], kind=sent["kind"], label_file_ids=labels
        )

    return Play(call, at="group", before=(leftover,), after=(named,))


@makes("POST", f"{V1}/attribute")
def _new_option(recorded: Exchange) -> Play:
    done = _OPTIONS.index(recorded.id)
    return _new_attribute((_named_group(*_OPTIONS[:done]),), _OPTIONS[done + 1 :])
