"""Browsers that are called when a job is over: once, by who may, and in words that only they can read."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import web_push
from storage import pushes as rows
from storage.schema import push_subscriptions, pushes
from studio import pushes as calling
from tests.web.conftest import OTHER, YOU, Browser, Site
from tests.web.test_webhooks import Receiver, listening

pytest.importorskip("cryptography", reason="the extra push is missing")
SETTINGS = {"PUSH_HOSTS": "127.0.0.1/32"}
STEP = 0.02  # seconds between two looks at what is due
SECRET = web_push.encode(b"0123456789abcdef")


class Phone:
    """A browser with a key of its own."""

    def __init__(self) -> None:
        self.private = web_push.new_key()

    def body(self, url: str) -> dict[str, str]:
        return {"endpoint": url, "p256dh": web_push.public_key(self.private), "auth": SECRET}

    def read(self, sealed: bytes) -> dict[str, Any]:
        """What a message says: the receiver's side of RFC 8291, with its own way to the keys."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hmac import HMAC

        def mac(key: bytes, data: bytes) -> bytes:
            made = HMAC(key, hashes.SHA256())
            made.update(data)
            return made.finalize()

        salt, sender, text = sealed[:16], sealed[21:86], sealed[86:]
        key = ec.derive_private_key(int.from_bytes(web_push.decode(self.private)), ec.SECP256R1())
        shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        own = web_push.decode(web_push.public_key(self.private))
        agreed = mac(mac(web_push.decode(SECRET), shared), b"WebPush: info\0" + own + sender + b"\x01")
        common = mac(salt, agreed)
        cipher = AESGCM(mac(common, b"Content-Encoding: aes128gcm\0\x01")[:16])
        found = cipher.decrypt(mac(common, b"Content-Encoding: nonce\0\x01")[:12], text, None)
        return dict(json.loads(found.rstrip(b"\0").removesuffix(b"\x02")))


@pytest.fixture
def service(site: Site, monkeypatch: pytest.MonkeyPatch):
    """Opens a push service, with all jobs long."""
    monkeypatch.setattr(rows, "LONG", timedelta(0))
    monkeypatch.setattr(calling, "EVERY", STEP)
    monkeypatch.setattr(calling, "PAUSES", 3 * (timedelta(milliseconds=1),))
    return listening


@pytest.fixture
async def receiver(site: Site, service) -> AsyncIterator[Receiver]:
    async with service() as found, site.opened.studio.pushes.running():
        yield found


async def counted(site: Site, table: sa.Table) -> int:
    count = sa.select(sa.func.count()).select_from(table)
    return int(await site.opened.services.database.read(lambda connection: connection.scalar(count)))


async def until_empty(site: Site, table: sa.Table) -> None:
    async with asyncio.timeout(10):
        while await counted(site, table):  # noqa: ASYNC110
            await asyncio.sleep(STEP)


async def call_me(browser: Browser, phone: Phone, url: str) -> None:
    answer = await browser.ask("PUT", "/api/push", json=phone.body(url))
    assert answer.status == 204, answer.body


async def test_a_browser_is_called_in_words_that_only_it_reads(site: Site, receiver: Receiver) -> None:
    phone = Phone()
    await call_me(site.you, phone, receiver.url + "a")
    job = await site.drawn(site.you, "a secret red house")
    await receiver.until(1)
    headers, sealed = receiver.came[0]
    assert b"secret" not in sealed and "secret" not in json.dumps(headers)
    said = phone.read(sealed)
    assert said == {
        "title": "Ready",
        "body": "a secret red house",
        "tag": job["id"],
        "href": f"/#job-{job['id']}",
    }
    assert headers["Content-Encoding"] == "aes128gcm" and headers["Topic"] == job["id"]
    assert int(headers["TTL"]) > 0 and headers["Authorization"].startswith("vapid t=")
    await until_empty(site, pushes)
    assert len(receiver.came) == 1


async def test_a_browser_is_called_in_its_person_s_language(site: Site, receiver: Receiver) -> None:
    phone = Phone()
    await site.you.ask("PATCH", "/api/settings", json={"language": "de"})
    await call_me(site.you, phone, receiver.url)
    await site.drawn(site.you)
    await receiver.until(1)
    assert phone.read(receiver.came[0][1])["title"] == "Bereit"


