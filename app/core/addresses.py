"""Hosts and origins as HTTP headers and settings write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of a `Host` header or an origin."""

    host: str
    """Name in lower case, or an IP address without brackets."""
    port: int | None
    """None where it is left out."""

    @property
    def is_ip(self) -> bool:
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

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


def is_loopback(host: str) -> bool:
    """Whether a name or an IP address can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
