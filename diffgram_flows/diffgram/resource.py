"""What the modules of the single resources share: the transport, and the four beginnings of the API's paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from diffgram_flows.diffgram.transport import Call, Transport
from diffgram_flows.errors import UnexpectedReply


class Resource:
    """The base of the mix-ins that make up the client."""

    project: str
    _transport: Transport

    def _path(self, rest: str) -> str:
        """A path of the default service."""
        return f"/api/v1/project/{quote(self.project, safe='')}/{rest}"

    def _old_path(self, rest: str) -> str:
        """A path of the default service that has no version in it."""
        return f"/api/project/{quote(self.project, safe='')}/{rest}"

    def _walrus(self, rest: str) -> str:
        """A path of the service that moves data."""
        return f"/api/walrus/v1/project/{quote(self.project, safe='')}/{rest}"

    def _old_walrus(self, rest: str) -> str:
        """A path of the service that moves data, without a version."""
        return f"/api/walrus/project/{quote(self.project, safe='')}/{rest}"

    def _get(self, path: str, about: str, **params: str | int) -> Any:
        return self._transport.json(Call("GET", path, about, params=params, reads=True))

    def _ask(self, path: str, about: str, body: Mapping[str, Any], *, endpoint: str = "") -> Any:
        """POST something that only reads, so that it may be repeated."""
        return self._transport.json(Call("POST", path, about, json=dict(body), reads=True, endpoint=endpoint))

    def _put(self, path: str, about: str, body: Mapping[str, Any]) -> Any:
        """PUT something that changes the server; not repeated either."""
        return self._transport.json(Call("PUT", path, about, json=dict(body)))

    def _change(self, path: str, about: str, body: Mapping[str, Any], *, endpoint: str = "") -> Any:
        """POST something that changes the server, so that it is not repeated once it may have arrived."""
        return self._transport.json(Call("POST", path, about, json=dict(body), endpoint=endpoint))


def part(reply: object, *names: str, about: str) -> Any:
    """What lies at a place in a reply.

    Raises:
        UnexpectedReply: There is no such place.
    """
    found = reply
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise UnexpectedReply(
                f"The reply about {about} has no {'.'.join(names)!r}.",
                cure="Check that the server is a Diffgram of the recorded version.",
            )
        found = found[name]
    return found
