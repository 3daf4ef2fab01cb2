"""What others made, on the web: only what the person could open on Discord, and only as long as they can."""

import random
from dataclasses import replace

import pytest

from core.job import NOBODY, Job, Origin, Surface
from core.requests import ImagineRequest
from storage.members import Members
from studio.authority import TABLE, Action, Actor, Role
from studio.requests.actions import RIGHTS
from tests.studio.servers import Channel, Server, Servers
from tests.web.conftest import OTHER, YOU, Browser, Site
from tests.web.test_folders import form
from tests.web.test_zip import opened

HERE, ABROAD, HALL, CLOSED, ADULT, FAR = 10, 11, 100, 101, 102, 110
AUTHOR, MANAGER = 50, 51
LABELLED = {"subtle", "strong", "remix", "again", "describe", "up2s"}


@pytest.fixture
def servers(site: Site, monkeypatch) -> Servers:
    """Two servers: you read the hall of one, and the other not at all."""
    everybody = {YOU, AUTHOR, MANAGER}
    channels = {HALL: Channel(set(everybody)), CLOSED: Channel({AUTHOR, MANAGER})}
    channels |= {ADULT: Channel(set(everybody), adult=True)}
    here = Server("Here", channels, {YOU: False, AUTHOR: False, MANAGER: True})
    abroad = Server("Abroad", {FAR: Channel({AUTHOR})}, {AUTHOR: False})
    found = Servers({HERE: here, ABROAD: abroad})
    connected = site.opened.services.directory.connected(found)
    monkeypatch.setattr("studio.rights.KEPT", 0.0)
    monkeypatch.setattr("studio.rights.ABSENT", 0.0)
    with connected:
        yield found


async def made(site: Site, channel: int = HALL, *, guild: int | None = HERE, words: str = "a house") -> Job:
    """A job that somebody asked for on Discord, with the message that shows it."""
    job = (await site.opened.drawn(Actor(AUTHOR, guild, channel, name="anna"), words)).job
    await site.opened.services.queue.add_view(job.id, random.getrandbits(60), channel, guild)
    return job


async def explored(browser: Browser, query: str = "") -> list[str]:
    tiles = (await browser.get(f"/api/explore?limit=200{query}")).data["pictures"]
    return list(dict.fromkeys(tile["job"] for tile in tiles))


async def test_a_browser_keeps_pictures_of_others_for_minutes_and_ones_own_for_good(site, servers) -> None:
    """What is deleted, or no longer fit, of somebody else has to go from it."""
    theirs, mine = (await made(site)).id, (await site.drawn(site.you))["id"]
    for job, kept in ((theirs, "private, max-age=300"), (mine, "private, max-age=31536000, immutable")):
        for path in (f"/files/{job}/1", f"/files/{job}/1/256.webp"):
            answer = await site.you.get(path)
            assert (answer.status, answer.headers["Cache-Control"]) == (200, kept), path


async def test_what_can_be_read_on_discord_is_shown_and_nothing_else(site, servers) -> None:
    first = await made(site)
    for channel, guild, words in (
        (HALL, HERE, "a house --stealth"),
        (CLOSED, HERE, "a house"),
        (ADULT, HERE, "a house"),
        (FAR, ABROAD, "a house"),
        (77, None, "a house"),
    ):
        await made(site, channel, guild=guild, words=words)
    await site.drawn(site.you)
    assert await explored(site.you) == [first.id]
    assert await explored(await site.person(OTHER)) == []
    page = await site.you.page("/explore")
    assert page.count('<li class="tile') == 4 and "Nothing is shown to others yet" not in page
    nobody = await (await site.person(OTHER)).page("/explore")
    assert "No Discord server of yours is connected" in nobody and "Choose a picture of yours" in nobody
    assert nobody.count('<a href="/?prompt=') == 6


async def test_ones_own_pictures_are_shown_once_others_can_see_them(site, servers) -> None:
    [kept, linked, sorted_, posted, secret] = [await site.drawn(site.you, f"a house {n}") for n in range(5)]
    queue = site.opened.services.queue
    assert await explored(site.you) == []
    share = (await site.you.post("/api/shares", {"job": linked["id"], "n": 2})).data
    folder = (await site.you.post("/api/folders", {"name": "Shown"})).data["id"]
    await site.you.post(f"/api/folders/{folder}/items", {"pictures": [f"{sorted_['id']}/3"]})
    await site.you.post("/api/shares", {"folder": folder})
    await queue.add_view(posted["id"], 1, HALL, HERE, index=0)
    await queue.add_view(secret["id"], 2, 77, None)
    tiles = (await site.you.get("/api/explore?limit=200")).data["pictures"]
    shown = [(tile["job"], tile["n"]) for tile in tiles]
    assert shown == [(posted["id"], 1), (sorted_["id"], 3), (linked["id"], 2)]
    page = (await site.you.get("/api/explore?limit=2")).data
    rest = (await site.you.get(f"/api/explore?limit=2&before={page['older']}")).data
    assert [(tile["job"], tile["n"]) for tile in page["pictures"] + rest["pictures"]] == shown
    assert await explored(site.you, f"&server={HERE}") == []
    assert await explored(await site.person(AUTHOR)) == [], "to others no more is shown than before"
    await site.you.ask("DELETE", f"/api/shares/{share['id']}")
    assert linked["id"] not in await explored(site.you) and kept["id"] not in await explored(site.you)


