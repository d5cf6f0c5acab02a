"""Attribute groups: listed first, because the server never looks for twins and allows ten a day."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import InvalidRequest, ServerUnreachable

Server = Any  # servers.scripted.ScriptedServer
BASE = "/api/v1/project/contract-project/attribute"


def option(number: int, name: str, **changes: Any) -> dict[str, Any]:
    return {"archived": False, "display_order": None, "group_id": 1, "id": number, "name": name} | changes


def group(number: int, name: str | None, *options: dict[str, Any], kind: str | None = "select") -> dict[str, Any]:
    prompt = f"{name}?" if name else None
    return {"id": number, "name": name, "kind": kind, "prompt": prompt, "attribute_template_list": list(options)}


def listed(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"attribute_group_list": list(groups), "log": {"success": True}}


def paths(server: Server) -> list[str]:
    return [sent.path.removeprefix(BASE) for sent in server.sent]


LIST, NEW, NAME, OPTION = "/template/list", "/group/new", "/group/update", ""


def test_a_group_that_is_there_costs_one_call(server: Server, client: DiffgramClient) -> None:
    server.answer(
        listed(group(3, "occluded", option(9, "no")), group(1, "occluded", option(1, "no"), option(2, "yes")))
    )
    found = client.ensure_attribute_group(1, "occluded", options=["no", "yes"])
    assert (found.id, [given.id for given in found.options]) == (1, [1, 2])
    assert paths(server) == [LIST]


def test_only_missing_options_are_added_and_archived_ones_do_not_count(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(group(1, "occluded", option(1, "no"), option(2, "yes", archived=True))))
    server.answer({"attribute_template": option(3, "yes")}).answer({"attribute_template": option(4, "maybe")})
    found = client.ensure_attribute_group(1, "occluded", options=["no", "yes", "maybe", "yes"])
    assert [(given.id, given.name) for given in found.options] == [(1, "no"), (3, "yes"), (4, "maybe")]
    assert paths(server) == [LIST, OPTION, OPTION]


def test_a_new_group_is_made_named_and_given_its_options(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer({"attribute_template_group": group(1, None, kind=None)})
    server.answer({"group": group(1, "occluded")}).answer(listed(group(1, "occluded")))
    server.answer({"attribute_template": option(1, "no")})
    found = client.ensure_attribute_group(1, "occluded", options=["no"], label_file_ids=[4, 2], is_global=True)
    assert (found.id, found.kind, found.prompt) == (1, "select", "occluded?")
    assert paths(server) == [LIST, NEW, NAME, LIST, OPTION]
    assert server.sent[2].json == {
        "group_id": 1,
        "mode": "UPDATE",
        "name": "occluded",
        "prompt": "occluded",
        "kind": "select",
        "is_global": True,
        "global_type": "file",
        "label_file_list": [{"id": 4}, {"id": 2}],
    }


def test_what_a_crash_left_is_named_instead_of_making_another(server: Server, client: DiffgramClient) -> None:
    begun_by_a_person = group(4, None, kind="radio")
    server.answer(listed(begun_by_a_person, group(6, None, kind=None), group(5, None, kind=None)))
    server.answer({"group": group(5, "plate", kind="text")}).answer(listed(group(5, "plate", kind="text")))
    assert client.ensure_attribute_group(1, "plate", kind="text").id == 5
    assert paths(server) == [LIST, NAME, LIST]


def test_who_loses_the_race_for_a_leftover_makes_a_group_of_its_own(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(group(5, None, kind=None))).answer({"group": group(5, "plate", kind="text")})
    server.answer(listed(group(5, "of somebody else")))  # named later, by another process
    server.answer({"attribute_template_group": group(6, None, kind=None)}).answer(
        {"group": group(6, "plate", kind="text")}
    )
    assert client.ensure_attribute_group(1, "plate", kind="text").id == 6
    assert paths(server) == [LIST, NAME, LIST, NEW, NAME]


def test_a_group_of_another_kind_is_not_used(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(group(1, "plate", kind="text")))
    with pytest.raises(InvalidRequest, match=r"'plate' \(id 1\) is of kind 'text', not 'select'"):
        client.ensure_attribute_group(1, "plate", options=["a"])
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    "settings",
    [{"name": " "}, {"kind": ""}, {"options": ["a", ""]}, {"kind": "text", "options": ["a"]}],
    ids=["name", "kind", "option", "options of a text"],
)
def test_nonsense_is_not_sent(server: Server, client: DiffgramClient, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        client.ensure_attribute_group(1, **({"name": "plate"} | settings))
    assert server.sent == []


def test_a_group_that_may_have_been_made_is_not_made_again(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer(reset=True)
    with pytest.raises(ServerUnreachable):
        client.ensure_attribute_group(1, "plate", kind="text")
    assert paths(server) == [LIST, NEW]


def test_new_groups_are_counted(server: Server, make_client: Any) -> None:
    waited: list[str] = []

    class Counting:
        def wait(self, endpoint: str) -> None:
            waited.append(endpoint)

    server.answer(listed()).answer({"attribute_template_group": group(1, None)}).answer({"group": group(1, "plate")})
    server.answer(listed(group(1, "plate")))
    make_client(pacer=Counting()).ensure_attribute_group(1, "plate")
    assert waited == ["attribute/group/new"]
