"""Images beside their annotations, under names that are safe in a folder and unique in it."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from diffgram_flows.datasets.formats.base import ForeignImage, ImagePolicy
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Sample

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
_MAX_BYTES = 200  # of a name; most file systems hold 255
_UNFIT = frozenset('/\\:*?"<>|')
_RESERVED = frozenset({"con", "prn", "aux", "nul"})  # on Windows, whatever their suffix


@dataclass(slots=True)
class Placer:
    """Gives every sample a file name of its own, and puts its image there.

    Names differ also in lower case and without their suffix, because labels of ``a.jpg`` and ``A.png`` would go to the
    same ``a.txt``.
    """

    policy: ImagePolicy
    _taken: set[str] = field(default_factory=set)

    def name(self, sample: Sample) -> str:
        """A file name for this sample, told once."""
        stem, suffix = _split(safe_name(sample.file_name))
        if suffix.lower() not in SUFFIXES:  # tools find images by it, and look inside for what they really are
            stem, suffix = stem + suffix, ".jpg"
        number = 0
        name = stem
        while _key(name) in self._taken:
            ending = f"-{sample.file_id}" + (f"-{number}" if number else "")
            name = _cut(stem, _MAX_BYTES - len(ending) - len(suffix)) + ending
            number += 1
        self._taken.add(_key(name))
        return name + suffix

    def place(self, sample: Sample, target: Path) -> None:
        """Put the image of a sample there.

        Raises:
            DatasetError: It is not where the sample says.
        """
        if self.policy == "none":
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self.policy == "link" and _linked(sample.path, target):
                return
            shutil.copyfile(sample.path, target)
        except FileNotFoundError as error:
            raise missing(sample) from error


def missing(sample: Sample) -> DatasetError:
    """The error for an image that is not in the cache any more."""
    return DatasetError(
        f"The image {sample.file_name} of the snapshot is not at {sample.path}.",
        cure="Make the snapshot again: it fetches what is missing.",
    )


def safe_name(name: str) -> str:
    """The name without what could leave a folder, hide in it, or not be written: one path part, at most 200 bytes."""
    kept = "".join("_" if c in _UNFIT or not c.isprintable() else c for c in name)
    stem, suffix = _split(kept.strip())
    stem = stem.strip(" .") or "image"
    if stem.lower() in _RESERVED:
        stem += "_"
    return _cut(stem, _MAX_BYTES - len(suffix.encode())) + suffix


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and suffix.isascii() and suffix.isalnum() and len(suffix) < 10 else (name, "")


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()


def _cut(text: str, length: int) -> str:
    return text.encode()[:length].decode(errors="ignore")


def _linked(source: Path, target: Path) -> bool:
    """Whether a hard link could be made; not across disks, and not on every file system."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


def beside(image: ForeignImage, folders: Iterable[Path]) -> ForeignImage:
    """The image with its path, if a file of its name lies in one of the folders and nowhere else."""
    for folder in folders:
        path = folder / image.file_name
        try:
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return replace(image, path=path)
        except (OSError, ValueError):  # no name of a file
            break
    return image
