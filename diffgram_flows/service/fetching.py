"""Images from elsewhere: over http and https, bounded in bytes and time, redirects followed by hand."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from diffgram_flows import __version__
from diffgram_flows.diffgram import without_secrets
from diffgram_flows.errors import ImageRejected
from diffgram_flows.service.addresses import GuardedNetwork
from diffgram_flows.service.settings import ServiceSettings

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = 3
_PATH, _QUERY = "/%:@!$&'()*+,;=~-._", "/?%:@!$&'()*+,;=~-._"


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    target: str


class Fetcher:
    """Fetches images, without a credential and without a proxy.

    Args:
        settings: The limits, and whether the own network may be asked.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._tls = httpcore.default_ssl_context()

    async def fetch(self, url: str, *, of_diffgram: bool = False) -> bytes:
        """The bytes behind a URL.

        Args:
            url: What is signed in it is in no error and in no log.
            of_diffgram: Whether Diffgram gave it: then it may lie in the own network, and leads nowhere else.

        Raises:
            ImageRejected: It leads to where nobody may be sent, gives no good answer, or too much, or too slowly.
        """
        shown = "of the file" if of_diffgram else without_secrets(url)
        seconds = self._settings.fetch_timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(url, shown, of_diffgram)
        except TimeoutError:
            problem = f"was not there after {seconds:g} s"
        except httpcore.NetworkError as error:
            problem = f"cannot be fetched ({type(error).__name__})"
        except (httpcore.TimeoutException, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            problem = f"cannot be fetched ({type(error).__name__})"
        raise _refused(shown, problem)

    async def _follow(self, url: str, shown: str, of_diffgram: bool) -> bytes:
        private = self._settings.allow_private or of_diffgram
        network = GuardedNetwork(allow_private=private)
        for _ in range(1 if of_diffgram else _REDIRECTS + 1):
            place = _parse(url, shown)
            if not private and place.port != _PORTS[place.scheme]:
                raise _refused(shown, f"lies behind port {place.port}, which the service does not ask")
            content, target = await self._get(network, place, shown)
            if content is not None:
                return content
            url = urljoin(url, target)
        raise _refused(shown, f"redirects more than {0 if of_diffgram else _REDIRECTS} times")

    async def _get(self, network: GuardedNetwork, place: _Place, shown: str) -> tuple[bytes | None, str]:
        """The body, or where to go instead."""
        url = httpcore.URL(
            scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=place.target.encode()
        )
        headers = [
            ("User-Agent", f"diffgram-flows/{__version__}"),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
        ]
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self._settings.fetch_timeout)
        async with (
            httpcore.AsyncConnectionPool(self._tls, network_backend=network, max_connections=1) as pool,
            pool.stream("GET", url, headers=headers, extensions={"timeout": limits}) as response,
        ):
            if 300 <= response.status < 400:
                targets = [value.decode("latin-1") for name, value in response.headers if name.lower() == b"location"]
                if targets:
                    return None, targets[0]
            if response.status != 200:
                raise _refused(shown, f"answers {response.status}")
            return await self._body(response, shown), ""

    async def _body(self, response: httpcore.Response, shown: str) -> bytes:
        limit = self._settings.max_upload
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) > limit:
                raise ImageRejected(f"The image {shown} has more than {limit:,} bytes.", cure="Scale it down.")
        return bytes(content)


def _parse(url: str, shown: str) -> _Place:
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").encode("idna").decode() if ":" not in (parts.hostname or "") else parts.hostname
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except (ValueError, UnicodeError):
        raise _refused(shown, "has a malformed URL") from None
    if parts.scheme not in _PORTS or not host:
        raise _refused(shown, "is, or redirects to, no URL of http or https")
    if parts.username is not None or parts.password is not None:
        raise _refused(shown.rpartition("@")[2], "has a URL with a name or a password in it")
    query = f"?{quote(parts.query, safe=_QUERY)}" if parts.query else ""
    return _Place(parts.scheme, host, port, (quote(parts.path, safe=_PATH) or "/") + query)


def _refused(shown: str, problem: str) -> ImageRejected:
    return ImageRejected(
        f"The image {shown} {problem}.", cure="Check the URL, and sign it again if it is a signed one."
    )
