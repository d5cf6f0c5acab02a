"""A proxy in front of a server that loses replies: the request arrives, the answer does not."""

from __future__ import annotations

from collections.abc import Callable

from servers.faulty import FaultyProxy


class LossyProxy(FaultyProxy):
    """Passes everything on, and keeps the replies that ``lose`` picks.

    Args:
        upstream: The server behind.
        lose: Called with the path and the number of requests to it so far, from 1 on; true loses the reply.
    """

    def __init__(self, upstream: str, lose: Callable[[str, int], bool]) -> None:
        super().__init__(upstream, lambda visit: "lost" if lose(visit.path, visit.number) else None)
