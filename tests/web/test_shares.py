"""Links that show pictures to whoever has them, and show nothing to anybody from the moment they end."""

import io
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.errors import StorageError
from core.job import Surface
from storage import moderation
from storage.schema import inputs, jobs, shares
from storage.sessions import hash_of
from studio.authority import Actor
from studio.library.shares import KEY, read_key
from tests.web.conftest import OTHER, YOU, Site
from tests.web.test_folders import make
from tests.web.test_trash import named, put
from web.handlers.shares import embed_of

WORDS = "a secretive red house"
HOST, GUILD = 99, 10
OLD = "made-by-another-key".ljust(43, "x")


async def share(browser, **what) -> dict:
    answer = await browser.post("/api/shares", what)
    assert answer.status == 201, answer.body
    return answer.data


def path_of(site: Site, made: dict) -> str:
    assert made["link"].startswith(f"{site.web.url}/s/")
    return made["link"].removeprefix(site.web.url)


@dataclass
class Linked:
    """A shared picture, and every address that shows it."""

    site: Site
    job: dict
    share: dict
    folder: str

    @property
    def addresses(self) -> list[str]:
        page = path_of(self.site, self.share)
        files = f"/files{page}/{self.job['id']}/2"
        return [page, files, f"{files}/256.webp", f"{files}/512.webp"]


async def linked(site: Site, kind: str, guild: int | None = None) -> Linked:
    """A share of a picture, of a job's pictures, or of a folder; asked for in a server or on the web."""
    if guild is None:
        job = await site.drawn(site.you, WORDS)
    else:
        result = await site.opened.drawn(Actor(YOU, guild, 100, surface=Surface.DISCORD), WORDS)
        job = (await site.you.get(f"/api/jobs/{result.job.id}")).data
    folder = await make(site.you, "Shown")
    await site.you.post(f"/api/folders/{folder}/items", {"pictures": named(job, 2)})
    what = {"picture": {"job": job["id"], "n": 2}, "job": {"job": job["id"]}, "folder": {"folder": folder}}
    return Linked(site, job, await share(site.you, **what[kind]), folder)


async def test_a_link_is_told_again_to_its_owner_alone_and_stands_in_no_copy_of_the_database(site) -> None:
    one = await linked(site, "picture")
    [told] = (await site.you.get("/api/shares")).data["shares"]
    assert told["link"] == one.share["link"] and one.share["link"] in await site.you.page("/shares")
    other = await site.person(OTHER)
    assert (await other.get("/api/shares")).data == {"shares": []}
    assert one.share["link"] not in await other.page("/shares")
    rows = await site.opened.services.database.read(lambda c: c.execute(sa.select(shares)).all())
    assert path_of(site, one.share).removeprefix("/s/") not in repr(rows)
    key = site.opened.services.settings.data_dir / KEY
    assert (key.stat().st_size, key.stat().st_mode & 0o077) == (32, 0)
    other_key = sa.update(shares).values(token_hash=hash_of(OLD))
    await site.opened.services.database.write(lambda c: c.execute(other_key) and None)
    [told] = (await site.you.get("/api/shares")).data["shares"]
    assert told["link"] is None and "Copy link" not in await site.you.page("/shares")
    assert (await site.stranger().get(f"/s/{OLD}")).status == 200, "it works as before"


async def test_a_link_that_has_ended_is_told_to_nobody(site) -> None:
    one = await linked(site, "job")
    await _revoke(one)
    [told] = (await site.you.get("/api/shares")).data["shares"]
    assert told["ended"] and told["link"] is None


@pytest.mark.parametrize(("data", "said"), [(b"short", "5 bytes instead of 32"), (None, "can't be used")])
def test_a_key_that_cant_be_one_is_named(tmp_path, data, said) -> None:
    key = tmp_path / KEY
    key.mkdir() if data is None else key.write_bytes(data)
    with pytest.raises(StorageError, match=said):
        read_key(key)


async def _revoke(one: Linked) -> None:
    assert (await one.site.you.ask("DELETE", f"/api/shares/{one.share['id']}")).status == 204


async def _expire(one: Linked) -> None:
    past = sa.update(shares).values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await one.site.opened.services.database.write(lambda c: c.execute(past) and None)


async def _throw_away(one: Linked) -> None:
    await put(one.site.you, *named(one.job, 1, 2, 3, 4))


async def _delete_pictures(one: Linked) -> None:
    await put(one.site.you, *named(one.job, 1, 2))
    await one.site.you.ask("DELETE", "/api/trash")
    await put(one.site.you, *named(one.job, 3, 4))


