"""Folders and smart folders on the web."""

import pytest

from tests.web.conftest import OTHER
from tests.web.test_trash import named, put, shown


async def make(browser, name: str, **more: str) -> str:
    answer = await browser.post("/api/folders", {"name": name, **more})
    assert answer.status == 201, answer.body
    return answer.data["id"]


async def form(browser, path: str, **fields: str):
    return await browser.ask("POST", path, data=fields or {"x": ""})


async def test_pictures_are_put_into_a_folder_and_taken_out(site) -> None:
    house, boat = await site.drawn(site.you, "a red house"), await site.drawn(site.you, "a blue boat")
    folder = await make(site.you, "  Best   ones ")
    path = f"/api/folders/{folder}/items"
    wanted = [*named(house, 1, 2), *named(boat, 4)]
    assert (await site.you.post(path, {"pictures": wanted})).data == {"count": 3}
    assert (await site.you.post(path, {"pictures": wanted})).data == {"count": 0}
    assert await shown(site.you, f"folder={folder}") == [*named(boat, 4), *named(house, 1, 2)]
    assert await shown(site.you, f"folder={folder}&q=house") == named(house, 1, 2)
    [found] = (await site.you.get("/api/folders")).data["folders"]
    assert (found["name"], found["pictures"], found["query"]) == ("Best ones", 3, None)
    page = await site.you.page(f"/folders/{folder}")
    assert "Best ones" in page and f"/files/{house['id']}/2/256.webp" in page
    assert f"/files/{boat['id']}/4/256.webp" in await site.you.page("/folders")
    await put(site.you, *named(house, 1))
    assert await shown(site.you, f"folder={folder}") == [*named(boat, 4), *named(house, 2)]
    taken = await site.you.post(f"{path}/remove", {"pictures": named(boat, 4)})
    assert taken.data == {"count": 1} and await shown(site.you, f"folder={folder}") == named(house, 2)
    assert (await site.you.ask("DELETE", f"/api/folders/{folder}")).status == 204
    assert (await site.you.get(f"/folders/{folder}")).status == 404
    assert len(await shown(site.you)) == 7, "a folder goes without its pictures"


async def test_a_smart_folder_fills_itself(site) -> None:
    await site.drawn(site.you, "a red house")
    folder = await make(site.you, "Boats", query="q=boat&month=&foo=1&kind=imagine")
    assert await shown(site.you, f"folder={folder}") == []
    boat = await site.drawn(site.you, "a blue boat")
    assert await shown(site.you, f"folder={folder}") == named(boat, 1, 2, 3, 4)
    assert await shown(site.you, f"folder={folder}&q=red") == []
    [found] = (await site.you.get("/api/folders")).data["folders"]
    assert (found["query"], found["looks_for"]) == ("q=boat&kind=imagine", "“boat”, imagine")
    for path in ("items", "items/remove"):
        answer = await site.you.post(f"/api/folders/{folder}/{path}", {"pictures": named(boat, 1)})
        assert answer.status == 400 and "by itself" in answer.data["detail"]
    page = await site.you.page(f"/folders/{folder}")
    assert "Smart: “boat”, imagine" in page and f"/files/{boat['id']}/1/256.webp" in page


async def test_somebody_elses_folder_looks_like_none(site) -> None:
    job, folder = await site.drawn(site.you), await make(site.you, "Mine")
    await site.you.post(f"/api/folders/{folder}/items", {"pictures": named(job, 1)})
    stranger = await site.person(OTHER)
    own = await make(stranger, "Theirs")
    never = "abcdabcdabcd"
    asked = [
        ("GET", "/folders/{}", {}),
        ("GET", "/api/pictures?folder={}", {}),
        ("PATCH", "/api/folders/{}", {"json": {"name": "x"}}),
        ("DELETE", "/api/folders/{}", {}),
        ("POST", "/api/folders/{}/items", {"json": {"pictures": named(job, 1)}}),
        ("POST", "/api/folders/{}/items/remove", {"json": {"pictures": named(job, 1)}}),
    ]
    for method, path, sent in asked:
        theirs = await stranger.ask(method, path.format(folder), **sent)
        nobodys = await stranger.ask(method, path.format(never), **sent)
        assert (theirs.status, theirs.body) == (404, nobodys.body), path
    answer = await stranger.post(f"/api/folders/{own}/items", {"pictures": named(job, 1)})
    assert answer.status == 422 and await shown(stranger, f"folder={own}") == []
    assert await shown(site.you, f"folder={folder}") == named(job, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "`name` is missing"),
        ({"name": " "}, "1 to 80"),
        ({"name": "x" * 81}, "up to 80 characters; this one has 81"),
        ({"name": "a\u0007b"}, "can't be seen (U+0007)"),
        ({"name": "first"}, "already"),
        ({"name": "smart", "query": "foo=1"}, "needs words"),
        ({"name": "smart", "query": "kind=foo"}, "`kind` takes"),
        ({"name": "smart", "query": "month=never"}, "`month` takes"),
    ],
)
async def test_a_folder_that_cant_be_is_refused_with_the_reason(site, body, said) -> None:
    await make(site.you, "first")
    answer = await site.you.post("/api/folders", body)
    assert answer.status == 400 and said in answer.data["detail"]
    assert len((await site.you.get("/api/folders")).data["folders"]) == 1
