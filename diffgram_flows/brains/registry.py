"""Brains in a folder, on a disk or in a bucket: immutable versions, and which one is the champion.

A version is ``<name>/<version>/``: its files, and ``manifest.json``, which is written last and makes it a version. Who
writes one first claims its number (``<name>/claims/000003``), so nobody ever writes between another one's files; a
crash leaves a number that is never used. The champion is told by a log (:mod:`diffgram_flows.brains.champions`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from diffgram_flows.brains.champions import ChampionLog, Promotion
from diffgram_flows.brains.records import MANIFEST, BrainRecord, Manifest, parse_manifest, tampered
from diffgram_flows.disk import hidden_folder, sha256_of
from diffgram_flows.errors import (
    BrainError,
    BrainNotFound,
    BrainTampered,
    ChampionChanged,
    ConfigurationError,
    NoChampion,
    ObjectNotFound,
)
from diffgram_flows.models import BrainRef
from diffgram_flows.storage.folder_local import LocalFolder
from diffgram_flows.storage.folders import Folder, checked, open_folder

__all__ = ["ANYONE", "Anyone", "Promotion", "Registry"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_MANIFEST_LIMIT = 64 << 20  # bytes


class Anyone(Enum):
    """Says that it does not matter who is the champion."""

    ANYONE = 0


ANYONE = Anyone.ANYONE


class Registry:
    """The brains in a folder, which is created when the first one is added.

    Args:
        folder: Where they are.
        cache: Where brains of a bucket are kept on this machine; by default in the user's folder for such things.
    """

    def __init__(self, folder: Path | Folder, cache: Path | None = None) -> None:
        self.folder: Folder = open_folder(folder) if isinstance(folder, Path) else folder
        self._log = ChampionLog(self.folder)
        self._local = self.folder.path if isinstance(self.folder, LocalFolder) else None
        self._home = self._local or cache or _default_cache(self.folder.uri)

    def names(self) -> list[str]:
        """The brains that have a version, in order of the alphabet."""
        found = (name.split("/") for name in self.folder.list())
        return sorted({parts[0] for parts in found if _is_manifest(parts) and _NAME.fullmatch(parts[0])})

    def numbers(self, name: str) -> list[int]:
        """The numbers of a brain's versions, oldest first; empty for an unknown name.

        Raises:
            ConfigurationError: The name is not one of letters, digits, dots, dashes and underscores.
        """
        return sorted(int(parts[1]) for parts in self._parts(name) if _is_manifest(parts))

    def manifest(self, ref: BrainRef) -> Manifest:
        """What is known about a version, without its files.

        Raises:
            BrainNotFound: There is no such version.
            BrainTampered: Its manifest cannot be read.
        """
        return self._manifest(ref)[0]

    def versions(self, name: str) -> list[BrainRecord]:
        """All versions of a brain with their files, oldest first; empty for an unknown name. Raises as :meth:`get`."""
        return [self.get(BrainRef(name, number)) for number in self.numbers(name)]

    def get(self, ref: BrainRef) -> BrainRecord:
        """One version with its files, which are downloaded once and checked where the registry is not on this machine.

        Raises:
            BrainNotFound: There is no such version.
            BrainTampered: Its manifest cannot be read, or a downloaded file is not what the manifest says.
        """
        manifest, content = self._manifest(ref)
        place = self._home / ref.name / str(ref.version)
        if self._local is None and not _holds(place, content):
            self._download(ref, manifest, content, place)
        return BrainRecord(ref, place, manifest)

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """A folder on this machine to write a new version into; it is gone afterwards."""
        with hidden_folder(self._home / _checked(name)) as folder:
            yield folder

    def add(self, name: str, draft: Path, manifest: Manifest) -> BrainRecord:
        """Make a draft the next version: from then on its files do not change.

        Args:
            name: The brain.
            draft: A folder of :meth:`draft` with the version's files.
            manifest: What is known about it; the files' digests are filled in here.
        """
        sealed = manifest.sealed(draft)
        content = _as_json(sealed.to_json())
        ref = BrainRef(name, self._claim(name))
        place = self.folder.child(name).child(str(ref.version))
        for path in sealed.files:
            place.put(path, draft / path)
        if not place.put_new(MANIFEST, content):
            raise BrainTampered(
                f"Somebody else has written the manifest of {ref}, whose number was claimed here.",
                cure="Let nothing but this package write into the registry, and train again.",
            )
        here = self._home / name / str(ref.version)
        if self._local is None:
            (draft / MANIFEST).write_bytes(content)
            _publish(draft, here)
        return BrainRecord(ref, here, sealed)

    def next_version(self, name: str) -> int:
        """The number that the next added version gets if nobody else is faster."""
        taken = (parts[2 if parts[1] == "claims" else 1] for parts in self._parts(name) if len(parts) > 2)
        return max((int(number) for number in taken if number.isdecimal()), default=0) + 1

    def champion(self, name: str) -> BrainRecord | None:
        """The version in use, ``None`` before the first promotion.

        Raises:
            BrainTampered: The log of champions or the manifest cannot be read.
            BrainNotFound: The champion is gone.
        """
        ref = self.champion_ref(name)
        return self.get(ref) if ref else None

    def champions(self, name: str) -> tuple[BrainRef, ...]:
        """The champions that a roll-back would go through, the present one last.

        Raises:
            BrainTampered: The log of champions cannot be read.
        """
        last = self._log.last(_checked(name))
        return tuple(BrainRef(name, version) for version in last.champions) if last else ()

    def champion_ref(self, name: str) -> BrainRef | None:
        """Which version is in use. Cheap enough to be asked every few seconds: one small read that finds nothing new.

        Raises:
            BrainTampered: The log of champions cannot be read.
        """
        last = self._log.last(_checked(name))
        return BrainRef(name, last.version) if last else None

    def promote(
        self, ref: BrainRef, *, instead_of: BrainRef | Anyone | None = ANYONE, intent: str = ""
    ) -> Promotion | None:
        """Make a version the champion.

        Args:
            ref: Which version.
            instead_of: The champion that it was compared with, which must still be the one (``None``: there was none).
            intent: Id of the ledger's row that announces it; see :mod:`diffgram_flows.brains.promoting`.

        Returns:
            The new entry of the log; ``None`` if it was the champion already, which changes nothing.

        Raises:
            BrainNotFound: There is no such version.
            ChampionChanged: Somebody else is the champion by now.
        """
        self.manifest(ref)
        while True:
            last = self._log.last(ref.name)
            champions = last.champions if last else ()
            _expect(ref.name, champions, instead_of)
            if champions[-1:] == (ref.version,):
                return None
            if entry := self._append(ref.name, last, (*champions, ref.version), "promote", intent):
                return entry

    def rollback(self, name: str, *, instead_of: BrainRef | Anyone | None = ANYONE, intent: str = "") -> Promotion:
        """Make the champion before this one the champion again.

        Args:
            name: Which brain.
            instead_of: As in :meth:`promote`.
            intent: As in :meth:`promote`.

        Returns:
            The new entry of the log, whose version is the champion.

        Raises:
            NoChampion: There was none before.
            BrainNotFound: It is gone, or there is no brain of that name.
            ChampionChanged: Somebody else has changed the champion at the same time.
        """
        while True:
            last = self._log.last(_checked(name))
            champions = last.champions if last else ()
            _expect(name, champions, instead_of)
            if len(champions) < 2:
                raise self.no_way_back(name, champions)
            self.manifest(BrainRef(name, champions[-2]))
            if entry := self._append(name, last, champions[:-1], "rollback", intent):
                return entry
            instead_of = BrainRef(name, champions[-1])  # not to roll back what somebody else just did

    def no_way_back(self, name: str, champions: Sequence[object]) -> BrainError:
        """The error of a roll-back for which there are too few champions: none, or the present one alone."""
        numbers = ", ".join(map(str, self.numbers(name)))
        if champions:
            cure = f"Promote another version by its number, of {numbers}."
            return NoChampion(f"The brain {name} had no champion before the present one.", cure=cure)
        if numbers:
            cure = f"Promote a version by its number, of {numbers}."
            return NoChampion(f"The brain {name} has no champion that could be rolled back.", cure=cure)
        known = ", ".join(self.names()) or "none"
        return BrainNotFound(
            f"There is no brain {name} in {self.folder} (brains there: {known}).",
            cure="Name a brain that exists, or train one.",
        )

    def history(self, name: str, after: int = 0) -> list[Promotion]:
        """All promotions and roll-backs after a number of the log, oldest first."""
        return self._log.entries(_checked(name), after)

    def _append(
        self, name: str, last: Promotion | None, champions: tuple[int, ...], action: str, intent: str
    ) -> Promotion | None:
        number = last.number + 1 if last else 1
        entry = Promotion(champions[-1], datetime.now(UTC), action, number, champions, intent)
        return entry if self._log.append(name, entry) else None

    def _manifest(self, ref: BrainRef) -> tuple[Manifest, bytes]:
        file = f"{_checked(ref.name)}/{ref.version}/{MANIFEST}"
        try:
            content = self.folder.read(file, limit=_MANIFEST_LIMIT)
        except ObjectNotFound as error:
            known = ", ".join(str(number) for number in self.numbers(ref.name)) or "none"
            raise BrainNotFound(
                f"There is no brain {ref} in {self.folder} (versions of {ref.name}: {known}).",
                cure="Name a version that exists, or train one.",
            ) from error
        return parse_manifest(ref, content, f"{self.folder}/{file}"), content

    def _download(self, ref: BrainRef, manifest: Manifest, content: bytes, place: Path) -> None:
        source = self.folder.child(ref.name).child(str(ref.version))
        with hidden_folder(self._home / ref.name) as part:
            for path, digest in manifest.files.items():
                try:
                    source.download(checked(path), part / path)
                except (ObjectNotFound, ConfigurationError) as error:  # a name that would lead out of the folder
                    raise tampered(ref, path, "is missing", source.uri) from error
                if sha256_of(part / path) != digest:
                    raise tampered(ref, path, "was changed", source.uri)
            (part / MANIFEST).write_bytes(content)
            _publish(part, place)

    def _claim(self, name: str) -> int:
        number = self.next_version(name)
        claim = json.dumps({"at": datetime.now(UTC).isoformat()}).encode()
        while not self.folder.put_new(f"{name}/claims/{number:06}", claim):
            number += 1
        return number

    def _parts(self, name: str) -> Iterator[list[str]]:
        return (found.split("/") for found in self.folder.list(f"{_checked(name)}/"))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a brain.",
            cure="Use letters, digits, dots, dashes and underscores, and no dot in front.",
        )
    return name


def _is_manifest(parts: list[str]) -> bool:
    return len(parts) == 3 and parts[1].isdecimal() and parts[2] == MANIFEST


def _expect(name: str, champions: tuple[int, ...], instead_of: BrainRef | Anyone | None) -> None:
    now = BrainRef(name, champions[-1]) if champions else None
    if instead_of is not ANYONE and now != instead_of:
        raise ChampionChanged(
            f"The champion of {name} is {now or 'nobody'} by now, and not {instead_of or 'nobody'} as a moment ago.",
            cure="Look at the present champion, and decide again.",
        )


def _holds(place: Path, content: bytes) -> bool:
    try:
        return (place / MANIFEST).read_bytes() == content
    except OSError:
        return False


def _publish(part: Path, place: Path) -> None:
    """Give a complete folder its name in the cache; one that another process put there is as good."""
    part.chmod(0o755)
    content = (part / MANIFEST).read_bytes()
    for _ in range(2):
        try:
            os.rename(part, place)
            return
        except OSError:
            if _holds(place, content):
                return
            shutil.rmtree(place, ignore_errors=True)  # of a registry that was at this address before
    os.rename(part, place)


def _default_cache(uri: str) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "diffgram-flows" / "brains" / hashlib.sha256(uri.encode()).hexdigest()[:16]


def _as_json(value: dict[str, object]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