async def _delete_job(one: Linked) -> None:
    assert (await one.site.you.ask("DELETE", f"/api/jobs/{one.job['id']}")).status == 204


async def _judge(one: Linked, score: float) -> None:
    result = await one.site.opened.services.queue.result(one.job["id"])
    hashes = [picture.sha256 for picture in result.pictures]

    def work(connection: sa.Connection) -> None:
        for sha256 in hashes:
            moderation.set_score(connection, sha256, "all fit", score)

    await one.site.opened.services.database.write(work)


async def _block(one: Linked) -> None:
    await _judge(one, 0.99)


async def _ban(one: Linked) -> None:
    await one.site.opened.services.queue.admin.ban(HOST, YOU)


async def _ban_where_it_was_asked(one: Linked) -> None:
    await one.site.opened.services.queue.admin.ban(HOST, YOU, GUILD)


async def _forbid_where_it_was_asked(one: Linked) -> None:
    await _judge(one, 0.6)
    await one.site.opened.services.moderator.set_policy(HOST, GUILD, level="strict")


async def _forget(one: Linked) -> None:
    await one.site.opened.services.privacy.delete(YOU)


async def _delete_folder(one: Linked) -> None:
    assert (await one.site.you.ask("DELETE", f"/api/folders/{one.folder}")).status == 204


async def _take_out(one: Linked) -> None:
    path = f"/api/folders/{one.folder}/items/remove"
    assert (await one.site.you.post(path, {"pictures": named(one.job, 2)})).status == 200


End = Callable[[Linked], Awaitable[None]]
EVERY: list[End] = [_revoke, _expire, _throw_away, _delete_pictures, _delete_job, _block, _ban, _forget]
CASES = [
    *((kind, None, end) for kind in ("picture", "job", "folder") for end in EVERY),
    *(("folder", None, end) for end in (_delete_folder, _take_out)),
    ("picture", GUILD, _ban_where_it_was_asked),
    ("picture", GUILD, _forbid_where_it_was_asked),
]


@pytest.mark.parametrize(
    ("kind", "guild", "end"), CASES, ids=[f"{kind}-{end.__name__.strip('_')}" for kind, _, end in CASES]
)
async def test_a_share_that_has_ended_shows_nothing_at_the_next_request(site, kind, guild, end) -> None:
    one = await linked(site, kind, guild)
    stranger = site.stranger()
    never = one.share["link"].removeprefix(site.web.url)
    never = re.sub(r"(?<=/s/)[^/]+", "A" * 43, never)
    for address in one.addresses:
        assert (await stranger.get(address)).status == 200, address
    await end(one)
    for address in one.addresses:
        gone = await stranger.get(address)
        other = await stranger.get(re.sub(r"(?<=/s/)[^/]+", "A" * 43, address))
        assert (gone.status, gone.body) == (404, other.body), address
        headers = [{k: v for k, v in one.headers.items() if k != "Date"} for one in (gone, other)]
        assert headers[0] == headers[1], address


async def _write_words_into(one: Linked) -> None:
    """Make the stored picture one that holds its prompt, as the worker writes it."""
    result = await one.site.opened.services.queue.result(one.job["id"])
    path, words = one.site.opened.services.files.path(result.pictures[1].sha256), PngInfo()
    words.add_text("parameters", WORDS)
    with Image.open(path) as picture:
        picture.save(path, pnginfo=words)


async def test_what_is_shown_tells_no_words_unless_they_were_ticked(site) -> None:
    one = await linked(site, "picture")
    await _write_words_into(one)
    with_words = Linked(site, one.job, await share(site.you, job=one.job["id"], n=2, words=True), "")
    stranger = site.stranger()
    for linked_one, told in ((one, False), (with_words, True)):
        for address in linked_one.addresses:
            answer = await stranger.get(address)
            # small copies are drawn anew, and never have what was typed
            assert (b"secretive" in answer.body) == (told and "webp" not in address), address
            assert answer.headers["Cache-Control"] == "private, no-store", address
            assert answer.headers["Referrer-Policy"] == "no-referrer", address
            assert "noindex" in answer.headers["X-Robots-Tag"], address
    page = await stranger.page(one.addresses[0])
    assert "Made with a model" in page and 'name="robots" content="noindex' in page
    assert 'alt="A picture"' in page and one.job["prompt"] not in page
    small = await stranger.get(one.addresses[2])
    with Image.open(io.BytesIO(small.body)) as picture:
        assert picture.format == "WEBP" and max(picture.size) <= 256
    assert b"trainedAlgorithmicMedia" in small.body, "the mark stays"
    assert b"trainedAlgorithmicMedia" in (await stranger.get(one.addresses[1])).body


