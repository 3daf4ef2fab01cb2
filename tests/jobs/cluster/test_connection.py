import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import BusAway, BusError, WireError
from core.settings import Settings, load_settings
from jobs.cluster.nats import Message, connected
from tests.support import nats

pytestmark = pytest.mark.bus


class Word(Message, frozen=True):
    text: str
    data: bytes = b""


def settings(url: str, **more: str) -> Settings:
    return load_settings({"BUS_URL": url, "NODE_NAME": "h1", **more}, Path("/nowhere"))


async def _echo(message: Word, subject: str) -> Word:
    return Word(f"{subject}: {message.text}", message.data)


async def test_programs_tell_and_ask_each_other(server: nats.Server) -> None:
    heard: asyncio.Queue[tuple[Word, str]] = asyncio.Queue()
    async with connected(settings(server.url)) as one, connected(settings(server.url)) as other:
        await other.listen("told.*", Word, lambda message, subject: heard.put_nowait((message, subject)))
        await other.serve("ask", Word, _echo)
        assert await one.until_up(10) and await other.until_up(10)
        await other.flush()
        assert await one.publish("told.me", Word("hello"))
        assert await heard.get() == (Word("hello"), "told.me")
        large = bytes(7 * 2**20)
        assert await one.request("ask", Word("?", large), Word, patience=10) == Word("ask: ?", large)
        assert 0 < (await one.lag(10) or 0) < 10


async def test_no_answer_and_a_message_too_large_are_told_apart(
    server: nats.Server,
) -> None:
    async with connected(settings(server.url)) as one:
        assert not one.is_up and await one.lag() is None
        with pytest.raises(BusAway, match="away"):
            await one.request("nobody", Word("?"), Word, patience=1)
        assert not await one.publish("nobody", Word("?"))
        assert await one.until_up(10)
        with pytest.raises(BusAway, match="NoResponders"):
            await one.request("nobody", Word("?"), Word, patience=5)
        with pytest.raises(WireError, match="at most"):
            await one.publish("nobody", Word("?", bytes(9 * 2**20)))


async def test_a_server_that_comes_late_or_is_killed_is_connected_to_again(tmp_path: Path) -> None:
    nats.need()
    server = nats.Server(tmp_path)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with connected(settings(server.url)) as one, connected(settings(server.url)) as other:
        await other.listen("told", Word, lambda message, subject: heard.put_nowait(message.text))
        assert not await one.until_up(0.3)
        try:
            for round in range(3):
                server.start()
                async with asyncio.timeout(20):
                    while True:  # until both are there, and one has been heard
                        await one.publish("told", Word(str(round)))
                        try:
                            async with asyncio.timeout(0.1):
                                while await heard.get() != str(round):
                                    pass
                            break
                        except TimeoutError:
                            continue
                server.kill()
            assert one.counts.reconnects == 2
        finally:
            server.stop()


async def test_what_is_no_message_is_counted_and_the_next_one_is_heard(server: nats.Server) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    refused: list[str] = []
    async with connected(settings(server.url)) as one:
        assert await one.until_up(10)
        await one.listen(
            "told",
            Word,
            lambda m, s: heard.put_nowait(m.text),
            most=1000,
            unread=lambda e, s: refused.append(s),
        )
        for data in (b"", b"\x00", b"\x01\x80", bytes(2000)):
            await one._client.publish("at.told", data)
        await one.publish("told", Word("good"))
        assert await heard.get() == "good"
        assert refused == ["told"] * 4 and one.counts.unread == 4


async def test_wrong_credentials_are_told_without_a_password(tmp_path: Path) -> None:
    secret = tmp_path / "creds"
    secret.write_text("me:pass word")
    with pytest.raises(BusError, match="holds none") as caught:
        async with connected(settings("nats://127.0.0.1:4222", BUS_CREDS=str(secret))):
            pass
    assert "pass word" not in str(caught.value)
    with pytest.raises(BusError, match="can't be read"):
        async with connected(settings("nats://127.0.0.1:4222", BUS_CREDS=str(tmp_path / "gone"))):
            pass


async def test_a_line_is_encrypted_where_the_certificate_is_known_and_refused_where_it_is_not(
    tmp_path: Path,
) -> None:
    nats.need()
    certificate, key = _certificate(tmp_path)
    tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n'
    server = nats.Server(tmp_path, nats.PLAIN + tls, scheme="tls")
    server.start()
    try:
        async with connected(settings(server.url, BUS_CA=str(certificate))) as one:
            await one.serve("ask", Word, _echo)
            assert await one.until_up(10)
            assert (await one.request("ask", Word("?"), Word, patience=5)).text == "ask: ?"
        async with connected(settings(server.url)) as one:  # whose authority nobody knows
            assert not await one.until_up(1)
            assert "CERTIFICATE_VERIFY_FAILED" in one.last_trouble
    finally:
        server.stop()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that signs itself, and its key."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bus")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    certificate.write_bytes(made.public_bytes(pem))
    return certificate, key
