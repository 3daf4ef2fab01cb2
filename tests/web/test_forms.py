"""Answers as tables, boxes and text on the web: shown, downloaded, and kept from whoever may not see them."""

import io
import json

from PIL import Image

from tests.studio.talker import Talker
from tests.web.conftest import Site
from tests.web.test_talks import MODEL, begun

TABLE = (
    '{"title": "Rain", "x": "Month", "columns": ["mm"], "rows": [["Jan", 12], ["<b>", "3"], ["@x", null]]}'
)
BOXES = '[{"bbox_2d": [100, 100, 500, 600], "label": "cat"}]'


def talker() -> Talker:
    found = Talker()
    found.say = {"Table": TABLE, "Boxes": BOXES, "Text": "EXIT"}
    return found


EXECUTOR = talker
SETTINGS = MODEL


async def turn_of(site: Site, job: str) -> dict:
    return (await site.you.get(f"/api/talk/{job}")).data["turns"][-1]


async def test_a_table_is_shown_drawn_and_downloaded(site: Site) -> None:
    job = await begun(site, "Table", answer="table")
    turn = await turn_of(site, job)
    assert turn["table"] == {
        "title": "Rain",
        "columns": ["Month", "mm"],
        "rows": [["Jan", "12"], ["<b>", "3"], ["@x", ""]],
        "numbers": [False, True],
    }
    drawn = await site.you.ask("GET", turn["drawing"]["original"])
    assert Image.open(io.BytesIO(drawn.body)).size == (turn["drawing"]["width"], turn["drawing"]["height"])
    rows = await site.you.ask("GET", f"/files/{job}/table.csv")
    assert rows.body.decode("utf-8-sig") == "Month,mm\r\nJan,12\r\n<b>,3\r\n'@x,\r\n"
    assert f"{job}-table.csv" in rows.headers["Content-Disposition"]
    told = json.loads((await site.you.ask("GET", f"/files/{job}/table.json")).body)
    assert told["rows"] == [["Jan", 12.0], ["<b>", 3.0], ["@x", None]]
    page = (await site.you.ask("GET", f"/talk/{job}")).body.decode()
    assert '<th scope="row">&lt;b&gt;</th>' in page and f"/files/{job}/table.csv" in page


async def test_boxes_are_listed_and_drawn(site: Site) -> None:
    turn = await turn_of(site, await begun(site, "Boxes", answer="boxes"))
    assert turn["boxes"] == ["cat"] and turn["table"] is None
    assert turn["drawing"]["width"] == 64


async def test_a_form_that_isnt_one_is_named(site: Site) -> None:
    answer = await site.you.post("/api/talk", {"question": "What?", "answer": "video", "pictures": []})
    assert answer.status == 400 and "free, short, table, boxes, text" in answer.body.decode()


async def test_what_follows_a_table_is_asked_in_words(site: Site) -> None:
    job = await begun(site, "Table", answer="table")
    more = (await site.made(f"/api/talk/{job}", {"question": "Which?"}))["id"]
    assert (await turn_of(site, more))["form"] == "free"
    other = (await site.made(f"/api/talk/{job}", {"question": "Boxes", "answer": "boxes"}))["id"]
    assert (await turn_of(site, other))["boxes"] == ["cat"], "of the picture of the question before"


async def test_the_files_of_a_table_are_for_those_who_may_see_it(site: Site) -> None:
    job = await begun(site, "Table", answer="table")
    other = await site.person(77)
    assert (await site.you.ask("GET", "/files/abcdabcdabcd/table.csv")).status == 404
    assert (await site.you.ask("GET", f"/files/{job}/table.exe")).status == 404
    for path in (f"/files/{job}/table.csv", f"/files/{job}/0", f"/files/{job}/0/512.webp"):
        assert (await other.ask("GET", path)).status == 404, path