async def test_words_that_a_rule_hides_from_the_world_are_not_told_by_a_link(site) -> None:
    one = await linked(site, "picture", GUILD)
    await _write_words_into(one)
    told = Linked(site, one.job, await share(site.you, job=one.job["id"], n=2, words=True, title="Mine"), "")
    stranger = site.stranger()
    assert b"secretive" in (await stranger.get(told.addresses[0])).body
    await site.opened.services.moderator.add_word(HOST, None, "secretive")
    for address in told.addresses:
        answer = await stranger.get(address)
        assert answer.status == 200 and b"secretive" not in answer.body, address
    refused = await site.you.post("/api/shares", {"job": one.job["id"], "title": "my secretive house"})
    assert refused.status == 400 and "title" in refused.data["detail"]


async def test_a_share_shows_what_was_shared_and_nothing_beside_it(site) -> None:
    one, other = await linked(site, "picture"), await site.drawn(site.you)
    stranger = site.stranger()
    page = path_of(site, one.share)
    text = await stranger.page(page)
    assert text.count("<figure>") == 1 and f"/files{page}/{one.job['id']}/2" in text
    for beside in (f"{one.job['id']}/1", f"{other['id']}/1", "abcdabcdabcd/1", f"{one.job['id']}/99"):
        assert (await stranger.get(f"/files{page}/{beside}")).status == 404, beside
    whole = path_of(site, await share(site.you, job=one.job["id"], title="  My  house "))
    text = await stranger.page(whole)
    assert text.count("<figure>") == 4 and "<h1>My house</h1>" in text and 'alt="My house, 2"' in text
    await put(site.you, *named(one.job, 3))
    assert (await stranger.page(whole)).count("<figure>") == 3
    assert (await stranger.get(f"/files{whole}/{one.job['id']}/3")).status == 404
    in_folder = path_of(site, await share(site.you, folder=one.folder))
    assert (await stranger.page(in_folder)).count("<figure>") == 1
    await site.you.post(f"/api/folders/{one.folder}/items", {"pictures": named(other, 1)})
    assert (await stranger.page(in_folder)).count("<figure>") == 2


