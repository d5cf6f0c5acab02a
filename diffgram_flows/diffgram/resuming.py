"""A download that survives what happens to long ones: connections that break, links that expire.

It goes on where it broke off if the store says by which content (a strong ``ETag``) it may, and begins again if not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

import requests
from urllib3.exceptions import HTTPError

from diffgram_flows.diffgram.download import LARGEST, LONGEST, host_of, too_large
from diffgram_flows.diffgram.transport import growing_pause, new_session
from diffgram_flows.diffgram.troubles import Trouble, slow, trouble_of
from diffgram_flows.errors import ServerError, UnexpectedReply

_CHUNK = 2**18
_FRESH_LINKS = 3  # that may be refused in a row before the store is taken for closed to us
_REFUSED: Final = frozenset({400, 401, 403})  # what stores say to a link that has expired
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def save_download(new_link: Callable[[], str], about: str, file: IO[bytes], *, timeout: float, retries: int) -> int:
    """Write what is behind a signed link to a file, from its beginning; the number of bytes.

    Args:
        new_link: Gives a fresh link, a secret that no error names. Asked at first, and when the store refuses the
            link that it gave before: links are short-lived.
        about: What errors call the download.
        file: Open for writing, and seekable.
        timeout: Seconds to connect, and of silence while reading.
        retries: How often it is tried again without a byte more than before.

    Raises:
        ServerUnreachable: The store did not answer, or the connection broke again and again.
        ServerError: The store answered 5xx.
        UnexpectedReply: The store refuses even fresh links, or what is there is larger than anything expected.
    """
    return _Download(about, file, timeout, time.monotonic() + LONGEST).run(new_link, retries)


@dataclass(slots=True)
class _Download:
    about: str
    file: IO[bytes]
    timeout: float
    ends_at: float
    position: int = 0
    etag: str = ""

    def run(self, new_link: Callable[[], str], retries: int) -> int:
        link, refused, attempts, farthest = new_link(), 0, 0, 0
        while True:
            trouble = self._attempt(link)
            if trouble is None:
                return self.position
            if self.position > farthest:
                refused, attempts, farthest = 0, 0, self.position
            if trouble.kind == "limited" and refused < _FRESH_LINKS:
                link, refused = new_link(), refused + 1
                continue
            if trouble.kind in ("permanent", "limited") or attempts >= retries or time.monotonic() > self.ends_at:
                raise trouble.error
            time.sleep(growing_pause(attempts))
            attempts += 1

    def _attempt(self, link: str) -> Trouble | None:
        """Get as far as possible; ``None`` if that was to the end, ``limited`` if another link is needed."""
        host = host_of(link, self.about)
        headers = {"Accept-Encoding": "identity"}  # a position in compressed bytes is of no use
        if self.position and self.etag:
            headers |= {"Range": f"bytes={self.position}-", "If-Range": self.etag}
        try:
            with (
                new_session(link, 1) as session,
                session.get(link, headers=headers, timeout=self.timeout, stream=True, allow_redirects=False) as reply,
            ):
                return self._refusal(reply) or self._take(reply, host)
        except (requests.RequestException, HTTPError) as error:
            return trouble_of(error, self.about, host, self.timeout)

    def _refusal(self, reply: requests.Response) -> Trouble | None:
        status = reply.status_code
        if status in (200, 206):
            return None
        if status == 416:  # what is there is not what it was
            self.etag = ""
            return Trouble(_error(ServerError, self.about, status, "Try again."), "uncertain")
        if status >= 500:
            return Trouble(_error(ServerError, self.about, status, "Try again."), "uncertain")
        cure = "Check the storage settings of the server"
        if status in _REFUSED:
            cure += f", and its clock: {_FRESH_LINKS + 1} links in a row were refused, as if they had expired"
        return Trouble(
            _error(UnexpectedReply, self.about, status, f"{cure}."), "limited" if status in _REFUSED else "permanent"
        )

    def _take(self, reply: requests.Response, host: str) -> Trouble | None:
        """Write what comes; ``None`` at the end."""
        self._begin(reply)
        while chunk := reply.raw.read1(_CHUNK, decode_content=True):
            self.file.write(chunk)
            self.position += len(chunk)
            if self.position > LARGEST:
                return Trouble(too_large(self.about), "permanent")
            if time.monotonic() > self.ends_at:
                return Trouble(slow(self.about, host, LONGEST), "permanent")
        return None

    def _begin(self, reply: requests.Response) -> None:
        """Put the file where the bytes of this reply belong."""
        found = _RANGE.fullmatch(reply.headers.get("Content-Range", "")) if reply.status_code == 206 else None
        if found is None or int(found[1]) != self.position:
            self.position = 0
        self.file.seek(self.position)
        self.file.truncate()
        etag = reply.headers.get("ETag", "")
        encoded = reply.headers.get("Content-Encoding", "identity") != "identity"
        self.etag = "" if etag.startswith("W/") or encoded else etag


def _error(
    kind: type[ServerError] | type[UnexpectedReply], about: str, status: int, cure: str
) -> ServerError | UnexpectedReply:
    verb = "failed on" if status >= 500 or status == 416 else "refused"
    return kind(f"The store {verb} the download of {about} with {status}.", cure=cure, status=status)
