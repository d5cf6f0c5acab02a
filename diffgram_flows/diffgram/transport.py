"""The one place that talks HTTP: time-outs, retries, quotas, and errors that hold no secrets.

What is tried again, at most ``retries`` times and with pauses that grow:

=================================  ==============  ====================================
what happened                      a reading call  a writing call
=================================  ==============  ====================================
no connection (nothing was sent)   again           again
429                                again           again, ``Retry-After`` obeyed
connection broke, time ran out     again           no: it may have arrived
502, 503, 504, other 5xx           again           no: it may have had its effect
5xx that names an unknown id       no              no
broken status line                 no              no
any other status                   no              no
=================================  ==============  ====================================
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError

from diffgram_flows import __version__
from diffgram_flows.diffgram.pacing import Pacer
from diffgram_flows.diffgram.redaction import hide_queries_in_logs
from diffgram_flows.diffgram.replies import Reply, refusal
from diffgram_flows.diffgram.troubles import Trouble, slow, trouble_of
from diffgram_flows.errors import ConfigurationError, UnexpectedReply

_PATIENCE = 10  # times the time-out: how long a whole reply may take whose bytes keep dripping in
_MAX_REPLY = 512 * 2**20  # bytes; 1,000 imports with 2,000 boxes each are 250 MB
_CHUNK = 2**16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0  # seconds
_LONGEST_RETRY_AFTER = 60.0  # seconds; a longer wait is a daily quota, and the caller's to plan
_jitter = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API.

    Attributes:
        method, path: As in the contract.
        about: What errors name: "the packet for 'a.jpg' (dataset 2)".
        params: The query.
        json: The body.
        form, file: A multipart body instead: its fields, and the name and bytes of its part ``file``.
        headers: More headers, for the one call that needs them (a part of a batch).
        reads: Whether it changes nothing, so that it may be repeated.
        endpoint: The name by which the pacer counts it, empty for an endpoint without a limit.
        timeout: Seconds, if this call needs more than the others.
        unseen: What the call depends on that the server uses unchecked; named when it trips over that.
    """

    method: str
    path: str
    about: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    file: tuple[str, bytes] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    reads: bool = False
    endpoint: str = ""
    timeout: float | None = None
    unseen: str = "the ids in the call exist"


