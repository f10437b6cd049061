"""Receivers of webhooks: which addresses are never called, and what a call is bounded by."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from catalog.adapters.receivers import Receivers
from catalog.domain.receivers import NotAReceiverError, may_be_reached, receiver
from catalog.domain.webhooks import Fault, Reply

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),  # noqa: S104
    *("169.254.169.254", "169.254.170.2", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
    *("2002:a00:1::", "2001::1", "2001:db8::1", "100::1", "fec0::1"),
]


@pytest.mark.parametrize("address", [*PRIVATE, "not an address", ""])
def test_an_address_that_is_not_of_the_public_internet_is_never_reached(address: str) -> None:
    assert not may_be_reached(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"])
def test_a_public_address_may_be_reached(address: str) -> None:
    assert may_be_reached(address)


@pytest.mark.parametrize(
    "url",
    [
        *("", "shop.example.com", "//shop.example.com", "http://shop.example.com", "ftp://shop.example.com"),
        *("file:///etc/passwd", "https://", "https:///path", "https://user@shop.example.com"),
        *("https://user:word@shop.example.com", "https://shop.example.com/#part", "https://a..b/"),
        *("https://shop.example.com:0/", "https://shop.example.com:65536/", "https://shop.example.com:x/"),
        *("https://shop.example.com/a b", "https://shop.example.com/\r\nX: y", "https://straße.example/"),
        *("https://127.0.0.1/", "https://[::1]/", "https://[fe80::1]/", "https://10.1.2.3:8443/"),
        *(
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://1.2.3/",
        ),
        *("https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[not]/"),
        "https://shop.example.com/" + "x" * 2_048,
    ],
)
def test_a_url_that_is_no_public_https_is_refused_when_it_is_put(url: str) -> None:
    with pytest.raises(NotAReceiverError):
        receiver(url)


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://shop.example.com", "shop.example.com", "/"),
        ("https://Shop.Example.com:8443/hooks?key=1", "shop.example.com:8443", "/hooks?key=1"),
        ("https://shop.example.com?key=1", "shop.example.com", "/?key=1"),
        ("https://xn--strae-oqa.example./x", "xn--strae-oqa.example.", "/x"),
        ("https://[2606:4700::1111]/x", "[2606:4700::1111]", "/x"),
        ("https://8.8.8.8:444/", "8.8.8.8:444", "/"),
    ],
)
def test_a_public_url_is_taken_apart(url: str, authority: str, target: str) -> None:
    to = receiver(url)
    assert (to.authority, to.target) == (authority, target)


def test_plain_http_is_taken_only_to_loopback_and_only_where_the_configuration_says_so() -> None:
    assert receiver("http://127.0.0.1:9000/x", loopback=True).authority == "127.0.0.1:9000"
    for url in ("http://127.0.0.1:9000/x", "http://[::1]/"):
        with pytest.raises(NotAReceiverError):
            receiver(url)
    for url in ("http://10.0.0.1/", "http://shop.example.com/", "https://10.0.0.1/"):
        with pytest.raises(NotAReceiverError):
            receiver(url, loopback=True)


# --- Sending ----------------------------------------------------------------------------------------------


@contextmanager
def server(answer: Callable[[socket.socket], None], heard: list[bytes]) -> Iterator[int]:
    """A server on loopback for one connection; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            heard.append(connection.recv(65_536))
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()


def to_address(*addresses: str) -> Callable[..., list[Any]]:
    """A name server that knows one answer."""

    def resolve(_: str, port: int, **__: Any) -> list[Any]:
        found = [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, (address, port)) for address in addresses
        ]
        return [(family, socket.SOCK_STREAM, 6, "", to) for family, to in found]

    return resolve


