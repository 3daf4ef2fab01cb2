"""Tokens: made by their person, of use as far as their scopes go, and ended."""

import asyncio
import io
import json
import logging
import zipfile
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.schema import api_tokens
from tests.web.conftest import YOU, Program, Site, open_site
from web import dispatch
from web.handlers import openai_images
from web.openapi import PART


async def test_a_token_is_shown_once_and_only_its_hash_is_kept(site: Site) -> None:
    token = (await site.program("look")).cookie
    listed = (await site.you.get("/api/tokens")).data["tokens"]
    assert [one["name"] for one in listed] == ["a script"] and listed[0]["scopes"] == ["look"]
    assert token.startswith("atelier_") and token not in str(listed)
    read = site.opened.services.database.read
    [row] = await read(lambda connection: connection.execute(sa.select(api_tokens)).all())
    assert token not in str(row) and row.user_id == YOU
    assert token not in await site.you.page("/programs")


async def test_a_program_draws_as_its_person_and_is_seen_where_it_was_last(site: Site) -> None:
    program = await site.program("look", "draw")
    asked = await program.post("/api/jobs", {"prompt": "a red house"})
    assert asked.status == 202
    job = asked.data["jobs"][0]["id"]
    await site.finished(job)
    assert (await site.you.get(f"/api/jobs/{job}")).data["mine"]
    picture = await program.get(f"/files/{job}/1")
    assert (picture.status, picture.headers["Content-Type"]) == (200, "image/png")
    [token] = (await site.you.get("/api/tokens")).data["tokens"]
    assert token["from"] == "127.0.0.1" and token["used"]


async def test_a_scope_that_a_token_lacks_is_named(site: Site) -> None:
    refused = await (await site.program("look")).post("/api/jobs", {"prompt": "a house"})
    assert (refused.status, refused.headers["Content-Type"].split(";")[0]) == (
        403,
        "application/problem+json",
    )
    assert "scope draw" in refused.data["detail"] and refused.data["scopes"] == ["draw"]
    assert 'error="insufficient_scope", scope="draw"' in refused.headers["WWW-Authenticate"]


async def test_what_only_people_do_no_token_does(site: Site) -> None:
    program = await site.program()
    more = {"name": "another", "scopes": ["look"]}
    for method, path, sent in (
        ("POST", "/api/tokens", more),
        ("GET", "/api/tokens", None),
        ("DELETE", "/api/privacy", None),
        ("DELETE", "/api/session", None),
        ("GET", "/settings", None),
    ):
        refused = await program.ask(method, path, **({"json": sent} if sent else {}))
        assert refused.status == 403 and "can't do this" in refused.data["detail"], (method, path)


async def test_an_ended_an_expired_and_an_unknown_token_are_refused_in_plain_words(site: Site) -> None:
    program = await site.program()
    [token] = (await site.you.get("/api/tokens")).data["tokens"]
    at = datetime.now(UTC) - timedelta(days=2)
    over = sa.update(api_tokens).values(ends_at=at)
    await site.opened.services.database.write(lambda connection: connection.execute(over))
    expired = await program.get("/api/jobs")
    assert expired.status == 401 and f"ended on {at:%Y-%m-%d}" in expired.data["detail"]
    assert 'error="invalid_token"' in expired.headers["WWW-Authenticate"]
    assert (await site.you.ask("DELETE", f"/api/tokens/{token['id']}")).status == 204
    for one in (
        program,
        Program(site.http, site.web.url, "atelier_nonsense"),
        Program(site.http, site.web.url, "sk-other"),
    ):
        refused = await one.post("/api/jobs", {"prompt": "a house"})
        assert refused.status == 401 and "isn't known here" in refused.data["detail"]


async def test_nobody_ends_the_token_of_another(site: Site) -> None:
    program, other = (await site.program()), await site.person(7)
    [token] = (await site.you.get("/api/tokens")).data["tokens"]
    assert (await other.ask("DELETE", f"/api/tokens/{token['id']}")).status == 404
    assert (await program.get("/api/jobs")).status == 200


async def test_a_cookie_is_as_safe_beside_a_header_as_without_it(site: Site) -> None:
    token = (await site.program()).cookie
    for header in ("Basic eDp5", "Bearer nonsense", "Bearer", ""):
        headers = {"Origin": "http://evil.example", "Authorization": header}
        assert (await site.you.post("/api/jobs", {"prompt": "a house"}, headers=headers)).status == 403
    headers = {"Origin": "http://evil.example", "Authorization": f"Bearer {token}x"}
    assert (await site.you.post("/api/jobs", {"prompt": "a house"}, headers=headers)).status == 401


async def test_a_ban_holds_for_the_programs_of_whoever_is_banned(site: Site) -> None:
    program = await site.program()
    await site.opened.services.queue.admin.ban(0, YOU)
    assert (await program.post("/api/jobs", {"prompt": "a house"})).status == 403
    assert (await program.get("/api/pictures")).status == (await site.you.get("/api/pictures")).status