async def test_a_link_that_is_pasted_into_a_chat_shows_what_its_page_shows(site) -> None:
    one, stranger = await linked(site, "picture"), site.stranger()
    whole = path_of(site, await share(site.you, job=one.job["id"], title="My <house>"))

    async def tags(path: str) -> dict[str, str]:
        page = await stranger.page(path)
        return dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]*)" content="([^"]*)">', page))

    shown, several = await tags(one.addresses[0]), await tags(whole)
    assert shown["og:title"] == "A picture" and several["og:title"] == "My &lt;house&gt;"
    assert shown["og:url"] == one.share["link"] and "shared until" in shown["og:description"]
    for found in (shown, several):
        picture = await stranger.get(found["og:image"].removeprefix(site.web.url))
        assert picture.status == 200 and found["twitter:card"] == "summary_large_image"
        assert not any("secretive" in value for value in found.values())
    first = f"/files{whole}/{one.job['id']}/1/512.webp"
    assert several["og:image"] == f"{site.web.url}{first}"
    await put(site.you, *named(one.job, 1))
    assert (await tags(whole))["og:image"].endswith("/2/512.webp"), "what is thrown away isn't shown"


async def embedded(stranger, page: str) -> dict | None:
    """What Discord finds beside a page that it may copy."""
    found = re.search(r'<link rel="discord:component-embed" type="application/json" href="([^"]*)">', page)
    if found is None:
        return None
    answer = await stranger.get(urlsplit(found[1]).path)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "private, no-store" and len(answer.body) <= 3000
    return answer.data["component"]


async def test_discord_may_copy_what_a_link_shows_where_its_owner_has_ticked_it(site) -> None:
    one, stranger = await linked(site, "picture"), site.stranger()
    assert await embedded(stranger, await stranger.page(one.addresses[0])) is None
    assert (await stranger.get(f"{one.addresses[0]}/embed.json")).status == 404
    made = await share(site.you, job=one.job["id"], title="A *red* [house](https://bad)", embed=True)
    link = path_of(site, made)
    page = await stranger.page(link)
    assert "og:image" in page, "who can't show it shows the smaller preview"
    container = await embedded(stranger, page)
    assert container is not None and container["type"] == 17
    text, gallery = container["components"]
    assert (
        text["content"].startswith(r"### A \*red\* \[house\]\(https://bad\)") and "until" in text["content"]
    )
    assert [item["description"][-3:] for item in gallery["items"]] == [", 1", ", 2", ", 3", ", 4"]
    for item in gallery["items"]:
        shown = await stranger.get(item["media"]["url"].removeprefix(site.web.url))
        assert shown.status == 200 and shown.headers["Content-Type"] == "image/webp"
    assert "secretive" not in repr(container)
    listed = (await site.you.get("/api/shares")).data["shares"]
    assert [one["embed"] for one in listed] == [True, False]
    assert (await site.you.page("/shares")).count("Discord may keep a copy") == 1
    await put(site.you, *named(one.job, 1))
    container = await embedded(stranger, await stranger.page(link))
    assert container is not None and len(container["components"][1]["items"]) == 3
    await _judge(one, 0.85)  # veiled at level standard, which a link never shows
    assert (await stranger.get(f"{link}/embed.json")).status == 404


async def test_what_a_picture_shows_is_told_to_who_cant_see_it_where_its_owner_had_it_described(site) -> None:
    one, stranger = await linked(site, "picture"), site.stranger()
    result = await site.opened.services.queue.result(one.job["id"])
    sha256 = result.pictures[1].sha256

    async def described(user_id: int, captions: list[str]) -> None:
        asked = await site.opened.drawn(Actor(user_id, None, 0, surface=Surface.WEB), "another boat")

        def work(connection: sa.Connection) -> None:
            told = sa.update(jobs).where(jobs.c.id == asked.job.id).values(captions=json.dumps(captions))
            connection.execute(told)
            connection.execute(sa.insert(inputs).values(job_id=asked.job.id, sha256=sha256))

        await site.opened.services.database.write(work)

    async def alts() -> list[str]:
        page = await stranger.page(one.addresses[0])
        return re.findall(r'(?:og:image:alt" content|<img src="[^"]*/2"[^>]* alt)="([^"]*)"', page)

    await described(OTHER, ["what somebody else was told"])
    assert await alts() == ["A picture"] * 2
    await described(YOU, ["a lonely house", "a house of bricks"])
    assert await alts() == ["a lonely house"] * 2
    await site.opened.services.moderator.add_word(HOST, None, "lonely")
    assert await alts() == ["A picture"] * 2, "a rule hides it from the world"


@pytest.mark.parametrize("end", EVERY, ids=[end.__name__.strip("_") for end in EVERY])
async def test_discord_finds_nothing_of_a_link_that_has_ended(site, end) -> None:
    one = await linked(site, "picture")
    made = await share(site.you, job=one.job["id"], n=2, embed=True)
    link, stranger = path_of(site, made), site.stranger()
    assert (await stranger.get(f"{link}/embed.json")).status == 200
    await end(Linked(site, one.job, made, one.folder))
    assert (await stranger.get(f"{link}/embed.json")).status == 404


@pytest.mark.parametrize("origin", ["https://a.example", "https://" + "a" * 240 + ".example"])
@pytest.mark.parametrize("letter", ["a", '"', "\u6f22", "*"])
def test_an_embed_has_as_many_bytes_as_discord_reads(origin: str, letter: str) -> None:
    thumb = f"/files/s/{'x' * 43}/abcdabcdabcd/100/512.webp"
    pictures = [{"thumb": thumb, "alt": letter * 300}] * 60
    page = {"title": letter * 100, "until": "30 September 2026", "origin": origin, "pictures": pictures}
    found = embed_of(page)
    assert len(json.dumps(found, ensure_ascii=False).encode()) <= 3000
    items = found["component"]["components"][1]["items"]
    assert len(items) == (10 if len(origin) < 100 else 3) and all(item["description"] for item in items)


async def test_visits_are_counted_but_for_ones_own(site) -> None:
    one = await linked(site, "picture")
    page = one.addresses[0]
    for visitor in (site.stranger(), site.stranger(), await site.person(OTHER), site.you):
        assert (await visitor.get(page)).status == 200
    await site.stranger().get(one.addresses[1])
    [listed] = (await site.you.get("/api/shares")).data["shares"]
    assert (listed["views"], listed["ended"], listed["n"]) == (3, False, 2)
    assert (await (await site.person(OTHER)).get("/api/shares")).data == {"shares": []}


async def test_nobody_shares_or_ends_what_isnt_theirs(site) -> None:
    one = await linked(site, "picture")
    other = await site.person(OTHER)
    for what in ({"job": one.job["id"], "n": 2}, {"job": one.job["id"]}, {"folder": one.folder}):
        theirs = await other.post("/api/shares", what)
        never = await other.post("/api/shares", {name: "abcdabcdabcd" for name in what if name != "n"})
        assert (theirs.status, theirs.body) == (400, never.body), what
    for share_id in (one.share["id"], "abcdabcdabcd"):
        assert (await other.ask("DELETE", f"/api/shares/{share_id}")).status == 404
    assert (await site.stranger().get(one.addresses[0])).status == 200


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"days": 0}, "1 to 365"),
        ({"days": -1}, "1 to 365"),
        ({"days": 366}, "1 to 365"),
        ({"days": "7"}, "whole number"),
        ({"title": "x" * 101}, "up to 100"),
        ({"words": "yes"}, "true or false"),
    ],
)
async def test_what_cant_be_is_refused_with_the_reason(site, more, said) -> None:
    job = await site.drawn(site.you)
    answer = await site.you.post("/api/shares", {"job": job["id"], "n": 1, **more})
    assert answer.status == 400 and said in answer.data["detail"]


