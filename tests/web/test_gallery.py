"""Pictures page by page, filtered, by month; favourites; small copies."""

import io
import sqlite3
from datetime import UTC, datetime

import sqlalchemy as sa
from PIL import Image

from storage import gallery as rows
from storage.schema import jobs, pictures
from tests.web.conftest import COOKIE, OTHER, Browser


async def test_pages_follow_each_other_without_gap_or_repeat(site) -> None:
    jobs = [await site.drawn(site.you, f"house number {n}") for n in range(3)]
    await site.drawn(await site.person(OTHER), "somebody else's house")
    wanted = [(job["id"], n) for job in reversed(jobs) for n in (1, 2, 3, 4)]
    found, before = [], ""
    while True:
        page = (await site.you.get(f"/api/pictures?limit=5{before}")).data
        found += [(tile["job"], tile["n"]) for tile in page["pictures"]]
        if page["older"] is None:
            break
        before = f"&before={page['older']}"
    assert found == wanted
    jump = (await site.you.get("/api/pictures?limit=3&skip=6")).data
    assert [(tile["job"], tile["n"]) for tile in jump["pictures"]] == wanted[6:9] and jump["skipped"] == 6


async def test_a_draft_of_a_sheet_tells_its_own_choice(site) -> None:
    await site.drawn(site.you, "a {red, blue} boat --sheet")
    tiles = (await site.you.get("/api/pictures?limit=4")).data["pictures"]
    assert [(tile["n"], tile["prompt"]) for tile in tiles[:2]] == [
        (1, "a red boat --draft"),
        (2, "a blue boat --draft"),
    ]


async def test_one_draft_of_a_sheet_is_deleted_alone_and_kept_from_others(site) -> None:
    sheet = await site.drawn(site.you, "a {red, blue} boat --sheet --stealth")
    seventh, other = f"{sheet['id']}/7", await site.person(OTHER)
    for path in (f"/files/{seventh}/256.webp", f"/files/{seventh}", f"/pictures/{seventh}"):
        assert (await site.you.get(path)).status == 200
        assert (await other.get(path)).status in (403, 404), path
    for path in ("/api/trash", "/api/trash/delete"):
        await other.post(path, {"pictures": [seventh]})
    assert (await site.you.get(f"/files/{seventh}")).status == 200
    for path in ("/api/trash", "/api/trash/delete"):
        assert (await site.you.post(path, {"pictures": [seventh]})).status == 200
    assert (await site.you.get(f"/files/{seventh}")).status == 404
    tiles = (await site.you.get("/api/pictures?limit=24")).data["pictures"]
    assert [tile["n"] for tile in tiles] == [n for n in range(1, 25) if n != 7]
    assert (await site.you.get(f"/files/{sheet['id']}/8")).status == 200


async def test_the_editor_of_a_draft_is_named_by_its_own_words(site) -> None:
    sheet = await site.drawn(site.you, "a {red, blue} boat --sheet")
    for n, words in ((1, "a red boat"), (2, "a blue boat"), (24, "a blue boat")):
        page = await site.you.page(f"/edit/{sheet['id']}/{n}")
        assert words in page and "{" not in page.partition("<title>")[2].partition("</title>")[0]
        assert ("a red boat" in page) == (n == 1)


async def test_filters_narrow_what_is_shown(site) -> None:
    house = await site.drawn(site.you, "a red house")
    await site.drawn(site.you, "a blue 100% boat_")
    await site.you.ask("PUT", f"/api/favourites/{house['id']}/2")
    await site.you.ask("PUT", f"/api/favourites/{house['id']}/2")

    async def shown(query: str) -> list[str]:
        tiles = (await site.you.get(f"/api/pictures?{query}")).data["pictures"]
        return [f"{tile['prompt']} {tile['n']}" for tile in tiles]

    assert await shown("q=HOUSE+red") == [f"a red house {n}" for n in (1, 2, 3, 4)]
    assert await shown("q=100%25") == [f"a blue 100% boat_ {n}" for n in (1, 2, 3, 4)]
    assert await shown("q=h_use") == []
    assert await shown("favourite=1") == ["a red house 2"]
    assert len(await shown("kind=imagine")) == 8 and await shown("kind=blend") == []
    assert await shown("month=2001-01") == []
    month = house["created"][:7]
    assert len(await shown(f"month={month}")) == 8
    assert (await site.you.get("/api/months")).data == {"months": [{"month": month, "pictures": 8}]}
    await site.you.ask("DELETE", f"/api/favourites/{house['id']}/2")
    assert await shown("favourite=1") == []


