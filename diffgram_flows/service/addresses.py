"""Where images may be fetched from: a URL of a stranger must not reach what only this machine can reach.

The name is resolved once, every address is looked at, and the connection goes to one of those addresses, so a name
that means something else a moment later changes nothing. Whatever a host is written as (a number, octal, a name), what
counts is the address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import httpcore

from diffgram_flows.errors import ImageRejected

_TRIED = 4  # addresses of a name
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, and not to this machine, its network or nobody."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in _meant(found))


def _meant(address: _Address) -> Iterable[_Address]:
    """The address, or the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


async def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host, all of them looked at.

    Raises:
        ImageRejected: It has none, or one that nobody may be sent to.
    """
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        rows = []
    addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
    if not addresses:
        raise ImageRejected(f"The host {host} of the image is not known.", cure="Check the URL.")
    if not allow_private and not all(map(is_public, addresses)):
        raise ImageRejected(
            f"The host {host} of the image has an address that is not public.",
            cure="Send the image itself, or start the service with --allow-private if it may fetch from its network.",
        )
    return addresses[:_TRIED]


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, and to nothing else."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        problem: Exception | None = None
        for address in await resolve(host, port, allow_private=self._allow_private):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore.ConnectError("no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("never a local socket")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
