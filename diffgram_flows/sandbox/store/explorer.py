"""The query language of the explorer, as far as it was recorded: one comparison (``09_files``).

``labels.NAME > 2`` counts the instances of a label on a file, ``dataset.id = 2`` asks where it lies. Everything else
is refused like a syntax error.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from diffgram_flows.sandbox.store import labels

_TOKENS = re.compile(r"\s*(?:(?P<COMPARE_OP>>=|<=|!=|=|>|<)|(?P<NAME>[\w.\-]+)|(?P<OTHER>\S))")
OPERATORS = ("=", "!=", ">", "<", ">=", "<=")


class RefusedQueryError(Exception):
    """A query that the recorded server refuses: field name to reason."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields)
        self.fields = fields


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int

    def __str__(self) -> str:
        return f"Token({self.kind!r}, {self.text!r})"


def condition(cx: sqlite3.Connection, project_id: int, query: str) -> tuple[str, tuple[object, ...]]:
    """A query as a condition on the table ``file``, with the values for its marks.

    Raises:
        RefusedQueryError: It cannot be read, or names an unknown label.
    """
    subject, operator, value = _parsed(query)
    entity, _, name = subject.text.partition(".")
    if entity == "labels" and name and value.text.isdigit():
        label_file_id = _oldest(cx, project_id, name)
        count = "(SELECT count(*) FROM instance WHERE file_id = file.id AND label_file_id = ? AND NOT soft_delete)"
        return f"{count} {operator.text} ?", (label_file_id, int(value.text))
    if subject.text == "dataset.id" and operator.text in ("=", "!=") and value.text.isdigit():
        there = "EXISTS (SELECT 1 FROM placement WHERE file_id = file.id AND directory_id = ?)"
        return ("" if operator.text == "=" else "NOT ") + there, (int(value.text),)
    raise _unexpected(subject, None, ("NAME",))


def _oldest(cx: sqlite3.Connection, project_id: int, name: str) -> int:
    """Of labels of one name the oldest counts (recorded as ``list_explorer``)."""
    for row in labels.label_files(cx, project_id):
        if row["name"] == name:
            return int(row["id"])
    raise RefusedQueryError({"label_name": f"Label {name} does not exists"})


def _parsed(query: str) -> tuple[_Token, _Token, _Token]:
    tokens = [
        _Token(str(found.lastgroup), found[str(found.lastgroup)], found.start(str(found.lastgroup)) + 1)
        for found in _TOKENS.finditer(query)
    ]
    tokens.append(_Token("$END", "", len(query) + 1))
    expected = (("NAME",), ("COMPARE_OP",), ("NAME", "DOUBLE_QUOTED_STRING", "SINGLE_QUOTED_STRING", "LSQB"), ("$END",))
    for place, wanted in enumerate(expected):
        if tokens[place].kind not in wanted:
            raise _unexpected(tokens[place], tokens[place - 1] if place else None, wanted)
    return tokens[0], tokens[1], tokens[2]


def _unexpected(token: _Token, previous: _Token | None, wanted: tuple[str, ...]) -> RefusedQueryError:
    listed = "".join(f"\n\t* {each}" for each in wanted)
    text = f"Unexpected token {token} at line 1, column {token.column}.\nExpected one of: {listed}\n"
    return RefusedQueryError({"parser": text + (f"Previous tokens: [{previous}]\n" if previous else "")})
