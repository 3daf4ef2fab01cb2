"""Webhooks: told what their person may see, signed, once by its id, and to no host that isn't allowed."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import socket
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from core.outside import Hosts, Unanswered
from host.outside_client import Outgoing
from storage.schema import api_tokens, events, webhooks
from studio import webhooks as sending
from studio.authority import Actor
from tests.web.conftest import YOU, Site, open_site
from tests.web.teacher import Teacher
from tests.web.test_projects import part, project, trained, tried

EXECUTOR = Teacher
SETTINGS = {"WEBHOOK_HOSTS": "127.0.0.1"}
STEP = 0.02  # seconds between two looks at what is due


class Receiver:
    """A server elsewhere. answers: its next statuses, 200 after them."""

    def __init__(self) -> None:
        self.came = list[tuple[dict[str, str], bytes]]()
        self.answers = list[int]()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": f"{self.url}other", "Retry-After": "0"})

    def told(self, kind: str = "") -> list[dict[str, Any]]:
        read = [json.loads(body) for _, body in self.came]
        return [one for one in read if not kind or one["type"] == kind]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.came) < count:  # noqa: ASYNC110
                await asyncio.sleep(STEP)


@asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    monkeypatch.setattr(sending, "EVERY", STEP)
    monkeypatch.setattr(sending, "PAUSES", 3 * (timedelta(milliseconds=1),))
    async with listening() as found, site.opened.studio.webhooks.running():
        yield found


async def made(site: Site, receiver: Receiver, *events: str, scopes: tuple[str, ...] = ()) -> dict[str, Any]:
    """A webhook of a new token."""
    await site.program(*scopes)
    [token, *_] = (await site.you.get("/api/tokens")).data["tokens"]
    body = {"url": receiver.url, "events": list(events or ("job.ended",)), "token": token["id"]}
    answer = await site.you.post("/api/webhooks", body)
    assert answer.status == 201, answer.body
    return dict(answer.data)


async def rows_of(site: Site, table: sa.Table) -> list[Any]:
    read = site.opened.services.database.read
    return list(await read(lambda connection: connection.execute(sa.select(table)).all()))


async def listed(site: Site) -> dict[str, Any]:
    [hook] = (await site.you.get("/api/webhooks")).data["webhooks"]
    return dict(hook)


async def until_failed(site: Site, **wanted: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while not (hook := await listed(site)).items() >= wanted.items():  # noqa: ASYNC110
            await asyncio.sleep(STEP)
    return hook


async def test_an_event_is_signed_and_tells_ids_and_links_but_no_words(
    site: Site, receiver: Receiver
) -> None:
    hook = await made(site, receiver)
    job = await site.drawn(site.you, "a secret red house")
    await receiver.until(1)
    [(headers, body)] = receiver.came
    event, at = headers["webhook-id"], headers["webhook-timestamp"]
    signed = f"{event}.{at}.".encode() + body
    key = base64.b64decode(hook["secret"].removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}" and "." not in event
    assert abs(datetime.now(UTC).timestamp() - int(at)) < 60
    [told] = receiver.told()
    assert told["type"] == "job.ended" and datetime.fromisoformat(told["timestamp"]).tzinfo
    assert told["data"]["job"] == job["id"] and told["data"]["status"] == "rendered"
    assert told["data"]["pictures"][0].endswith(f"/files/{job['id']}/1") and b"secret" not in body
    assert hook["secret"] not in str(await site.you.get("/api/webhooks"))
    assert (await until_failed(site, answer="200"))["waiting"] == 0


async def test_without_the_scope_look_an_event_tells_ids_alone(site: Site, receiver: Receiver) -> None:
    await made(site, receiver, scopes=("draw",))
    job = await site.drawn(site.you)
    await receiver.until(1)
    assert receiver.told()[0]["data"] == {"job": job["id"], "kind": "imagine", "status": "rendered"}


async def test_others_jobs_and_other_events_are_not_told(site: Site, receiver: Receiver) -> None:
    await made(site, receiver, "queue.paused")
    await site.drawn(site.you)
    await site.opened.services.queue.pause(9)
    await site.opened.services.queue.pause(9)  # it was paused already
    await site.opened.services.queue.resume(9)
    await receiver.until(1)
    await asyncio.sleep(5 * STEP)
    assert [one["type"] for one in receiver.told()] == ["queue.paused"]


async def test_a_project_s_webhook_hears_of_its_version_and_its_verdicts(
    site: Site, receiver: Receiver
) -> None:
    project_id = await project(site)
    body = {"url": receiver.url, "events": ["model.trained", "verdict.given"], "project": project_id}
    assert (await site.you.post("/api/webhooks", body)).status == 201
    version = (await trained(site, project_id))["number"]
    job = await tried(site, project_id, part(21), part(22, bad=True))
    await receiver.until(2)
    [[made], [judged]] = [
        [one["data"] for one in receiver.told(kind)] for kind in ("model.trained", "verdict.given")
    ]
    assert (made["project"], made["version"]) == (project_id, version)
    assert (judged["job"], judged["project"], judged["version"]) == (job, project_id, version)
    assert [(one["n"], one["label"], one["strange"]) for one in judged["verdicts"]] == [
        (1, "", False),
        (2, "scratch", True),
    ]
    assert all(one["score"] > 0 for one in judged["verdicts"])


async def test_what_fails_comes_again_with_the_same_id(site: Site, receiver: Receiver) -> None:
    await made(site, receiver)
    receiver.answers = [500, 302, 429]
    await site.drawn(site.you)
    await receiver.until(4)
    await until_failed(site, answer="200", waiting=0)
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1 and len(receiver.came) == 4


async def test_a_webhook_that_takes_nothing_is_paused_and_goes_on_with_what_it_missed(
    site: Site, receiver: Receiver
) -> None:
    hook = await made(site, receiver)
    receiver.answers = [500] * 4
    await site.drawn(site.you)
    assert (await until_failed(site, paused=True))["lost"] == 1
    assert "Paused" in await site.you.page("/programs") and len(receiver.came) == 4
    assert (await site.you.post(f"/api/webhooks/{hook['id']}/resume")).status == 204
    await until_failed(site, paused=False, lost=0, waiting=0)
    assert len(receiver.came) == 5


async def test_an_address_that_is_gone_is_left_alone_at_once(site: Site, receiver: Receiver) -> None:
    await made(site, receiver)
    receiver.answers = [410]
    await site.drawn(site.you)
    assert (await until_failed(site, paused=True, answer="410"))["waiting"] == 1
    await asyncio.sleep(5 * STEP)
    assert len(receiver.came) == 1


async def test_a_test_is_sent_to_ones_own_webhook_alone(site: Site, receiver: Receiver) -> None:
    hook = await made(site, receiver)
    guest = await site.person(3)
    for method, path in (
        ("POST", f"/api/webhooks/{hook['id']}/test"),
        ("POST", f"/api/webhooks/{hook['id']}/resume"),
        ("DELETE", f"/api/webhooks/{hook['id']}"),
    ):
        assert (await guest.ask(method, path, json={} if method == "POST" else None)).status == 404
    assert (await site.you.post(f"/api/webhooks/{hook['id']}/test")).status == 204
    await receiver.until(1)
    assert receiver.told()[0]["type"] == "webhook.test"


async def test_nothing_is_told_once_a_token_has_passed_its_last_day(site: Site, receiver: Receiver) -> None:
    await made(site, receiver)
    past = sa.update(api_tokens).values(ends_at=datetime.now(UTC) - timedelta(days=1))
    await site.opened.services.database.write(lambda connection: connection.execute(past))
    await site.drawn(site.you)
    hook = await until_failed(site, paused=True)
    assert receiver.came == [] and "has ended" in hook["answer"]


async def test_a_webhook_goes_with_its_token_and_an_event_with_its_job(
    site: Site, receiver: Receiver
) -> None:
    hook = await made(site, receiver)
    receiver.answers = [410]
    job = await site.drawn(site.you)
    await until_failed(site, paused=True)
    assert len(await rows_of(site, events)) == 1
    assert (await site.you.ask("DELETE", f"/api/jobs/{job['id']}")).status in (200, 204)
    assert await rows_of(site, events) == []
    await site.you.ask("DELETE", f"/api/tokens/{hook['token']}")
    assert await rows_of(site, webhooks) == []


async def test_webhooks_are_taken_along_without_their_secret_and_deleted(
    site: Site, receiver: Receiver
) -> None:
    hook = await made(site, receiver)
    receiver.answers = [410]
    await site.drawn(site.you)
    await until_failed(site, paused=True)
    packed = await site.you.get("/api/privacy/export")
    with zipfile.ZipFile(io.BytesIO(packed.body)) as archive:
        rows = {name: archive.read(name).decode() for name in archive.namelist() if "webhook" in name}
        everything = "".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())
    assert any(receiver.url in text for text in rows.values()) or receiver.url in everything
    assert hook["secret"] not in everything and "job.ended" in everything
    await site.opened.studio.own.delete(Actor(YOU, None))
    assert await rows_of(site, webhooks) == [] and await rows_of(site, events) == []


async def test_a_webhook_is_refused_where_it_may_not_lead(site: Site, receiver: Receiver) -> None:
    await site.program()
    [token] = (await site.you.get("/api/tokens")).data["tokens"]
    given = {"events": ["job.ended"], "token": token["id"]}
    for wrong in (
        {"url": "https://hooks.example.org/"},
        {"url": "http://10.0.0.1/"},
        {"url": receiver.url, "events": ["job.began"]},
        {"url": receiver.url, "token": "a" * 12},
        {"url": receiver.url, "project": "a" * 12},
        {"url": receiver.url, "token": "", "project": "a" * 12},
    ):
        refused = await site.you.post("/api/webhooks", given | wrong)
        assert refused.status in (400, 422), (wrong, refused.body)
    program = await site.program()
    assert (await program.post("/api/webhooks", given | {"url": receiver.url})).status == 403


async def test_without_a_list_of_hosts_there_are_no_webhooks(tmp_path: Any) -> None:
    async with open_site(tmp_path) as site:
        assert "New webhook" not in await site.you.page("/programs")
        await site.program()
        [token] = (await site.you.get("/api/tokens")).data["tokens"]
        body = {"url": "https://hooks.example.org/", "events": ["job.ended"], "token": token["id"]}
        refused = await site.you.post("/api/webhooks", body)
        assert refused.status == 403 and "WEBHOOK_HOSTS" in refused.data["detail"]


async def test_a_name_that_leads_inside_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as receiver:
        port = int(receiver.url.rstrip("/").rpartition(":")[2])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kw: found)
        with pytest.raises(Unanswered) as nothing:
            await Outgoing(Hosts.of(("public",))).post(f"https://hooks.example.org:{port}/", b"{}", {})
        assert nothing.value.why == "forbidden" and receiver.came == []