async def test_age_restricted_channels_show_up_for_who_says_to_be_of_age(site, servers) -> None:
    job = await made(site, ADULT)
    viewer = f"/pictures/{job.id}/1"
    assert await explored(site.you) == [] and (await site.you.get(viewer)).status == 404
    assert (await site.you.ask("PATCH", "/api/settings", json={"adult": True})).status == 200
    assert await explored(site.you) == [job.id] and (await site.you.get(viewer)).status == 200


async def test_who_may_no_longer_read_gets_nothing_at_the_next_request(site, servers) -> None:
    job = await made(site)
    paths = (f"/pictures/{job.id}/1", f"/api/jobs/{job.id}", f"/files/{job.id}/1")
    paths += (f"/files/{job.id}/1/256.webp",)
    for take in (
        lambda: servers.servers[HERE].channels[HALL].readers.remove(YOU),
        lambda: servers.servers[HERE].members.pop(YOU),
        lambda: servers.servers.pop(HERE),
    ):
        assert await explored(site.you) == [job.id]
        assert [(await site.you.get(path)).status for path in paths] == [200] * 4
        kept = dict(servers.servers), set(servers.servers[HERE].channels[HALL].readers)
        members = dict(servers.servers[HERE].members)
        take()
        assert await explored(site.you) == []
        for path in paths:
            gone = await site.you.get(path)
            never = await site.you.get(path.replace(job.id, "zzzz2345zzzz"))
            assert (gone.status, gone.body) == (404, never.body), path
        servers.servers.update(kept[0])
        servers.servers[HERE].channels[HALL].readers |= kept[1]
        servers.servers[HERE].members |= members


async def test_what_its_author_threw_away_is_shown_to_nobody_else(site, servers) -> None:
    job = await made(site)
    author = await site.person(AUTHOR)
    assert (await author.post("/api/trash", {"pictures": [f"{job.id}/2"]})).status == 200
    for query in ("", "&q=trash:yes", "&trash=1"):
        tiles = (await site.you.get(f"/api/explore?limit=200{query}")).data.get("pictures", [])
        assert [tile["n"] for tile in tiles] in ([1, 3, 4], []), query
    assert (await site.you.get(f"/files/{job.id}/2/256.webp")).status == 404  # as number 9 is


async def test_what_its_author_threw_away_nobody_else_can_take(site, servers) -> None:
    job, author = await made(site), await site.person(AUTHOR)
    favourite = f"/api/favourites/{job.id}/3"
    assert (await site.you.ask("PUT", favourite)).status == 204
    assert (await author.post("/api/trash", {"pictures": [f"{job.id}/2", f"{job.id}/3"]})).status == 200
    for action in ("up2s", "subtle", "zoom15", "describe", "read", "cutout"):
        assert (await site.you.post(f"/api/jobs/{job.id}/2/{action}")).status == 404, action
        assert (await author.post(f"/api/jobs/{job.id}/2/{action}")).status == 202, action
    name, layer = f"{job.id} 2", {"id": "a", "source": {"job": job.id, "n": 2}}
    document = {"v": 1, "width": 64, "height": 64, "layers": [layer], "words": "a dog"}
    for path, body in (
        ("/api/jobs", {"prompt": "a dog", "pictures": [name]}),
        ("/api/edits", {"document": document}),
        ("/api/examples", {"set": "houses", "label": "x", "pictures": [name]}),
    ):
        assert (await site.you.post(path, body)).status == 422, path
    assert (await site.you.ask("PUT", f"/api/favourites/{job.id}/2")).status == 404
    named = " ".join(f"{job.id}/{n}" for n in (1, 2, 3, 4))
    archive = opened(await form(site.you, "/api/zip", pictures=named))
    assert [entry[-5:] for entry in archive.namelist()] == ["1.png", "4.png"]
    you, studio = Actor(YOU, HERE, HALL), site.opened.studio
    found = await studio.own.favourite(you, 0)
    assert found is not None and found[2] is None
    await studio.own.add_favourites(you, job.id, None)
    kept = await Members(site.opened.services.database).favourites(YOU, limit=9)
    assert {one.position for one in kept} == {0, 2, 3}
    await author.post("/api/trash", {"pictures": [f"{job.id}/1", f"{job.id}/4"]})
    assert (await studio.made(you, job.id, Action.SHOW))[1] is None