async def test_days_and_months_go_by_the_clock_of_whoever_looks(site) -> None:
    job = await site.drawn(site.you)
    at = datetime(2026, 11, 30, 20, tzinfo=UTC)
    change = sa.update(jobs).where(jobs.c.id == job["id"]).values(created_at=at)
    await site.opened.services.database.write(lambda c: c.execute(change))

    async def ask(zone: str, path: str):
        cookies = {"Cookie": f"{COOKIE}={site.you.cookie}; zone={zone}"}
        return (await Browser(site.http, site.web.url).get(path, headers=cookies)).data

    async def count(zone: str, query: str) -> int:
        return len((await ask(zone, f"/api/pictures?{query}"))["pictures"])

    for zone in ("", "Europe/Berlin", "no/where", "../../etc/passwd", "x" * 200):
        assert await ask(zone, "/api/months") == {"months": [{"month": "2026-11", "pictures": 4}]}, zone
        assert await count(zone, "from=2026-11-30&to=2026-11-30") == await count(zone, "month=2026-11") == 4
        assert await count(zone, "q=from:2026-12-01") == 0, zone
    assert await ask("Asia/Tokyo", "/api/months") == {"months": [{"month": "2026-12", "pictures": 4}]}
    assert await count("Asia/Tokyo", "q=from:2026-12-01") == await count("Asia/Tokyo", "month=2026-12") == 4


async def test_filters_that_mean_nothing_are_named(site) -> None:
    for query, said in (
        ("kind=foo", "imagine"),
        ("month=2026-13", "such as 2026-11"),
        ("before=x", "`older`"),
        ("before=99999999999999999999-0", "`older`"),
        ("before=1-99999999999999999999", "`older`"),
        ("before=-1--1", "`older`"),
        ("limit=0", "1 to 200"),
        ("limit=999", "1 to 200"),
        ("skip=-1", "0 to 1000000"),
    ):
        answer = await site.you.get(f"/api/pictures?{query}")
        assert answer.status == 400 and said in answer.data["detail"], query


async def test_small_copies_are_small_and_originals_whole(site) -> None:
    job = await site.drawn(site.you)
    small = await site.you.get(f"/files/{job['id']}/1/256.webp")
    with Image.open(io.BytesIO(small.body)) as picture:
        assert picture.format == "WEBP" and max(picture.size) <= 256
    whole = await site.you.get(f"/files/{job['id']}/1?download=1")
    assert whole.headers["Content-Disposition"] == f'attachment; filename="{job["id"]}-1.png"'
    with Image.open(io.BytesIO(whole.body)) as picture:
        assert picture.size == (job["pictures"][0]["width"], job["pictures"][0]["height"])
    assert (await site.you.get(f"/files/{job['id']}/0")).status == 200, "the overview"
    assert b"trainedAlgorithmicMedia" in whole.body and b"trainedAlgorithmicMedia" in small.body
    for path in ("/1/300.webp", "/9", "/00", "/99/256.webp"):
        assert (await site.you.get(f"/files/{job['id']}{path}")).status in (404, 422), path


async def test_a_picture_shows_where_it_comes_from(site) -> None:
    job = await site.drawn(site.you)
    made = await site.you.post(f"/api/jobs/{job['id']}/2/subtle")
    child = made.data["jobs"][0]
    await site.finished(child["id"])
    assert child["parent"] == {"job": job["id"], "n": 2}
    assert f"/pictures/{child['id']}/1" in await site.you.page(f"/pictures/{job['id']}/2")
    assert f"/pictures/{job['id']}/2" in await site.you.page(f"/pictures/{child['id']}/1")
    assert f"/pictures/{child['id']}/1" not in await site.you.page(f"/pictures/{job['id']}/1")


