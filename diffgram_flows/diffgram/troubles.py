"""What it means when there is no reply: the exceptions of requests and urllib3 as our own.

None of their texts is taken over, because they hold whole URLs and headers.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import BadStatusLine, RemoteDisconnected
from typing import Literal

import requests
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import ReadTimeoutError as RawReadTimeout

from diffgram_flows.errors import BrokenReply, ConfigurationError, DiffgramError, DiffgramFlowsError, ServerUnreachable

_MALFORMED = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)
#: The entry of ``DiffgramError.fields`` of a call that may have had its effect although it failed.
DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call did not get a good reply.

    Attributes:
        error: What to raise if it is given up.
        kind: ``unsent``: the server got nothing. ``limited``: it refused, because there were too many calls.
            ``uncertain``: it may have acted. ``permanent``: the same would happen again.
        wait: Seconds that the server asked for.
    """

    error: DiffgramFlowsError
    kind: Literal["unsent", "limited", "uncertain", "permanent"]
    wait: float = 0.0

    def error_of_a_write(self) -> DiffgramFlowsError:
        """The error, marked for :func:`maybe_delivered` where that is so."""
        if isinstance(self.error, DiffgramError) and self.kind == "uncertain":
            self.error.fields[DELIVERED] = "maybe"
            self.error.cure = "It may have arrived all the same: look at the server before sending it again."
        return self.error


def maybe_delivered(error: BaseException) -> bool:
    """Whether a call that failed with ``error`` may still have had its effect on the server.

    True for a write whose connection broke, timed out or ended in a 5xx after it could have arrived: it was not sent
    again, and the caller has to look what became of it. False: it certainly did not arrive, or it only read.
    """
    return isinstance(error, DiffgramError) and error.fields.get(DELIVERED) == "maybe"


def trouble_of(error: Exception, about: str, host: str, timeout: float) -> Trouble:
    """Tell what an exception of requests or urllib3 means.

    Args:
        error: The exception.
        about: The object of the call.
        host: Whom we talked to, without any path.
        timeout: Seconds that were allowed.
    """
    causes = tuple(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        wrong = ConfigurationError(
            f"The certificate of {host} is not trusted.",
            cure="Set REQUESTS_CA_BUNDLE to the certificate authority of this server, or use its right name.",
        )
        return Trouble(wrong, "permanent")
    if isinstance(error, _MALFORMED):
        wrong = ConfigurationError(f"{host} cannot be called: its address is malformed.", cure="Correct the URL.")
        return Trouble(wrong, "permanent")
    for cause in causes:
        # RemoteDisconnected is a BadStatusLine by inheritance, and means an empty reply: a broken connection.
        if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
            return Trouble(_broken(str(cause), about, host), "permanent")
    if isinstance(error, (requests.exceptions.ReadTimeout, RawReadTimeout)):
        return Trouble(slow(about, host, timeout), "uncertain")
    if isinstance(error, requests.exceptions.ConnectTimeout) or any(isinstance(c, NewConnectionError) for c in causes):
        return Trouble(_unreachable(f"{host} cannot be reached for {about}."), "unsent")
    if isinstance(error, requests.exceptions.ProxyError):
        return Trouble(_unreachable(f"The proxy in front of {host} cannot be reached for {about}."), "unsent")
    return Trouble(_unreachable(f"The connection to {host} broke during {about}."), "uncertain")


def slow(about: str, host: str, timeout: float) -> ServerUnreachable:
    """The error of a reply that did not come in time."""
    return _unreachable(f"{host} did not answer within {timeout:g} s for {about}.")


def _unreachable(what: str) -> ServerUnreachable:
    return ServerUnreachable(what, cure="Check the URL, the network and that the server is up, and try again.")


def _broken(line: str, about: str, host: str) -> BrokenReply:
    if line.lstrip("'\"").startswith("HTTP/"):
        return BrokenReply(
            f"{host} sent a broken status line for {about}, as it does for ids that it does not know.",
            cure="Check that the dataset, the file and the job of this call exist; trying again cannot help.",
        )
    return BrokenReply(
        f"{host} does not speak HTTP at this port; the call was for {about}.",
        cure="Check the port, and whether the URL must begin with https://.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything it wraps; requests and urllib3 hide causes in arguments and in ``reason``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