class Transport:
    """A pool of connections to one server. Safe to use from many threads.

    Args:
        url: The server, ``http://host:port`` or ``https://host``.
        client_id, client_secret: The API credential, for HTTP basic.
        timeout: Seconds to connect, and seconds of silence that end the wait for a reply.
        retries: How often a call is tried again.
        pacer: Asked before a call to a limited endpoint leaves.
        pool_size: Connections at the same time.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        timeout: float,
        retries: int,
        pacer: Pacer,
        pool_size: int,
    ) -> None:
        self.url = checked_url(url)
        self.host = urlsplit(self.url).netloc
        self.timeout = timeout
        self.retries = retries
        self._pacer = pacer
        # As bytes: requests would fail on letters outside Latin-1, with the secret in its error.
        auth = HTTPBasicAuth(client_id.encode(), client_secret.encode())
        self._session = new_session(self.url, pool_size, auth)
        hide_queries_in_logs()

    def close(self) -> None:
        self._session.close()

    def json(self, call: Call) -> Any:
        """Make a call and give its parsed reply.

        Raises:
            DiffgramError: One of its kinds. :func:`maybe_delivered` tells whether a write may have had its effect.
            UnexpectedReply: The reply is not JSON.
        """
        reply = self.send(call)
        try:
            return reply.json()
        except ValueError:
            pass
        error = UnexpectedReply(
            f"The reply about {call.about} is not JSON.",
            cure="Check that the URL is the server's own, and not a login page or a proxy in front of it.",
            status=reply.status,
        )
        raise error if call.reads else Trouble(error, "uncertain").error_of_a_write()

    def send(self, call: Call) -> Reply:
        """Make a call and try again where that is safe; see the table above.

        Raises:
            DiffgramError: One of its kinds.
            BudgetExhausted: The pacer let no call through.
            ConfigurationError: The certificate is not trusted.
        """
        attempt, unsent = 0, False
        while True:
            if call.endpoint and not unsent:  # a call that did not leave is not counted twice
                self._pacer.wait(call.endpoint)
            outcome = self._attempt(call)
            if isinstance(outcome, Reply):
                return outcome
            if call.endpoint and outcome.kind == "limited":
                self._pacer.penalise(call.endpoint, outcome.wait)
            pause = self._pause(call, outcome, attempt)
            if pause is None:
                raise outcome.error if call.reads else outcome.error_of_a_write()
            attempt, unsent = attempt + 1, outcome.kind == "unsent"
            time.sleep(pause)

    def _attempt(self, call: Call) -> Reply | Trouble:
        """One request; exceptions come back as values, so that ours are raised without theirs as context."""
        timeout = call.timeout or self.timeout
        ends_at = time.monotonic() + _PATIENCE * timeout
        try:
            with self._session.request(
                call.method,
                f"{self.url}{call.path}",
                params=call.params,
                json=call.json,
                data=call.form,
                files={"file": call.file} if call.file else None,
                headers=dict(call.headers),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _read(response, ends_at)
        except (requests.RequestException, HTTPError) as error:
            return trouble_of(error, call.about, self.host, timeout)
        if content is None:
            return Trouble(slow(call.about, self.host, _PATIENCE * timeout), "uncertain")
        if len(content) > _MAX_REPLY:
            return Trouble(_too_long(call.about), "permanent")
        reply = Reply(response.status_code, response.headers, content)
        return refusal(reply, call.about, call.unseen) or reply

    def _pause(self, call: Call, trouble: Trouble, attempt: int) -> float | None:
        """Seconds until the next attempt, ``None`` if there is none."""
        again = trouble.kind in ("unsent", "limited") or (trouble.kind == "uncertain" and call.reads)
        if attempt >= self.retries or not again or trouble.wait > _LONGEST_RETRY_AFTER:
            return None
        return trouble.wait + growing_pause(attempt)


def growing_pause(attempt: int) -> float:
    """Seconds before attempt ``attempt + 1``: twice as long each time, up to a limit, and never the same for all."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt) * _jitter.uniform(0.5, 1)


def _read(response: requests.Response, ends_at: float) -> bytes | None:
    """The body, up to a little more than ``_MAX_REPLY``; ``None`` if it is not complete at ``ends_at``."""
    content = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        content += chunk
        if len(content) > _MAX_REPLY:
            break
        if time.monotonic() > ends_at:
            return None
    return bytes(content)


def _too_long(about: str) -> UnexpectedReply:
    return UnexpectedReply(
        f"The reply about {about} is longer than {_MAX_REPLY // 2**20} MiB.", cure="Ask for less at a time."
    )


def checked_url(url: str) -> str:
    """The address of a server without a slash at its end.

    Raises:
        ConfigurationError: It is not one, or holds what does not belong there, such as a password.
    """
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "The URL of the Diffgram server is not of the form http://host:port or https://host.",
            cure="Give scheme, host and port only; credentials have their own settings.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def new_session(url: str, pool_size: int, auth: AuthBase | None = None) -> requests.Session:
    """A session for one host that keeps ``pool_size`` connections, takes no cookies and retries nothing by itself.

    Proxies and certificate authorities of the environment (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``) are
    read here, once: requests would read them for every call, which is a fifth of what a call costs. A ``.netrc`` is
    not looked at: no credential goes anywhere but those that were given.
    """
    session = requests.Session()
    environment = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify = environment["proxies"], environment["verify"]
    session.trust_env = False
    session.auth = auth
    session.headers["User-Agent"] = f"diffgram-flows/{__version__}"
    # A browser session in a cookie would be somebody else's permissions.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0, pool_block=True)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
