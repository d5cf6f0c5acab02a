"""How a folder of results was made, beside them in a file: no folder mixes two ways of looking, and ids have names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from diffgram_flows.brains.prediction import Brain
from diffgram_flows.brains.results import result_files
from diffgram_flows.brains.tiling import TileOption, Tiling
from diffgram_flows.disk import write_file
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import LabelMap

RESULTS = "results.json"
"""Name of the file, beside the files with the results."""


@dataclass(frozen=True, slots=True)
class ResultSettings:
    """How a brain looks at images, as far as the results depend on it.

    Attributes:
        brain: The version: ``name@3``.
        method: Name of the method that trained it.
        score_threshold: The one that was used, in [0, 1], also where none was asked for.
        tiling: How large images are cut, ``None`` if they are not.
        label_map: What the label file ids in the results mean.
    """

    brain: str
    method: str
    score_threshold: float
    tiling: Tiling | None
    label_map: LabelMap

    @classmethod
    def of(cls, brain: Brain, score_threshold: float | None, tile: TileOption | Tiling) -> Self:
        """The settings that :meth:`Brain.predict` works with when it gets these options."""
        record = brain.record
        return cls(
            brain=str(record.ref),
            method=record.manifest.method,
            score_threshold=brain.threshold(score_threshold),
            tiling=tile if isinstance(tile, Tiling) else Tiling.of(tile),
            label_map=record.manifest.label_map,
        )

    def check(self, folder: Path) -> None:
        """Make sure that the results in a folder, if there are any, were made in the same way.

        Nothing is known of results without the file, which earlier versions wrote: they are taken as they are.

        Raises:
            ConfigurationError: They were made in another way, or the file that would say so cannot be read.
        """
        path = folder / RESULTS
        if not path.exists() or not result_files(folder):
            return
        kept, now = _read(path), self._how()
        differing = [name for name in now if name in kept and kept[name] != now[name]]
        if differing:
            before, after = (", ".join(_words(name, how[name]) for name in differing) for how in (kept, now))
            raise ConfigurationError(
                f"The results in {folder} were made with {before}; what is asked for now is {after}.",
                cure="Write to another folder (--out), or remove this one to have all images looked at again.",
            )

    def keep(self, folder: Path) -> None:
        """Write the file before the first results; where results are without it, without what is not known of them."""
        path, begun = folder / RESULTS, bool(result_files(folder))
        if begun and path.exists():
            return
        labels = [
            {"index": index, "label_file_id": label_file_id, "name": name}
            for index, (label_file_id, name) in enumerate(self.label_map.labels)
        ]
        how = self._how()
        content = {
            "brain": self.brain,
            "method": self.method,
            **({"label_map_digest": self.label_map.digest} if begun else how),
            "labels": labels,
            "attribute_groups": [group.to_json() for group in self.label_map.attributes],
        }
        write_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def _how(self) -> dict[str, Any]:
        cut = {"overlap": self.tiling.overlap, "side": self.tiling.side} if self.tiling else "never"
        return {
            "score_threshold": self.score_threshold,
            "tile": cut,
            "label_map_digest": self.label_map.digest,
        }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(found, dict):
        raise _unreadable(path, "it holds no object")
    return found


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"How the results in {path.parent} were made cannot be read from {path.name} ({why}).",
        cure="Restore the file, write to another folder (--out), or remove this one.",
    )


def _words(name: str, value: Any) -> str:
    """A setting as people write it: ``tile auto``, ``score threshold 0.4``."""
    if name == "tile" and isinstance(value, dict):
        auto = {"overlap": Tiling().overlap, "side": Tiling().side}
        value = "auto" if value == auto else ", ".join(f"{key} {number}" for key, number in value.items())
    return f"{name.replace('_', ' ')} {value}"