async def test_a_picture_leads_to_its_message_on_discord(site, servers, monkeypatch) -> None:
    job = await made(site)
    page = await site.you.page(f"/pictures/{job.id}/1")
    assert f"https://discord.com/channels/{HERE}/{HALL}/" in page
    assert "<dt>Author</dt><dd>anna</dd>" in page and 'href="/explore" aria-current="page"' in page
    secret = await made(site, words="a house --stealth")
    page = await (await site.person(AUTHOR)).page(f"/pictures/{secret.id}/1")
    assert "a house" in page and "discord.com/channels" not in page


async def test_a_banned_person_explores_nothing(site, servers) -> None:
    job = await made(site)
    await site.opened.services.queue.admin.ban(MANAGER, YOU, HERE)
    assert await explored(site.you) == []
    assert (await site.you.get(f"/pictures/{job.id}/1")).status in (403, 404)


async def test_pages_follow_each_other_over_servers(site, servers) -> None:
    servers.servers[ABROAD].members[YOU] = False
    servers.servers[ABROAD].channels[FAR].readers.add(YOU)
    jobs = [await made(site, *place) for place in ((HALL,), (CLOSED,), (HALL,))]
    jobs.insert(1, await made(site, FAR, guild=ABROAD))
    wanted = [(job.id, n) for job in (jobs[1], jobs[3], jobs[0]) for n in (1, 2, 3, 4)]
    found, before = [], ""
    while before is not None:
        page = (await site.you.get(f"/api/explore?limit=5{before}")).data
        found += [(tile["job"], tile["n"]) for tile in page["pictures"]]
        before = page["older"] and f"&before={page['older']}"
    assert found == wanted
    assert await explored(site.you, f"&server={ABROAD}") == [jobs[1].id]
    assert await explored(site.you, "&q=nothing") == []
    assert (await site.you.get("/api/explore?server=x")).status == 400


async def test_a_page_of_tiles_asks_discord_once(site, servers, monkeypatch) -> None:
    monkeypatch.setattr("studio.rights.KEPT", 5.0)
    job = await made(site)
    await made(site)
    servers.asked.clear()
    await explored(site.you)
    for number in (1, 2, 3, 4):
        assert (await site.you.get(f"/files/{job.id}/{number}/256.webp")).status == 200
    assert servers.asked == [(YOU, HERE), (YOU, ABROAD)]


@pytest.mark.parametrize("who", [YOU, AUTHOR, MANAGER])
async def test_the_viewer_offers_what_the_table_of_rights_allows(site, servers, who) -> None:
    job = await made(site)
    role = (
        Role.ANYONE
        | {YOU: Role.MEMBER, AUTHOR: Role.AUTHOR | Role.MEMBER, MANAGER: Role.MEMBER | Role.MANAGER}[who]
    )
    browser = await site.person(who)
    shown = (await browser.get(f"/api/jobs/{job.id}")).data
    offered = {action["action"] for action in (*shown["actions"], *shown["picture_actions"])}
    allowed = {name for name, action in RIGHTS.items() if TABLE[action].public & role}
    assert offered - allowed == set() and LABELLED <= offered
    assert ("delete" in offered) is bool(TABLE[Action.DELETE].public & role) is (who != YOU)
    page = await browser.page(f"/pictures/{job.id}/1")
    assert ("Delete the job" in page) is (who != YOU)
    for name in sorted(offered & LABELLED):
        body = {"words": "a blue house"} if name == "remix" else {}
        answer = await browser.post(f"/api/jobs/{job.id}/1/{name}", body)
        assert answer.status in (202, 429), (name, answer.body)
    deleted = await browser.ask("DELETE", f"/api/jobs/{job.id}")
    assert deleted.status == (403 if who == YOU else 204)


async def test_what_explore_shows_is_what_the_rights_let_be_seen(site, servers) -> None:
    """In random worlds, against the table itself."""
    dice, rights = random.Random(4), site.opened.studio.explore._rights
    jobs = [
        await made(site, channel, guild=guild, words=words)
        for channel, guild in ((HALL, HERE), (CLOSED, HERE), (ADULT, HERE), (FAR, ABROAD))
        for words in ("a house", "a house --stealth")
    ]
    everybody = (YOU, AUTHOR, MANAGER, OTHER)
    for _ in range(15):
        for server in servers.servers.values():
            server.members = {user: dice.random() < 0.3 for user in everybody if dice.random() < 0.7}
            for channel in server.channels.values():
                channel.readers = {user for user in everybody if dice.random() < 0.6}
        for user in (YOU, OTHER):
            actor = (await site.web.visitors.find((await site.person(user)).cookie)).actor
            found = await explored(await site.person(user))
            seen = [job.id for job in reversed(jobs) if await rights.allowed(actor, (Action.SHOW,), job)]
            assert found == seen


