"""Brains on disk: immutable versions, and which one is the champion.

A brain is a folder of versions ``<folder>/<name>/<version>/``, each with a ``manifest.json``. A version is written into
a folder that begins with a dot and renamed when it is complete, so a crash leaves nothing that looks like a version.
``champion.json`` beside the versions is replaced as a whole.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from diffgram_flows.brains.records import MANIFEST, BrainRecord, Manifest, read_record
from diffgram_flows.disk import sync, write_file
from diffgram_flows.errors import BrainNotFound, BrainTampered, ConfigurationError, NoChampion
from diffgram_flows.models import BrainRef

_CHAMPION = "champion.json"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of the champion.

    Attributes:
        version: The champion from then on.
        at: When, in UTC.
        action: ``promote`` or ``rollback``.
    """

    version: int
    at: datetime
    action: str


class Registry:
    """The brains in a folder, which is created when the first one is added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """The brains that have a version, in order of the alphabet."""
        if not self.folder.is_dir():
            return []
        found = (path.name for path in self.folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))
        return sorted(name for name in found if self._numbers(name))

    def versions(self, name: str) -> list[BrainRecord]:
        """All versions of a brain, oldest first; empty for an unknown name.

        Raises:
            ConfigurationError: The name is not one of letters, digits, dots, dashes and underscores.
            BrainTampered: A manifest cannot be read.
        """
        return [read_record(BrainRef(name, number), self._place(name) / str(number)) for number in self._numbers(name)]

    def get(self, ref: BrainRef) -> BrainRecord:
        """One version.

        Raises:
            BrainNotFound: There is no such version.
            BrainTampered: Its manifest cannot be read.
        """
        folder = self._place(ref.name) / str(ref.version)
        if not folder.is_dir():
            known = ", ".join(str(number) for number in self._numbers(ref.name)) or "none"
            raise BrainNotFound(
                f"There is no brain {ref} in {self.folder} (versions of {ref.name}: {known}).",
                cure="Name a version that exists, or train one.",
            )
        return read_record(ref, folder)

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """A folder to write a new version into; it is gone afterwards unless it was added."""
        self._place(name).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".draft-", dir=self._place(name)))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, name: str, draft: Path, manifest: Manifest) -> BrainRecord:
        """Make a draft the next version: from then on its files do not change.

        Args:
            name: The brain.
            draft: A folder of :meth:`draft` with the version's files.
            manifest: What is known about it; the files' digests are filled in here.
        """
        sealed = manifest.sealed(draft)
        write_file(draft / MANIFEST, _as_json(sealed.to_json()))
        for path in draft.rglob("*"):
            sync(path)
        sync(draft)
        draft.chmod(0o755)  # a temporary folder is its owner's alone; other workers read the registry too
        while True:
            number = self.next_version(name)
            folder = self._place(name) / str(number)
            try:
                draft.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                continue  # another process took this number; the next one is free
            sync(folder.parent)
            return BrainRecord(BrainRef(name, number), folder, sealed)

    def next_version(self, name: str) -> int:
        """The number that the next added version gets if nobody else is faster."""
        return max(self._numbers(name), default=0) + 1

    def champion(self, name: str) -> BrainRecord | None:
        """The version in use, ``None`` before the first promotion.

        Raises:
            BrainTampered: The list of champions or the manifest cannot be read.
            BrainNotFound: The champion's folder is gone.
        """
        stack = self._read_champions(name)[0]
        return self.get(BrainRef(name, stack[-1])) if stack else None

    def promote(self, ref: BrainRef) -> None:
        """Make a version the champion; promoting the champion again changes nothing.

        Raises:
            BrainNotFound: There is no such version.
        """
        self.get(ref)
        stack, history = self._read_champions(ref.name)
        if stack[-1:] != [ref.version]:
            self._write_champions(ref.name, [*stack, ref.version], history, "promote")

    def rollback(self, name: str) -> BrainRecord:
        """Make the champion before this one the champion again, and return it.

        Raises:
            NoChampion: There was none before.
            BrainNotFound: Its folder is gone.
        """
        stack, history = self._read_champions(name)
        if len(stack) < 2:
            raise NoChampion(
                f"The brain {name} had no champion before the present one.",
                cure="Promote another version by its number.",
            )
        previous = self.get(BrainRef(name, stack[-2]))
        self._write_champions(name, stack[:-1], history, "rollback")
        return previous

    def history(self, name: str) -> list[Promotion]:
        """All promotions and roll-backs, oldest first."""
        return self._read_champions(name)[1]

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot be the name of a brain.",
                cure="Use letters, digits, dots, dashes and underscores, and no dot in front.",
            )
        return self.folder / name

    def _numbers(self, name: str) -> list[int]:
        place = self._place(name)
        if not place.is_dir():
            return []
        return sorted(int(path.name) for path in place.iterdir() if path.name.isdigit() and path.is_dir())

    def _read_champions(self, name: str) -> tuple[list[int], list[Promotion]]:
        """The champions, the present one last, and how it came to that."""
        path = self._place(name) / _CHAMPION
        try:
            value = json.loads(path.read_text("utf-8"))
            history = [
                Promotion(entry["version"], datetime.fromisoformat(entry["at"]), entry["action"])
                for entry in value["history"]
            ]
            return [int(version) for version in value["champions"]], history
        except FileNotFoundError:
            return [], []
        except (KeyError, TypeError, ValueError) as error:
            raise BrainTampered(
                f"The list of champions {path} cannot be read ({error}).",
                cure="Remove the file and promote a version again.",
            ) from error

    def _write_champions(self, name: str, stack: list[int], history: list[Promotion], action: str) -> None:
        path = self._place(name) / _CHAMPION
        entries = [*history, Promotion(stack[-1], datetime.now(UTC), action)]
        value = {
            "champions": stack,
            "history": [{"version": e.version, "at": e.at.isoformat(), "action": e.action} for e in entries],
        }
        write_file(path, _as_json(value))
        sync(path.parent)


def _as_json(value: dict[str, object]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
