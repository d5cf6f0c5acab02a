"""A server that gives recorded replies to a client, and what the client's request has to look like then."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from contract.recorded import Exchange, exchange, exchanges
from contract.shapes import Shape, merged, shape_of
from servers.scripted import Answer, Sent

from diffgram_flows.diffgram import DiffgramClient, FileAnnotations
from diffgram_flows.errors import DiffgramError

#: What our client is free to choose: page sizes, what errors are named by, ways to say the same.
FREE = {
    *("limit", "limit_count", "page", "page_number", "file_view_mode", "return_type", "data_mode"),
    *("dzuuid", "dzchunksize", "nickname_match_type", "and_complete"),
}
_MISSING = object()


@dataclass(frozen=True)
class Play:
    """A call of the client that sends one recorded request.

    Attributes:
        call: Makes it; the path is an empty folder for files that are sent.
        at: Where in the recorded reply the records are that come back, with dots; empty: nothing comes back.
        gives: What comes back instead, where it is no record.
        before: Replies to what the call sends before the recorded request.
        after: Replies to what it sends after that.
        as_sent: Whether the request is compared with the recorded one; otherwise only the reply counts.
        free: Fields whose values may differ from the recorded ones, besides :data:`FREE`.
        project: The client's project.
    """

    call: Callable[[DiffgramClient, Path], Any]
    at: str = ""
    gives: Any = _MISSING
    before: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()
    as_sent: bool = True
    free: tuple[str, ...] = ()
    project: str = "contract-project"

    def make(self, client: DiffgramClient, folder: Path, recorded: Exchange) -> Any:
        """Make the call; of what is read page by page, as much as the recorded page holds."""
        result = self.call(client, folder)
        if isinstance(result, Iterator):
            result = list(islice(result, max(1, len(_rows(_at(recorded.response.get("json"), self.at))))))
        return result


def answer_of(recorded: Exchange | str | dict[str, Any] | list[Any]) -> Answer:
    """A recorded reply to be sent again; anything but an exchange or its id is a body."""
    if isinstance(recorded, str):
        recorded = exchange(recorded)
    if not isinstance(recorded, Exchange):
        return Answer(recorded)
    response = recorded.response
    if recorded.status == 0:
        line = re.search(r"HTTP/1\.0 0 \w+", response["text"])
        assert line is not None
        return Answer(raw=f"{line[0]}\r\n".encode())
    headers = dict(response.get("headers", {}))
    content = response["text"].encode() if "text" in response else None
    return Answer(whole(response.get("json")), status=recorded.status, headers=headers, content=content)


def request_differences(sent: Sent, play: Play, recorded: Exchange) -> list[str]:
    """What distinguishes what the client sent from what was recorded, in words."""
    found = []
    if (sent.method, sent.path) != (recorded.method, recorded.path.partition("?")[0]):
        found.append(f"{sent.method} {sent.path} instead of {recorded.method} {recorded.path}")
    for name, value in _headers(recorded).items():
        if sent.headers.get(name) != value:
            found.append(f"the header {name} is {sent.headers.get(name)!r} instead of {value!r}")
    ours, theirs = _document(sent), _recorded_document(recorded.request)
    known = known_request(operation(recorded))
    for place, kinds in shape_of(ours).items():
        if place not in known:
            found.append(f"{'.'.join(place)} was never sent in a recording")
        elif not kinds <= known[place]:
            found.append(f"{'.'.join(place)} is {kinds}, recorded as {known[place]}")
    values = dict(_leaves(theirs))
    for place, value in _leaves(ours):
        if FREE.isdisjoint(place) and not set(play.free).intersection(place) and values.get(place, value) != value:
            found.append(f"{'.'.join(place)} is {value!r}, recorded as {values[place]!r}")
    return found


def result_differences(result: object, play: Play, recorded: Exchange) -> list[str]:
    """What distinguishes what came back from the call from what the reply says, in words."""
    if play.gives is not _MISSING:
        return [] if result == play.gives else [f"{result!r} came back instead of {play.gives!r}"]
    if not play.at:
        return [] if result is None else [f"{result!r} came back instead of nothing"]
    wanted = [_identity(item) for item in _rows(_at(recorded.response["json"], play.at))]
    got = [_identity(item) for item in (result if isinstance(result, list) else [result])]
    return [] if got == wanted else [f"{got} came back instead of {wanted}"]


def operation(recorded: Exchange) -> tuple[str, str]:
    """What an exchange is one example of, its status aside."""
    path = re.sub(r"/\d+(?=/|$)", "/<id>", recorded.path.partition("?")[0])
    return recorded.method, re.sub(r"/project/[^/]+/", "/project/<p>/", path)


@cache
def known_request(wanted: tuple[str, str]) -> Shape:
    """Everything that was sent to an operation in any recording."""
    return merged([shape_of(_recorded_document(each.request)) for each in exchanges() if operation(each) == wanted])


def message_of(error: DiffgramError) -> list[str]:
    """What is wrong with an error as something that people read."""
    text = str(error)
    wrong = ["more than one line"] if "\n" in text or "\r" in text else []
    wrong += [] if len(error.cure) > 10 else ["no cure"]
    wrong += [] if text.endswith(".") and text.strip() == text else ["no sentence"]
    return wrong + ([] if len(text) < 700 else ["too long"])


def _headers(recorded: Exchange) -> dict[str, str]:
    names = ("Content-Range", "Content-Range-Index", "Content-Range-Total-Chunks")
    return {name: value for name, value in (recorded.request.get("headers") or {}).items() if name in names}


def _document(sent: Sent) -> Any:
    """A request as one document: JSON, or the fields and files of a form; and the query."""
    kind = sent.headers.get("Content-Type", "")
    if kind.startswith(("multipart/", "application/x-www-form-urlencoded")):
        return {name: _part(name, *part) for name, part in sent.parts.items()}
    return sent.json if sent.content else dict(sent.query)


def _part(name: str, file_name: str | None, content: bytes) -> Any:
    if file_name is not None:
        return {"filename": file_name, "bytes": len(content)}
    return json.loads(content) if name == "json" else content.decode()


def _recorded_document(request: Mapping[str, Any]) -> Any:
    if "multipart" in request:
        parts = dict(request["multipart"])
        return parts | ({"file": {"filename": parts["file"], "bytes": 1}} if "file" in parts else {})
    if "form" in request or "files" in request:
        return {**request.get("form", {}), **request.get("files", {})}
    if "params" in request:
        return {name: str(value) for name, value in request["params"].items()}
    return request.get("json", {})


def _leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*place, str(index)))
    else:
        yield place, value


def _at(document: Any, place: str) -> Any:
    """What lies at a place of a reply; ``False``, as the server says it, where there is nothing."""
    for name in place.split(".") if place.strip(".") else ():
        document = document.get(name, False) if isinstance(document, dict) else False
    return document


def _rows(there: Any) -> list[Any]:
    rows = there if isinstance(there, list) else [] if there is False else [there]
    return [row for row in rows if not _says_shortened(row)]


def _says_shortened(row: Any) -> bool:
    return isinstance(row, dict) and "__trimmed__" in row


def whole(document: Any) -> Any:
    """A recorded document without the rows that say that the recording was shortened."""
    if isinstance(document, dict):
        return {key: whole(value) for key, value in document.items()}
    if isinstance(document, list):
        return [whole(item) for item in document if not _says_shortened(item)]
    return document


def _identity(item: Any) -> Any:
    if isinstance(item, FileAnnotations):
        return item.file.id
    for name in ("id", "label_file_id", "directory_id"):
        number = item.get(name) if isinstance(item, dict) else getattr(item, name, None)
        if number is not None:
            return number
    return item