async def test_short_jobs_others_and_people_who_look_call_nobody(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, looking = Phone(), site.opened.services.web.looking
    await call_me(site.you, phone, receiver.url)
    looking[YOU] += 1
    await site.drawn(site.you, "while I look")
    await until_empty(site, pushes)
    looking[YOU] -= 1
    await site.drawn(await site.person(OTHER), "another's")
    monkeypatch.setattr(rows, "LONG", timedelta(seconds=10))
    await site.drawn(site.you, "a short one")
    monkeypatch.setattr(rows, "LONG", timedelta(0))
    await site.drawn(site.you, "a long one")
    await receiver.until(1)
    await until_empty(site, pushes)
    assert [phone.read(sealed)["body"] for _, sealed in receiver.came] == ["a long one"]


async def test_a_page_says_whether_somebody_looks(site: Site) -> None:
    looking = site.opened.services.web.looking
    headers = {"Origin": site.web.url, "Cookie": f"__Host-atelier={site.you.cookie}"}
    async with site.http.ws_connect(f"{site.web.url}/api/live?person={YOU}", headers=headers) as socket:
        for said, wanted in (("1", 1), ("1", 1), ("0", 0), ("nonsense", 0), ("1", 1)):
            await socket.send_str(said)
            async with asyncio.timeout(5):
                while looking[YOU] != wanted:  # noqa: ASYNC110
                    await asyncio.sleep(STEP)
    async with asyncio.timeout(5):
        while looking:  # noqa: ASYNC110
            await asyncio.sleep(STEP)


@pytest.mark.parametrize("status", [404, 410])
async def test_an_endpoint_that_has_ended_is_forgotten(site: Site, receiver: Receiver, status: int) -> None:
    await call_me(site.you, Phone(), receiver.url)
    receiver.answers = [status]
    await site.drawn(site.you)
    await until_empty(site, push_subscriptions)
    await site.drawn(site.you)
    assert len(receiver.came) == 1 and await counted(site, pushes) == 0


@pytest.mark.parametrize(("answers", "calls"), [([503, 429, 200], 3), ([400], 1), ([500] * 9, 4), ([302], 1)])
async def test_a_service_that_is_busy_is_asked_again_and_no_other(
    site: Site, receiver: Receiver, answers: list[int], calls: int
) -> None:
    await call_me(site.you, Phone(), receiver.url)
    receiver.answers = answers
    await site.drawn(site.you)
    await receiver.until(calls)
    await until_empty(site, pushes)
    assert len(receiver.came) == calls and {len(body) < 4096 for _, body in receiver.came} == {True}


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest",
        "http://localhost/x",
        "https://fcm.googleapis.com.evil.example/",
        "https://fcm.googleapis.com@evil.example/",
        "file:///etc/passwd",
        "",
    ],
)
async def test_only_services_that_the_operator_allows_are_called(site: Site, url: str) -> None:
    answer = await site.you.ask("PUT", "/api/push", json=Phone().body(url))
    assert answer.status == 400, answer.body
    assert await counted(site, push_subscriptions) == 0


async def test_who_signs_out_is_called_no_more(site: Site, receiver: Receiver) -> None:
    phone = Phone()
    await call_me(site.you, phone, receiver.url + "here")
    other = await site.person(YOU)
    await call_me(other, phone, receiver.url + "there")
    assert await counted(site, push_subscriptions) == 2
    assert '"called":true' in await other.page("/settings")
    assert (await other.ask("DELETE", "/api/push")).status == 204
    assert '"called":false' in await other.page("/settings")
    assert (await site.you.ask("DELETE", "/api/session")).status == 204
    assert await counted(site, push_subscriptions) == 0
    await site.drawn(other)
    assert receiver.came == [] and await counted(site, pushes) == 0


async def test_a_browser_is_called_for_the_one_who_is_signed_in_there(site: Site, receiver: Receiver) -> None:
    phone, other = Phone(), await site.person(OTHER)
    await call_me(site.you, phone, receiver.url)
    await call_me(other, phone, receiver.url)
    await site.drawn(site.you, "of who was here before")
    await site.drawn(other, "of who is here")
    await receiver.until(1)
    await until_empty(site, pushes)
    assert [phone.read(sealed)["body"] for _, sealed in receiver.came] == ["of who is here"]


async def test_what_is_kept_of_a_browser_is_handed_over_and_deleted(site: Site) -> None:
    await call_me(site.you, Phone(), "http://127.0.0.1:9999/mine")
    packed = (await site.you.get("/api/privacy/export?pictures=0")).body
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        assert any(b"127.0.0.1:9999/mine" in found.read(name) for name in found.namelist())
    assert (await site.you.ask("DELETE", "/api/privacy")).status == 204
    assert await counted(site, push_subscriptions) == 0


async def test_jobs_that_a_kill_left_untold_are_told_once_after_it(site: Site, service) -> None:
    """The studio ends while the service thinks, again and again: by one name it shows one."""
    phone, jobs, studio = Phone(), list[str](), site.opened.studio
    async with service() as receiver:
        await call_me(site.you, phone, receiver.url)
        for turn in range(20):
            jobs.append((await site.drawn(site.you, f"picture {turn}"))["id"])
            before = len(receiver.came)
            async with studio.pushes.running():
                await receiver.until(before + 1)
                for _wait in range(turn % 4):
                    await asyncio.sleep(0)
        async with studio.pushes.running():
            await until_empty(site, pushes)
        shown = {phone.read(sealed)["tag"] for _, sealed in receiver.came}
        assert {headers["Topic"] for headers, _ in receiver.came} == shown
        assert shown == set(jobs), "none is lost, and of each there is one notification"


async def test_without_what_encrypts_nothing_is_offered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert '"push":"B' in await site.you.page("/settings")
    monkeypatch.setattr(web_push, "is_there", lambda: False)
    assert '"push":""' in await site.you.page("/settings")
    refused = await site.you.ask("PUT", "/api/push", json=Phone().body("http://127.0.0.1:9999/"))
    assert refused.status == 403
    async with site.opened.studio.pushes.running():
        assert await counted(site, push_subscriptions) == 0