async def test_each_token_has_a_pace_of_its_own(site: Site) -> None:
    first, second = (await site.program()), (await site.program())
    answers = await asyncio.gather(*(first.post("/api/jobs", {"prompt": ""}) for _ in range(25)))
    late = [one for one in answers if one.status == 429]
    assert late and int(late[0].headers["Retry-After"]) >= 1 and late[0].data["retry_after"] > 0
    assert (await second.post("/api/jobs", {"prompt": ""})).status == 400


async def test_a_stream_too_many_queues_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    program = await site.program()
    monkeypatch.setattr(dispatch, "MOST_STREAMS", 0)
    wish = {"prompt": "a red house", "stream": True}
    asked = {"messages": [{"role": "user", "content": "What is it?"}], "stream": True}
    for path, sent in (("/v1/images/generations", wish), ("/v1/chat/completions", asked)):
        refused = await program.post(path, sent)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5"), refused.body
    assert (await program.get("/api/jobs")).data["jobs"] == []
    monkeypatch.setattr(dispatch, "MOST_STREAMS", 1)
    for _ in range(2):
        assert (await program.post("/v1/images/generations", wish)).status == 200


async def test_malformed_json_and_bodies_that_are_too_large_are_refused(site: Site) -> None:
    program = await site.program()
    kind = {"Content-Type": "application/json"}
    broken = await program.ask("POST", "/api/jobs", kind, data=b'{"prompt": ')
    assert (broken.status, broken.data["detail"]) == (400, "The body can't be read.")
    large = await program.ask("POST", "/api/jobs", kind, data=io.BytesIO(bytes(100 * 2**20)))
    assert large.status == 413 and "limit is" in large.data["detail"]
    unknown = await program.post("/api/jobs", {"prompt": "a house --model nonsense"})
    assert unknown.status == 400 and "nonsense" in unknown.data["detail"]


async def test_nothing_of_a_token_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = (await site.program()).cookie
    await Program(site.http, site.web.url, token).get("/api/jobs")
    await Program(site.http, site.web.url, token + "x").get("/nowhere")
    assert token.removeprefix("atelier_")[:12] not in caplog.text


async def test_nothing_of_a_prompt_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    program, prompt = await site.program(), "a zebrafinch in the snow"
    call = {"name": "draw", "arguments": {"prompt": prompt}}
    assert (await program.post("/v1/images/generations", {"prompt": prompt})).status == 200
    assert (await program.post("/api/jobs", {"prompt": f"{prompt} --model nonsense"})).status == 400
    mcp = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    assert (await program.post("/mcp", mcp)).status == 200
    assert "rendered" in caplog.text and "zebrafinch" not in caplog.text


async def test_who_never_reads_a_stream_loses_it_and_their_job_is_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, closed = await site.program(), asyncio.Event()

    async def endless(*_: object) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield bytes(2**16)
        finally:
            closed.set()

    monkeypatch.setattr(openai_images, "_events", endless)
    monkeypatch.setattr(dispatch, "PATIENCE", 0.3)
    monkeypatch.setattr(dispatch, "MOST_STREAMS", 1)
    host, port = site.web.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    body = json.dumps({"prompt": "a red house", "stream": True})
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
    kind = f"Authorization: Bearer {program.cookie}\r\nContent-Type: application/json\r\n\r\n"
    writer.write((head + kind + body).encode())
    await asyncio.wait_for(closed.wait(), 20)
    writer.close()
    monkeypatch.undo()
    [job] = (await program.get("/api/jobs")).data["jobs"]
    await site.finished(job["id"])
    assert (await program.get(f"/api/jobs/{job['id']}")).data["status"] == "delivered"
    assert (await program.post("/v1/images/generations", {"prompt": "x", "stream": True})).status == 200


async def test_a_host_without_programs_lets_none_in(tmp_path) -> None:
    async with open_site(tmp_path, API="off") as site:
        assert (await site.you.post("/api/tokens", {"name": "x", "scopes": ["look"]})).status == 403
        assert "Programs are off here" in await site.you.page("/programs")


async def test_tokens_are_exported_without_their_hash_and_deleted_with_their_person(site: Site) -> None:
    program = await site.program()
    copy = await site.you.get("/api/privacy/export?pictures=0")
    with zipfile.ZipFile(io.BytesIO(copy.body)) as archive:
        [row] = json.loads(archive.read("data.json"))["api_tokens"]
    assert row["label"] == "a script" and "token_hash" not in row
    assert (await site.you.ask("DELETE", "/api/privacy")).status == 204
    assert (await program.get("/api/jobs")).status == 401


async def test_the_page_of_calls_has_all_that_a_token_opens(site: Site) -> None:
    page = await site.you.page("/programs/calls")
    opened = [route for route in site.web.routes if route.scopes]
    assert page.count('<details class="call">') == len(opened) > 100
    for route in opened:
        path = PART.sub(r"{\1}", route.path)
        assert f"{route.method} {path}</code>" in page
    assert "<code>partial_images</code></dt><dd>integer from 0 to 3, can be left out</dd>" in page