async def test_settings_are_those_of_discord(site) -> None:
    before = await site.you.get("/api/settings")
    assert {field["name"] for field in before.data["fields"]} >= {"lane", "remix", "private", "suffix"}
    changed = await site.you.ask(
        "PATCH", "/api/settings", json={"lane": "relax", "stylize": "250", "remix": True}
    )
    assert changed.status == 200
    from studio.authority import Actor

    now = await site.opened.studio.own.preferences(Actor(1, None))
    assert (now.lane, now.stylize, now.remix) == ("relax", 250, True)
    for body in ({"foo": 1}, {"lane": "warp"}, {"suffix": "words"}, {"lane": 7}):
        assert (await site.you.ask("PATCH", "/api/settings", json=body)).status == 400, body


async def test_shapes_stand_in_the_order_of_the_pictures_that_are_shown(site) -> None:
    made = [await site.drawn(site.you, words) for words in ("a boat", "a house", "a fox", "a tree")]
    wide, square, *others = (job["id"] for job in made)
    sizes = {wide: (96, 64), **dict.fromkeys(others, (64, 96))}

    def stretch(connection: sa.Connection) -> None:
        for job, (width, height) in sizes.items():
            change = sa.update(pictures).where(pictures.c.job_id == job)
            connection.execute(change.values(width=width, height=height))

    await site.opened.services.database.write(stretch)
    await site.you.post("/api/trash", {"pictures": [f"{square}/1"]})
    await site.you.ask("PUT", f"/api/favourites/{wide}/3")

    async def shapes(query: str) -> list[int]:
        [day] = (await site.you.get(f"/api/days?{query}")).data["days"]
        tiles = (await site.you.get(f"/api/pictures?{query}")).data["pictures"]
        ratios = [
            ratio
            for ratio, count in zip(day["shapes"][::2], day["shapes"][1::2], strict=True)
            for _ in range(count)
        ]
        assert ratios == [round(100 * tile["width"] / tile["height"]) for tile in tiles], query
        assert day["day"] == made[0]["created"][:10]
        return day["shapes"]

    assert await shapes("") == [67, 8, 100, 3, 150, 4] and await shapes("favourite=1") == [150, 1]
    assert await shapes("trash=1") == [100, 1]
    assert (await site.you.get("/api/days?q=house")).data == {"days": None}, "some fit better than others"
    assert (await (await site.person(OTHER)).get("/api/days")).data == {"days": []}


async def test_days_are_counted_again_only_after_something_changed(site, monkeypatch) -> None:
    job = await site.drawn(site.you)
    counted, count = [], rows.days

    def counting(connection, user_id, wanted, zone):
        counted.append(user_id)
        return count(connection, user_id, wanted, zone)

    monkeypatch.setattr(rows, "days", counting)
    for _ in range(3):
        assert (await site.you.get("/api/months")).data["months"][0]["pictures"] == 4
    assert len(counted) <= 1
    await site.drawn(site.you)
    assert (await site.you.get("/api/months")).data["months"][0]["pictures"] == 8
    await site.you.ask("DELETE", f"/api/jobs/{job['id']}")
    assert (await site.you.get("/api/months")).data["months"][0]["pictures"] == 4
    assert len(counted) == 3


async def test_a_month_long_ago_is_found_without_reading_later_ones(site, monkeypatch) -> None:
    job = await site.drawn(site.you)
    ran: list[tuple[str, object]] = []

    def noted(connection, cursor, statement, parameters, context, many):
        ran.append((statement, parameters))

    engine = site.opened.services.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", noted)
    await site.you.get(f"/api/pictures?month={job['created'][:7]}")
    sa.event.remove(engine, "before_cursor_execute", noted)
    [(statement, parameters)] = [one for one in ran if "kept_at" in one[0]]
    with sqlite3.connect(site.opened.services.database.path) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    connection.close()
    assert any("jobs_user (user_id=? AND seq>? AND seq<?)" in step for step in plan), plan
    assert sum("COVERING INDEX jobs_user_asked" in step for step in plan) == 2, plan
