"""Network addresses of clients: which of them count as one, and which belong to a trusted proxy."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: One household or machine holds a whole IPv6 network of this size, so limits by address count the network.
IPV6_PREFIX = 64


def address_key(address: str) -> str:
    """What limits count by: an IPv4 address, the /64 network of an IPv6 address, or the string itself."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed) if parsed is not None else address


def is_loopback(address: str) -> bool:
    parsed = _parse(address)
    return parsed is not None and parsed.is_loopback


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


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