def never(*_: Any) -> Any:
    raise AssertionError("a connection was made")


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_accepts_and_the_request_is_what_was_signed(status: int) -> None:
    heard: list[bytes] = []
    with server(lambda each: each.sendall(f"HTTP/1.1 {status} Fine\r\n".encode()), heard) as port:
        url = f"http://127.0.0.1:{port}/hooks?key=1"
        reply = Receivers(loopback=True).post(url, {"webhook-id": "one"}, b'{"type":"x"}')

    assert reply == Reply(status)
    assert reply.accepts
    head, _, body = heard[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hooks?key=1 HTTP/1.1"
    assert {f"Host: 127.0.0.1:{port}", "webhook-id: one", "Content-Length: 12"} <= set(lines)
    assert body == b'{"type":"x"}'


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    answer = f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://169.254.169.254/latest/\r\n\r\n".encode()
    with server(lambda each: each.sendall(answer), []) as port:
        reply = Receivers(loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"{}")

    assert reply == Reply(status)
    assert not reply.accepts


@pytest.mark.parametrize("answer", [b"", b"hello\r\n", b"HTTP/1.1 999 x\r\n", b"HTTP/1.1 2", b"x" * 5_000])
def test_what_is_no_http_is_a_named_fault(answer: bytes) -> None:
    with server(lambda each: each.sendall(answer), []) as port:
        reply = Receivers(loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert reply in (Reply(fault=Fault.NO_ANSWER), Reply(fault=Fault.NOT_CONNECTED))


def test_a_receiver_that_drips_its_answer_is_left_when_the_time_is_over() -> None:
    """Each byte comes within any timeout of a socket; on this clock a second passes at every look."""
    ticks = iter(range(1_000))

    def drip(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(b"H")
        except OSError:
            return

    with server(drip, []) as port:
        receivers = Receivers(loopback=True, monotonic=lambda: float(next(ticks)))
        reply = receivers.post(f"http://127.0.0.1:{port}/", {}, b"{}")

    assert reply in (Reply(fault=Fault.TIMED_OUT), Reply(fault=Fault.NO_ANSWER))
    assert next(ticks) < 20


def test_nobody_listening_is_a_named_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reply = Receivers(loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert reply == Reply(fault=Fault.NOT_CONNECTED)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_resolves_to_a_private_address_is_never_called(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", never)
    for addresses in ([address], ["8.8.8.8", address]):
        reply = Receivers(resolve=to_address(*addresses)).post("https://shop.example.com/", {}, b"{}")
        assert reply == Reply(fault=Fault.NOT_ALLOWED)


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, called = [["8.8.8.8"], ["127.0.0.1"]], []

    def connect(_: socket.socket, address: Any) -> None:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", never)

    def resolve(*asked: Any, **kind: Any) -> list[Any]:
        return to_address(*answers.pop(0))(*asked, **kind)

    receivers = Receivers(resolve=resolve)

    reply = receivers.post("https://shop.example.com:444/", {}, b"{}")

    assert (reply.fault, called) == (Fault.NOT_CONNECTED, [("8.8.8.8", 444)])
    assert answers == [["127.0.0.1"]]


def test_a_name_that_is_unknown_is_a_named_fault() -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    assert Receivers(resolve=resolve).post("https://shop.example.com/", {}, b"{}").fault is Fault.NOT_RESOLVED


def test_a_certificate_of_another_name_or_nobody_is_not_trusted(own_certificate: ssl.SSLContext) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as plain:
            try:
                own_certificate.wrap_socket(plain, server_side=True).close()
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    receivers = Receivers(loopback=True, resolve=to_address("127.0.0.1"))
    reply = receivers.post(f"https://shop.example.com:{listener.getsockname()[1]}/", {}, b"{}")
    thread.join()

    assert reply == Reply(fault=Fault.NOT_TRUSTED)


@pytest.fixture
def own_certificate(tmp_path: Any) -> ssl.SSLContext:
    """A server's context with a certificate that nobody signed but itself."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_https_with_a_trusted_certificate_is_sent_to(own_certificate: ssl.SSLContext, tmp_path: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        with (
            listener,
            listener.accept()[0] as plain,
            own_certificate.wrap_socket(plain, server_side=True) as tls,
        ):
            heard.append(tls.recv(65_536))
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    trust = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    receivers = Receivers(loopback=True, resolve=to_address("127.0.0.1"), trust=trust)
    reply = receivers.post(f"https://shop.example.com:{listener.getsockname()[1]}/x", {}, b"{}")
    thread.join()

    assert reply == Reply(200)
    assert heard[0].startswith(b"POST /x HTTP/1.1\r\nHost: shop.example.com:")
