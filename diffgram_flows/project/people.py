"""``project.member``, ``project.guide``, ``project.connection``: who works, what they read, what the server reaches."""

from __future__ import annotations

from collections.abc import Sequence

from diffgram_flows.diffgram import Connection, Guide, Member
from diffgram_flows.project.context import Context


class Members:
    """People and API credentials of the project."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self) -> Sequence[Member]:
        """All of them; jobs want their ``member_id``."""
        return self._context.client.members()

    def get(self, email: str) -> Member | None:
        """The member with this address, ``None`` if there is none."""
        return next((member for member in self.list() if member.email == email), None)


class Guides:
    """What annotators can read while they work."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def new(self, name: str, markdown: str) -> Guide:
        """Make a guide; ``job.attach_guide`` shows it."""
        return self._context.client.new_guide(name, markdown)


class Connections:
    """The server's own connections to storage."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self) -> Sequence[Connection]:
        """All of them; their credentials stay on the server."""
        return self._context.client.connections()
