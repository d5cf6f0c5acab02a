"""The way from a signed link to bytes, without a credential: the store is not the annotation server."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import requests
from urllib3.exceptions import HTTPError

from diffgram_flows.diffgram.transport import growing_pause, new_session
from diffgram_flows.diffgram.troubles import Trouble, slow, trouble_of
from diffgram_flows.errors import ServerError, UnexpectedReply

LONGEST = 3600.0  # seconds for one download
LARGEST = 16 * 2**30  # bytes after decompression
_BUFFER = 2**18
# Its group: host and port, which errors may name. In a malformed link the rest, a secret, would look like a host.
_LINK = re.compile(r"https?://(?:[^/?#@]*@)?((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?)(?=[/?#]|$)")


class _Body(io.RawIOBase):
    """The body of a reply as a raw file that fails with our errors, and not silently where it was cut off."""

    def __init__(self, response: requests.Response, about: str, host: str, timeout: float) -> None:
        self._response, self._about, self._host, self._timeout = response, about, host, timeout
        self._ends_at = time.monotonic() + LONGEST
        self._left = LARGEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        trouble: Trouble | None = None
        chunk = b""
        try:
            chunk = self._response.raw.read1(len(buffer), decode_content=True)
        except HTTPError as error:
            trouble = trouble_of(error, self._about, self._host, self._timeout)
        if time.monotonic() > self._ends_at:
            trouble = Trouble(slow(self._about, self._host, LONGEST), "uncertain")
        if trouble is not None:
            raise trouble.error
        self._left -= len(chunk)
        if self._left < 0:
            raise too_large(self._about)
        buffer[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def download(link: str, about: str, *, timeout: float, retries: int) -> Iterator[BinaryIO]:
    """Open a signed link as a binary file that is read from the network as it is consumed.

    Args:
        link: The signed URL; a secret that no error names.
        about: What errors call it.
        timeout: Seconds to connect, and of silence while reading.
        retries: How often opening it is tried again.

    Raises:
        ServerUnreachable: The store did not answer, or the connection broke before the end; also while reading.
        ServerError: The store answered 5xx.
        UnexpectedReply: The store refused the link, or it is none.
    """
    host = host_of(link, about)
    with new_session(link, 1) as session:
        attempt = 0
        while isinstance(outcome := _open(session, link, about, host, timeout), Trouble):
            if outcome.kind == "permanent" or attempt >= retries:
                raise outcome.error
            time.sleep(growing_pause(attempt))
            attempt += 1
        with outcome, io.BufferedReader(_Body(outcome, about, host, timeout), _BUFFER) as body:
            yield cast(BinaryIO, body)


def host_of(link: str, about: str) -> str:
    """Host and port of a link, which errors may name.

    Raises:
        UnexpectedReply: It is none.
    """
    found = _LINK.match(link)
    if found is None:
        raise UnexpectedReply(f"The link of {about} is not a URL.", cure="Check the storage settings of the server.")
    return found.group(1)


def too_large(about: str) -> UnexpectedReply:
    """The error of a download that does not end."""
    return UnexpectedReply(
        f"The download of {about} is larger than {LARGEST // 2**30} GiB.", cure="Export less at a time."
    )


def _open(session: requests.Session, link: str, about: str, host: str, timeout: float) -> requests.Response | Trouble:
    """A reply whose body was not read yet, or why there is none."""
    try:
        response = session.get(link, timeout=timeout, stream=True, allow_redirects=False)
    except (requests.RequestException, HTTPError) as error:
        return trouble_of(error, about, host, timeout)
    status = response.status_code
    if status == 200:
        return response
    response.close()
    if status >= 500:
        what = f"The store failed on the download of {about} with {status}."
        return Trouble(ServerError(what, cure="Try again.", status=status), "uncertain")
    return Trouble(
        UnexpectedReply(
            f"The store refused the download of {about} with {status}.",
            cure="Ask for a new link at once before downloading, and check the storage settings of the server.",
            status=status,
        ),
        "permanent",
    )
