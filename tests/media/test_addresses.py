"""Which addresses a fetch may connect to."""

from __future__ import annotations

import ipaddress
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.addresses import is_public, resolve_public, system_resolver
from encoders.errors import Refused, Unavailable

NONE: frozenset[str] = frozenset()
PRIVATE_V4 = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
PRIVATE_V6 = [
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e"]


@pytest.mark.parametrize("text", PRIVATE_V4 + PRIVATE_V6)
def test_what_is_not_a_host_of_the_public_internet(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_gains_nothing_by_being_written_as_ipv6(
    address: ipaddress.IPv4Address,
) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    assert is_public(mapped) == is_public(address)
    for prefix in ("::", "64:ff9b::", "2002::", "2001:0:0:0:0:0:"):
        hidden = int(ipaddress.IPv6Address(prefix + ("0:0" if prefix.count(":") == 6 else "")))
        assert not is_public(ipaddress.IPv6Address(hidden | int(address)))


@given(st.ip_addresses())
def test_what_python_calls_not_global_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_private


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "1.2.3", "", ".", "1.2.3.4.5",
     "127.0.0.0x1", "example.123"],
)  # fmt: skip
def test_a_number_in_disguise_is_refused_before_it_is_resolved(host: str) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError("asked")

    with pytest.raises(Refused):
        resolve_public(host, 80, NONE, never, 1.0)


@pytest.mark.parametrize("text", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_a_literal_address_is_checked(text: str) -> None:
    with pytest.raises(Refused, match="not public"):
        resolve_public(text, 80, NONE, system_resolver, 1.0)


def test_one_private_address_among_many_refuses_the_name() -> None:
    with pytest.raises(Refused, match=r"example\.org"):
        resolve_public("example.org", 80, NONE, lambda h, p: ["1.1.1.1", "10.0.0.1"], 1.0)


def test_a_public_name_gives_all_its_addresses() -> None:
    answer = resolve_public("example.org", 80, NONE, lambda h, p: ["1.1.1.1", "8.8.8.8"], 1.0)
    assert answer == ["1.1.1.1", "8.8.8.8"]


@pytest.mark.parametrize("host", ["store.internal", "STORE.internal", "store.internal."])
def test_an_allowed_host_may_be_private(host: str) -> None:
    allowed = frozenset({"Store.Internal"})
    assert resolve_public(host, 80, allowed, lambda h, p: ["10.0.0.1"], 1.0) == ["10.0.0.1"]
    with pytest.raises(Refused):
        resolve_public("other.internal", 80, allowed, lambda h, p: ["10.0.0.1"], 1.0)


def test_an_allowed_name_does_not_allow_its_address() -> None:
    with pytest.raises(Refused):
        resolve_public("127.0.0.1", 80, frozenset({"localhost"}), system_resolver, 1.0)


def test_a_name_that_cannot_be_resolved_is_worth_another_try() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(Unavailable):
        resolve_public("example.org", 80, NONE, fails, 1.0)
    with pytest.raises(Unavailable):
        resolve_public("example.org", 80, NONE, lambda h, p: [], 1.0)


def test_a_name_server_that_never_answers_does_not_hold_the_fetch() -> None:
    release = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        release.wait(10)
        return []

    begin = time.monotonic()
    with pytest.raises(Unavailable):
        resolve_public("example.org", 80, NONE, hangs, 0.2)
    assert time.monotonic() - begin < 2
    release.set()


def test_the_system_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in system_resolver("localhost", 80)
