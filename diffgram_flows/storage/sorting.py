"""Sorting more rows than fit into memory: runs on disk, merged into one file that can be read from any key on."""

from __future__ import annotations

import heapq
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import orjson

from diffgram_flows.storage.planning import prefix_end

Row = tuple[str, int, str, datetime | None, str]
"""Key, size, version, time of the last change, storage class."""

RUN = 200_000
"""Rows that are held in memory, about 80 MB of them."""

STEP = 1000
"""Rows between two places that can be jumped to."""

_Line = tuple[str, int, str, float | None, str]


class SortedRows:
    """Rows in the order of their keys, once :meth:`sort` was called; of rows with the same key the newest stays.

    Args:
        folder: For the files; nobody deletes them but its owner.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "sorted"
        self._run: list[_Line] = []
        self._runs: list[Path] = []
        self._keys: list[str] = []  # the first key of each step
        self._places: list[int] = []  # and where in the file it is

    def add(self, row: Row) -> None:
        key, size, version, modified, storage_class = row
        self._run.append((key, size, version, modified.timestamp() if modified else None, storage_class))
        if len(self._run) >= RUN:
            self._spill()

    def sort(self) -> None:
        """Merge all that was added."""
        self._spill()
        with ExitStack() as files, self._path.open("wb") as out:
            runs = [_lines(files.enter_context(path.open("rb"))) for path in self._runs]
            place = 0
            for number, line in enumerate(_newest(heapq.merge(*runs, key=_key))):
                if number % STEP == 0:
                    self._keys.append(line[0])
                    self._places.append(place)
                place += out.write(_packed(line))
        for path in self._runs:
            path.unlink()

    def rows(self, prefix: str, after: str | None, until: str | None) -> Iterator[Row]:
        """Those below the prefix that come after ``after``, up to and including ``until``."""
        start = max(prefix, after or "")
        with self._path.open("rb") as file:
            if self._places:
                file.seek(self._places[max(0, bisect_right(self._keys, start) - 1)], os.SEEK_SET)
            for key, size, version, seconds, storage_class in _lines(file):
                if key < start or (after is not None and key <= after):
                    continue
                if not key.startswith(prefix) or (until is not None and key > until):
                    return
                modified = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
                yield key, size, version, modified, storage_class

    def ranges(self, prefix: str, n: int) -> list[tuple[str | None, str | None]]:
        """At most ``n`` ranges of the prefix that are equally full, but for a step."""
        if next(self.rows(prefix, None, None), None) is None:
            return []
        end = prefix_end(prefix)
        first = bisect_right(self._keys, prefix)
        steps = self._keys[first : bisect_left(self._keys, end) if end else len(self._keys)]
        cuts = sorted({steps[len(steps) * number // n] for number in range(1, n)}) if steps else []
        if cuts and next(self.rows(prefix, cuts[-1], None), None) is None:
            cuts.pop()
        return list(zip([None, *cuts], [*cuts, None], strict=True))

    def _spill(self) -> None:
        if self._run:
            path = self._folder / f"run-{len(self._runs)}"
            with path.open("wb") as out:
                out.writelines(_packed(line) for line in sorted(self._run, key=_key))
            self._runs.append(path)
            self._run = []


def _key(line: _Line) -> str:
    return line[0]


def _packed(line: _Line) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _lines(file: Iterable[bytes]) -> Iterator[_Line]:
    for line in file:
        key, size, version, seconds, storage_class = orjson.loads(line)
        yield key, size, version, seconds, storage_class


def _newest(lines: Iterable[_Line]) -> Iterator[_Line]:
    last: _Line | None = None
    for line in lines:
        if last is not None and last[0] != line[0]:
            yield last
        if last is None or last[0] != line[0] or (line[3] or 0) >= (last[3] or 0):
            last = line
    if last is not None:
        yield last
