"""What people call things that are known by their ids, and may be renamed, or called alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple


class Attribute(NamedTuple):
    """What people call an attribute group of the server and its options.

    Attributes:
        group: The group's id.
        name: Empty where nobody has given it one.
        options: Pairs of id and name; none where people write what they want.
    """

    group: int
    name: str = ""
    options: tuple[tuple[int, str], ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Attribute:
        """Read :meth:`to_json`, or a group of a snapshot's manifest: without a name, its prompt is what people read.

        Raises:
            KeyError, TypeError, ValueError: It is not of that form.
        """
        name = str(value.get("name") or value.get("prompt") or "")
        return cls(int(value["id"]), name, tuple((int(one["id"]), str(one["name"])) for one in value["options"]))

    def to_json(self) -> dict[str, Any]:
        options = [{"id": number, "name": name} for number, name in self.options]
        return {"id": self.group, "name": self.name, "options": options}

    def answer(self, value: str) -> str:
        """An answer as people read it.

        Args:
            value: As a snapshot has it: the name of an option, or what was written. What came as an id, alone or in
                JSON, is called by the option's name; of two options of one name also by its id.
        """
        options = dict(self.options)
        if not options or value in options.values():
            return value
        try:
            sent = json.loads(value)
        except (ValueError, RecursionError):
            return value
        names = distinct(options)
        found = [_option(one, names) for one in (sent if isinstance(sent, list) else [sent])]
        return ", ".join(found) if found and all(found) else value


def _option(sent: Any, names: Mapping[int, str]) -> str:
    """The name of an option that was sent as an id, or as an object; empty if it is neither."""
    number = sent.get("id") if isinstance(sent, Mapping) else sent
    if type(number) is int and number in names:
        return names[number]
    name = sent.get("name") if isinstance(sent, Mapping) else ""
    return name if isinstance(name, str) else ""


def distinct(names: Mapping[int, str]) -> dict[int, str]:
    """Names by id, in their order; those that several things share are told apart by their ids."""
    found = dict(names)
    while True:
        count = Counter(found.values())
        if len(count) == len(found):
            return found
        found = {number: name if count[name] == 1 else f"{name} (id {number})" for number, name in found.items()}
