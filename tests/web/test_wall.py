"""The wall of styles on the web."""

from core.styles import codes
from tests.web.conftest import Site

WORDS = {code: ", ".join(triple) for triple, code in codes().items()}


async def test_the_wall_shows_styles_with_what_they_write_into_a_prompt(site: Site) -> None:
    page = await site.you.page("/wall?q=stained+glass+moonlight&prompt=a+boat+%3Cb%3E")
    shown = [
        number for number, words in WORDS.items() if words.startswith("stained") and "moonlight" in words
    ]
    assert all(f'data-number="{number}"' in page for number in shown)
    assert page.count('class="style"') == len(shown) == 10
    assert f"/?prompt=a+boat+%3Cb%3E+--sref+{shown[0]}" in page


async def test_likes_are_kept_and_lead(site: Site) -> None:
    number = next(reversed(WORDS))
    assert (await site.you.post(f"/api/wall/{number}/like", {"liked": True})).status == 204
    first = (await site.you.get("/api/wall")).data["styles"][0]
    assert (first["number"], first["liked"], first["likes"]) == (number, True, 1)
    only = (await site.you.get("/api/wall?liked=1")).data
    assert [one["number"] for one in only["styles"]] == [number] and only["older"] is None
    assert (await site.you.post("/api/wall/4294967295/like", {"liked": True})).status == 400


async def test_pictures_and_folders_become_codes(site: Site) -> None:
    job = (await site.drawn(site.you, "a house"))["id"]
    made = await site.you.post("/api/wall/code", {"pictures": [f"{job} 1"]})
    assert made.status in (200, 400), "400 where nobody sees"
    folder = (await site.you.post("/api/folders", {"name": "ink"})).data["id"]
    assert (await site.you.post("/api/wall/code", {"folder": folder})).status == 400, "it is empty"
    assert (await site.you.post("/api/wall/code", {"folder": "abcd2345efgh"})).status == 404
    assert (await site.you.post("/api/wall/code", {"pictures": ["abcd2345efgh 1"]})).status == 404


async def test_pages_follow_each_other(site: Site) -> None:
    first = (await site.you.get("/api/wall")).data
    second = (await site.you.get(f"/api/wall?before={first['older']}")).data
    numbers = [one["number"] for one in first["styles"] + second["styles"]]
    assert len(set(numbers)) == 120
    assert (await site.you.get("/api/wall?like=2")).status == 400
    assert (await site.you.get("/files/wall/2.webp")).status == 404
