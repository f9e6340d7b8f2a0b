"""Which addresses a webhook may have, however they are written, and what may be connected to."""

import hmac

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.webhook import may_reach, read_url, signature

INSIDE = [
    # loopback and private, in every notation a library might understand
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.01/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://10.0.0.1./",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://192.0.0.192/",
    "https://192.88.99.1/",
    "https://168.63.129.16/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://256.0.0.1/",
    "https://1.2.3/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[2a00::5efe:7f00:1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    # names that lead inside
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://printer/",
    "https://router.lan/",
    "https://metadata.google.internal/",
    "https://db.local/",
    # odd writing
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "javascript:alert(1)",
    "https:///nothing",
    "https://",
    "//example.com/",
    "example.com",
    "",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1@example.com/",
    "https://@example.com/",
    "https://example.com/#@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1\\.example.com/",
    "https://example.com:8443/",
    "https://example.com:22/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:port/",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: inside",
    "https://example.com/\x00",
    "https://①②⑦.⓪.⓪.①/",
    "https://exampl\u0435.com/",
    "https://example。com/",
    "https://-example.com/",
    "https://exa_mple-.com/",
    "https://example..com/",
    "https://.example.com/",
    "https://example.com./",
    "https://%6c%6f%63alhost/",
    "https://[127.0.0.1]/",
    "https://[::1/",
    "https://" + "a" * 64 + ".com/",
    "https://example.com/" + "a" * 200,
]


@pytest.mark.parametrize("url", INSIDE)
def test_what_leads_inside_or_is_odd_is_refused(url):
    with pytest.raises(Refused):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://example.com", "example.com", "/"),
        ("https://EXAMPLE.com/Hook?a=b&c", "example.com", "/Hook?a=b&c"),
        ("https://example.com:443/x", "example.com", "/x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("https://8.8.8.8/", "8.8.8.8", "/"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", "/"),
    ],
)
def test_what_is_public_is_read(url, host, path):
    target = read_url(url)
    assert (target.host, target.path, target.port, target.is_secure) == (host, path, 443, True)


def test_this_machine_may_be_meant_only_where_the_operator_says_so():
    for url in ("http://127.0.0.1:8000/x", "http://localhost:8000/x", "http://[::1]:1/"):
        with pytest.raises(Refused):
            read_url(url)
        assert read_url(url, allow_local=True).port in (8000, 1)
    for url in (
        "http://127.0.0.2/",
        "http://10.0.0.1/",
        "http://example.com/",
        "https://[fe80::1]/",
    ):
        with pytest.raises(Refused):
            read_url(url, allow_local=True)


def test_what_is_no_address_is_not_reached():
    for address in ("", "localhost", "example.com", "127.0.0.1 ", "fe80::1%lo"):
        assert not may_reach(address, allow_local=True)
    assert may_reach("127.0.0.1", allow_local=True)
    assert not may_reach("127.0.0.1")


def test_a_signature_covers_the_time_and_the_body():
    signed = signature("whsec_x", 1_700_000_000, b'{"id":1}')
    assert signed == ("v1=" + hmac.new(b"whsec_x", b'1700000000.{"id":1}', "sha256").hexdigest())
    others = {
        signature("whsec_y", 1_700_000_000, b'{"id":1}'),
        signature("whsec_x", 1_700_000_001, b'{"id":1}'),
        signature("whsec_x", 1_700_000_000, b'{"id":2}'),
    }
    assert len(others | {signed}) == 4
