"""Addresses of clients, hosts and origins: which clients count as one, which are on this machine, what headers name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

#: One household or machine holds a whole IPv6 network of this size, so limits by address count the network.
IPV6_PREFIX = 64
DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")


def address_key(address: str) -> str:
    """What limits count by: an IPv4 address, the /64 network of an IPv6 address, or the string itself."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed) if parsed is not None else address


def is_loopback(host: str) -> bool:
    """Whether a name or an IP address can only mean this machine."""
    parsed = _parse(host)
    return parsed.is_loopback if parsed is not None else host == "localhost"


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    return _parse(text) is not None


class AddressList:
    """Addresses and networks such as `10.0.0.0/8`; `*` is every address. Raises ValueError for anything else."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        entries = list(entries)
        self._all = "*" in entries
        self._networks = [ip_network(entry, strict=False) for entry in entries if entry != "*"]

    def __contains__(self, address: str) -> bool:
        if self._all:
            return True
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of a `Host` header or an origin."""

    host: str
    """Name in lower case, or an IP address without brackets."""
    port: int | None
    """None where it is left out."""

    @property
    def is_ip(self) -> bool:
        return _parse(self.host) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether the host can only mean this machine."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page comes from."""

    scheme: str
    """http or https."""
    address: Address
    """Its host and port."""


def parse_host(text: str) -> Address | None:
    """HOST or HOST:PORT, an IPv6 address in brackets; None for anything else."""
    try:
        split = urlsplit(f"//{text}")
        host, port = split.hostname or "", split.port
    except ValueError:
        return None
    if split.netloc != text or "@" in text:
        return None
    address = Address(host, port)
    return address if address.is_ip or _NAME.fullmatch(host) else None


def parse_origin(text: str) -> Origin | None:
    """SCHEME://HOST or SCHEME://HOST:PORT of http or https; None for anything else, such as "null"."""
    scheme, _, rest = text.partition("://")
    address = parse_host(rest) if scheme in DEFAULT_PORTS else None
    return None if address is None else Origin(scheme, address)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
