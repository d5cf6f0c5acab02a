"""Which version of a brain is in use: a log of promotions and roll-backs that is only ever appended to.

Every entry is one small file, ``<name>/promotions/000007.json``, that holds the whole outcome: all champions so far,
the present one last. It appears as a whole or not at all, and of two writers who want to write the same number one is
told that he came too late. So a reader finds the champion of before or the one of after, and the last file is enough.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from diffgram_flows.errors import BrainTampered, ObjectNotFound
from diffgram_flows.storage.folders import Folder

_LIMIT = 1 << 20  # bytes of an entry


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of the champion.

    Attributes:
        version: The champion from then on.
        at: When, in UTC.
        action: ``promote`` or ``rollback``.
        number: Its place in the log, from 1.
        champions: The champions that a roll-back would go through, the present one last.
        intent: The id under which a ledger announced it; empty without one.
    """

    version: int
    at: datetime
    action: str
    number: int
    champions: tuple[int, ...]
    intent: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "action": self.action,
            "version": self.version,
            "at": self.at.isoformat(),
            "champions": list(self.champions),
            "intent": self.intent,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Promotion:
        """Read :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: It is not of that form.
        """
        champions = tuple(int(version) for version in value["champions"])
        if champions[-1:] != (value["version"],):
            raise ValueError("its last champion is not its version")
        at = datetime.fromisoformat(value["at"])
        return cls(value["version"], at, value["action"], int(value["number"]), champions, value["intent"])


class ChampionLog:
    """The promotions of all brains in a registry's folder. Entries never change, so the last one seen is remembered."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._seen: dict[str, Promotion] = {}

    def last(self, name: str) -> Promotion | None:
        """The newest entry; where one was seen before, it costs one question for the next."""
        seen = self._seen.get(name) or self._listed_last(name)
        while seen is not None:
            self._seen[name] = seen
            following = self._read(name, seen.number + 1)
            if following is None:
                return seen
            seen = following
        return None

    def entries(self, name: str, after: int = 0) -> list[Promotion]:
        """The entries after a number, oldest first."""
        found: list[Promotion] = []
        while (entry := self._read(name, after + len(found) + 1)) is not None:
            found.append(entry)
        return found

    def append(self, name: str, entry: Promotion) -> bool:
        """Write the entry unless there is one of its number already."""
        content = json.dumps(entry.to_json(), indent=2).encode() + b"\n"
        return self._folder.put_new(_file(name, entry.number), content)

    def _listed_last(self, name: str) -> Promotion | None:
        prefix = f"{name}/promotions/"
        stems = (found.removeprefix(prefix).removesuffix(".json") for found in self._folder.list(prefix))
        number = max((int(stem) for stem in stems if stem.isdecimal()), default=0)
        return self._read(name, number) if number else None

    def _read(self, name: str, number: int) -> Promotion | None:
        file = _file(name, number)
        try:
            entry = Promotion.from_json(json.loads(self._folder.read(file, limit=_LIMIT)))
            if entry.number != number:
                raise ValueError(f"it says that it is number {entry.number}")
        except ObjectNotFound:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise BrainTampered(
                f"The promotion {self._folder.uri}/{file} cannot be read ({error}).",
                cure="Restore the file from a backup. Without it nobody knows the champion.",
            ) from error
        return entry


def _file(name: str, number: int) -> str:
    return f"{name}/promotions/{number:06}.json"