async def test_what_is_hidden_or_smart_isnt_shared(site) -> None:
    one = await linked(site, "picture")
    await _block(one)
    answer = await site.you.post("/api/shares", {"job": one.job["id"], "n": 1})
    assert answer.status == 400 and "hidden by a rule" in answer.data["detail"]
    smart = await make(site.you, "Smart", query="q=house")
    answer = await site.you.post("/api/shares", {"folder": smart})
    assert answer.status == 400 and "smart folder" in answer.data["detail"]
    await _ban(one)
    assert (await site.you.post("/api/shares", {"job": one.job["id"]})).status == 403


async def test_a_share_lasts_as_long_as_asked_and_its_row_a_while_longer(site) -> None:
    job = await site.drawn(site.you)
    for asked, days in ((None, 7), (1, 1), (365, 365)):
        made = await share(site.you, job=job["id"], **({} if asked is None else {"days": asked}))
        lasts = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"])
        assert lasts == timedelta(days=days)
    services = site.opened.services
    for ago, left in ((29, 3), (31, 2)):
        past = datetime.now(UTC) - timedelta(days=ago)
        row = sa.update(shares).where(shares.c.id == made["id"]).values(revoked_at=past)
        await services.database.write(lambda c, row=row: c.execute(row) and None)
        await services.janitor.sweep()
        assert len((await site.you.get("/api/shares")).data["shares"]) == left


async def test_pages_say_that_they_need_scripts_but_what_a_link_shows_does_not(site) -> None:
    link = path_of(site, await share(site.you, job=(await site.drawn(site.you, WORDS))["id"]))
    for browser, path, needed in (
        (site.you, "/", True),
        (site.you, "/settings", True),
        (site.stranger(), "/in", True),
        (site.stranger(), link, False),
    ):
        assert ("<noscript>" in await browser.page(path)) is needed, path


async def test_a_private_picture_that_is_put_into_a_shared_folder_later_stays_private(site) -> None:
    folder, before = await make(site.you, "Shown"), await site.drawn(site.you, f"{WORDS} --stealth")
    path = f"/api/folders/{folder}/items"
    await site.you.post(path, {"pictures": named(before, 1)})
    made = await share(site.you, folder=folder)
    later, open_one = await site.drawn(site.you, f"{WORDS} --stealth"), await site.drawn(site.you, WORDS)
    await site.you.post(path, {"pictures": [*named(before, 2), *named(later, 3), *named(open_one, 4)]})
    stranger, link = site.stranger(), path_of(site, made)
    page = await stranger.page(link)
    for job, number, status in ((before, 1, 200), (before, 2, 404), (later, 3, 404), (open_one, 4, 200)):
        address = f"/files{link}/{job['id']}/{number}"
        assert (address in page) is (status == 200), (job["prompt"], number)
        assert (await stranger.get(address)).status == (await stranger.get(f"{address}/256.webp")).status
        assert (await stranger.get(address)).status == status, (job["prompt"], number)
    anew = path_of(site, await share(site.you, folder=folder))
    assert (await stranger.get(f"/files{anew}/{later['id']}/3")).status == 200, "it was meant"


async def test_folders_say_how_many_links_show_them(site) -> None:
    job, folder = await site.drawn(site.you, WORDS), await make(site.you, "Shown")
    await site.you.post(f"/api/folders/{folder}/items", {"pictures": named(job, 1)})
    ended, _ = [await share(site.you, folder=folder) for _ in range(2)]
    await site.you.ask("DELETE", f"/api/shares/{ended['id']}")
    [found] = (await site.you.get("/api/folders")).data["folders"]
    assert found["links"] == 1  # which the dialogs that ask for a folder tell, too
    assert "shared by link" in await site.you.page("/folders")
