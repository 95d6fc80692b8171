"""Which network addresses a fetch may connect to.

A host is resolved once, all its addresses are checked, and the connection then goes to one of the
addresses that were checked, so a name that changes between check and use gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence

from encoders.errors import Refused, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) → numeric addresses; raises OSError where the host can't be resolved."""

# RFC 4291: only 2000::/3 is global unicast; within it, these carry other addresses or none.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments, Teredo (which embeds an IPv4 address)
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: embeds an IPv4 address
        "3fff::/20",  # documentation
    )
)
_NOT_GLOBAL_V4 = ipaddress.IPv4Network("192.88.99.0/24")  # 6to4 relays
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def is_public(address: Address) -> bool:
    """Whether ``address`` is an ordinary host of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        return address in _GLOBAL_V6 and not any(address in block for block in _NOT_GLOBAL_V6)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and address not in _NOT_GLOBAL_V4
    )


def normal_host(host: str) -> str:
    """``host`` in lower case, without brackets and final dot, for comparison with an allow-list."""
    return host.strip("[]").rstrip(".").lower()


def resolve_public(
    host: str, port: int, allowed: frozenset[str], resolver: Resolver, timeout: float
) -> list[str]:
    """The addresses of ``host``, each of which may be connected to.

    ``allowed`` hosts may be private, loopback or link-local. Raises Refused where any address is
    not public or the host is a number in disguise (``0x7f.1``, ``2130706433``), Unavailable where
    the name can't be resolved within ``timeout`` seconds.
    """
    name = normal_host(host)
    literal = _literal(name)
    addresses = [name] if literal else _resolve(name, port, resolver, timeout)
    if name in {normal_host(each) for each in allowed}:
        return addresses
    for text in addresses:
        if not is_public(ipaddress.ip_address(text)):
            raise Refused(
                f"{name} leads to an address that is not public; list the host among the "
                "allowed hosts if it is yours"
            )
    return addresses


def _literal(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        # As in the WHATWG URL standard, a name whose last label is a number is an address.
        if not name or _NUMERIC_LABEL.fullmatch(name.rsplit(".", 1)[-1]):
            raise Refused(f"{name!r} is not a host name; write addresses in full") from None
        return None


def _resolve(name: str, port: int, resolver: Resolver, timeout: float) -> list[str]:
    # getaddrinfo can't be interrupted: it runs beside us, so that a slow name server can't hold us.
    found: list[str] = []
    failure: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            found.extend(resolver(name, port))
        except (OSError, UnicodeError) as error:
            failure.append(error)

    thread = threading.Thread(target=look_up, name=f"resolve-{name}", daemon=True)
    thread.start()
    thread.join(max(timeout, 0.0))
    if thread.is_alive() or failure or not found:
        raise Unavailable(f"the host {name} can't be resolved; check its name and the name server")
    return list(found)


def system_resolver(host: str, port: int) -> list[str]:
    """The operating system's answer, each address once."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
