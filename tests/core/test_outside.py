"""Which hosts elsewhere may be called, told by what was written and by the address that it leads to."""

from ipaddress import ip_address

import pytest

from core.errors import UserError
from core.outside import Hosts, is_public, read_address

ANY = Hosts.of(("public",))
SOME = Hosts.of(("hooks.example.org", "*.example.com", "10.1.0.0/16", "fd00::5"))
INSIDE = (
    "127.0.0.1 10.0.0.1 172.16.3.4 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255 224.0.0.1 "
    "240.0.0.1 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fc00::1 ff02::1 ::ffff:10.0.0.1 64:ff9b::7f00:1 "
    "::127.0.0.1 2002:7f00:1::1 2001:0:7f00:1::1 2001:db8::1"
).split()


@pytest.mark.parametrize("text", INSIDE)
def test_an_address_that_the_internet_does_not_reach_is_never_public(text: str) -> None:
    address = read_address(text)
    assert address is not None and not is_public(address) and not ANY.reaches(address, plain=False)


@pytest.mark.parametrize("text", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_an_address_of_the_internet_is_reached_with_tls_alone(text: str) -> None:
    address = read_address(text)
    assert address is not None and ANY.reaches(address, plain=False)
    assert not ANY.reaches(address, plain=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://user@hooks.example.org/",
        "https://hooks.example.org@10.0.0.1/",
        "https://hooks.example.org\\@10.0.0.1/",
        "https://hooks。example。org/",
        "https://hooks.example.org:22/",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org/#x",
        "https://hooks.example.org/a b",
        "https://hooks.example.org./",
        "http://hooks.example.org/",
        "file:///etc/passwd",
        "gopher://hooks.example.org/",
        "hooks.example.org",
        "https:///",
        "https://a" + "b" * 500 + ".org/",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UserError):
        ANY.check_url(url)


def test_only_hosts_of_the_list_are_called() -> None:
    for url in (
        "https://hooks.example.org/a?b=c",
        "https://a.example.com:8443/",
        "https://a.b.example.com/",
        "http://10.1.2.3:80/",
        "https://[fd00::5]:22/",
    ):
        SOME.check_url(url)
    for url in (
        "https://example.com/",
        "https://badexample.com/",
        "https://x.hooks.example.org/",
        "http://10.2.0.1/",
        "https://1.1.1.1/",
    ):
        with pytest.raises(UserError, match="allow"):
            SOME.check_url(url)


def test_a_name_of_the_list_may_not_lead_inside() -> None:
    assert not SOME.reaches(ip_address("10.2.0.1"), plain=False)
    assert SOME.reaches(ip_address("10.1.0.1"), plain=True) and SOME.reaches(
        ip_address("1.1.1.1"), plain=False
    )
    assert not Hosts.of(("10.0.0.0/8",)).reaches(ip_address("1.1.1.1"), plain=False)


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert not Hosts.of(())
    with pytest.raises(UserError):
        Hosts.of(()).check_url("https://hooks.example.org/")


@pytest.mark.parametrize("part", ["10.0.0.1/8", "https://x.org", "a_b", "*.*.org", "10.0.0.999"])
def test_a_wrong_entry_of_the_list_is_refused(part: str) -> None:
    with pytest.raises(ValueError):
        Hosts.of((part,))