async def test_a_manager_sees_their_servers_queue_and_nobody_else_does(site, servers) -> None:
    queue = site.opened.services.queue
    await queue.pause(1)
    for words in ("a red house", "a secret boat --stealth"):
        await _waiting(site, Actor(AUTHOR, HERE, HALL, name="anna"), words)
    abroad = await _waiting(site, Actor(AUTHOR, ABROAD, FAR, name="anna"), "a far tree")
    manager, member = await site.person(MANAGER), await site.person(YOU)
    [seen] = (await manager.get("/api/queues")).data["queues"]
    assert (seen["name"], seen["waiting"], seen["paused"]) == ("Here", 2, True)
    assert [(job["who"], job["prompt"], job["private"]) for job in seen["jobs"]] == [
        ("anna", "a red house", False),
        ("anna", "", True),
    ]
    page = await manager.page("/queue")
    assert "a red house" in page and "secret" not in page and "far tree" not in page
    assert (await member.get("/api/queues")).data["queues"] == []
    assert "a red house" not in await member.page("/queue")
    first, second = (job["id"] for job in seen["jobs"])
    assert (await member.post(f"/api/jobs/{first}/cancel")).status == 403  # they see it in the hall
    assert (await member.post(f"/api/jobs/{second}/cancel")).status == 404
    assert (await manager.post(f"/api/jobs/{abroad}/cancel")).status == 404
    assert (await manager.post(f"/api/jobs/{first}/cancel")).data == {"stopped": True}
    assert (await manager.post(f"/api/jobs/{second}/cancel")).data == {"stopped": True}
    assert (await manager.get("/api/queues")).data["queues"][0]["jobs"] == []


async def test_what_the_studio_asks_by_itself_is_nobody_s_in_a_queue(site, servers) -> None:
    await site.opened.services.queue.pause(1)
    origin = Origin(NOBODY, 0, HERE, private=True, surface=Surface.WEB)
    await site.opened.services.queue.submit(ImagineRequest(prompt="a red house"), origin)
    [seen] = (await (await site.person(MANAGER)).get("/api/queues")).data["queues"]
    assert [job["who"] for job in seen["jobs"]] == ["The studio itself"]


async def _waiting(site: Site, actor: Actor, words: str) -> str:
    studio = site.opened.studio
    [new] = await (await studio.requests.imagine(actor, words, None)).jobs()
    return (await studio.submit(actor, replace(new, private="--stealth" in words))).job.id


async def test_the_host_sees_the_queue_of_every_server(site, servers, monkeypatch) -> None:
    monkeypatch.setattr(Servers, "owner_ids", {YOU})
    await site.opened.services.queue.pause(1)
    await _waiting(site, Actor(AUTHOR, ABROAD, FAR, name="anna"), "a far tree")
    [seen] = (await site.you.get("/api/queues")).data["queues"]
    assert seen["name"] == "The whole studio" and seen["jobs"][0]["prompt"] == "a far tree"


async def test_who_was_kicked_asks_for_nothing_more_and_keeps_their_data(site, servers) -> None:
    job = await site.drawn(site.you)
    del servers.servers[HERE].members[YOU]
    paths = (("/api/jobs", {"prompt": "a red house"}), (f"/api/jobs/{job['id']}/1/subtle", {}))
    for path, body in paths:
        answer = await site.you.post(path, body)
        assert answer.status == 403 and "share no server" in answer.data["detail"], path
    for path in ("/api/pictures", f"/files/{job['id']}/1", "/api/privacy/export"):
        assert (await site.you.get(path)).status == 200, path
    servers.silent = True
    silent = await site.you.post("/api/jobs", {"prompt": "a red house"})
    assert silent.status == 403, "what was told last holds for a while"
    servers.servers.clear()
    assert (await site.you.post("/api/jobs", {"prompt": "a red house"})).status == 202, "nobody can tell"


async def test_a_ban_in_the_only_server_cancels_what_waits_on_the_web(site, servers) -> None:
    del servers.servers[ABROAD]
    await site.opened.services.queue.pause(1)
    asked = (await site.you.post("/api/jobs", {"prompt": "a red house"})).data["jobs"][0]["id"]
    server, mira = site.opened.studio.server, Actor(MANAGER, HERE, HALL, manages=True)
    assert await server.ban(mira, YOU) == 1
    found = await site.opened.services.queue.job(asked)
    assert found is not None and found.status.over
    answer = await site.you.post("/api/jobs", {"prompt": "a red house"})
    assert answer.status == 403 and "blocked" in answer.data["detail"]
