"""Posting a picture to a channel over HTTP: only one's own, only where one may write, and not without end."""

import pytest

from studio.authority import Place
from studio.library.shares import AT_ONCE
from tests.studio.servers import Channel, Server, Servers
from tests.web.conftest import OTHER, YOU, Site

HERE, HALL, QUIET, ADULT, CLOSED = 10, 100, 101, 102, 103


@pytest.fixture
def servers(site: Site, monkeypatch) -> Servers:
    """A server where you write in the hall, read in a quiet one, and see nothing of a third."""
    both = {YOU, OTHER}
    channels = {HALL: Channel(set(both), set(both)), QUIET: Channel(set(both), set(), name="quiet")}
    channels |= {ADULT: Channel(set(both), set(both), adult=True, name="adult")}
    channels |= {CLOSED: Channel(set(), set(both), name="closed")}
    found = Servers({HERE: Server("Here", channels, {YOU: False, OTHER: False})})
    monkeypatch.setattr("studio.rights.KEPT", 0.0)
    with site.opened.services.directory.connected(found):
        yield found


def body(job: str, n: int = 1, channel: int = HALL, server: int = HERE) -> dict[str, object]:
    return {"job": job, "n": n, "server": str(server), "channel": str(channel)}


async def test_a_picture_is_posted_where_its_owner_may_write(site: Site, servers: Servers) -> None:
    job = await site.drawn(site.you)
    hall = {"id": str(HALL), "name": "hall"}
    found = (await site.you.get("/api/channels")).data
    assert found == {"servers": [{"id": str(HERE), "name": "Here", "channels": [hall]}]}
    assert (await site.you.post("/api/posts", body(job["id"], 3))).status == 204
    assert servers.posted == [(Place(HERE, HALL), job["id"], 2, YOU)]


async def test_nobody_posts_others_pictures_or_where_they_may_not_write(site: Site, servers) -> None:
    job, other = await site.drawn(site.you), await site.person(OTHER)
    refused = await other.post("/api/posts", body(job["id"]))
    never = await other.post("/api/posts", body("abcd2345efgh"))
    assert (refused.status, refused.body) == (never.status, never.body), "as if it never was"
    for channel in (QUIET, ADULT, CLOSED, 104):
        answer = await site.you.post("/api/posts", body(job["id"], channel=channel))
        assert answer.status == 403 and "You can't write there" in answer.data["detail"]
    assert (await site.you.post("/api/posts", body(job["id"], server=11))).status == 403
    assert servers.posted == []


async def test_who_is_banned_there_or_has_thrown_the_picture_away_posts_nothing(site: Site, servers) -> None:
    job = await site.drawn(site.you)
    assert (await site.you.post("/api/trash", {"pictures": [f"{job['id']}/2"]})).status == 200
    answer = await site.you.post("/api/posts", body(job["id"], 2))
    assert answer.status == 422 and "in the trash" in answer.data["detail"]
    assert (await site.you.post("/api/posts", body(job["id"], 9))).status in (404, 422)
    servers.servers[HERE + 1] = Server("Abroad")  # a ban in the bot's only server would hold everywhere
    await site.opened.services.queue.admin.ban(1, YOU, HERE)
    assert (await site.you.get("/api/channels")).data == {"servers": []}
    assert (await site.you.post("/api/posts", body(job["id"]))).status == 403
    assert servers.posted == []


async def test_posts_have_an_end_and_silence_is_told(site: Site, servers: Servers) -> None:
    job = await site.drawn(site.you)
    answers = [await site.you.post("/api/posts", body(job["id"])) for _ in range(AT_ONCE + 1)]
    assert [answer.status for answer in answers] == [204] * AT_ONCE + [429]
    assert "Post again in" in answers[-1].data["detail"]
    site.opened.studio.posting._pace._full_at.clear()
    post = servers.post

    async def silent(*args: object) -> None:
        servers.silent = True
        try:
            await post(*args)  # type: ignore[arg-type]
        finally:
            servers.silent = False

    servers.post = silent  # type: ignore[method-assign]
    answer = await site.you.post("/api/posts", body(job["id"]))
    assert answer.status == 429 and "Discord doesn't answer" in answer.data["detail"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"server": "x"}, "`server` takes the id"),
        ({"channel": 5}, "`channel` takes a text"),
        ({"n": "1"}, "`n`"),
    ],
)
async def test_what_means_nothing_is_told(site: Site, servers, change, words) -> None:
    job = await site.drawn(site.you)
    answer = await site.you.post("/api/posts", {**body(job["id"]), **change})
    assert answer.status == 400 and words in answer.data["detail"]
