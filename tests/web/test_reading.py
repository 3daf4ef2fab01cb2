"""The text of pictures on the web: asked for under a picture, shown on its page and among the newest jobs."""

from dataclasses import replace

from core.results import TextLine
from studio.library.gallery import HIDDEN
from tests.studio.conftest import AtOnce
from tests.web.conftest import open_site
from vision.protocol import Done

HOSTILE = '</pre><img src=x onerror="alert(1)">'


class Reads(AtOnce):
    """Reads in every picture what a test wants."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    async def run(self, device, run, report):
        outcome = await super().run(device, run, report)
        if not isinstance(outcome, Done) or not outcome.output.lines:
            return outcome
        line: TextLine = replace(outcome.output.lines[0], text=self.text)
        return Done(run.job_id, replace(outcome.output, lines=(line,)))


async def read(site, job) -> dict:
    return await site.made(f"/api/jobs/{job['id']}/1/read")


async def test_a_picture_is_read_and_its_page_shows_the_text(site) -> None:
    job = await site.drawn(site.you)
    assert "read" in {action["action"] for action in job["picture_actions"]}
    before = await site.you.page(f"/pictures/{job['id']}/1")
    assert 'class="answer"' not in before
    made = await read(site, job)
    assert made["text"] == "OPEN 24 H" and made["pictures"] == [] and made["grid"]
    assert [action["action"] for action in made["actions"]] == ["delete"]
    page = await site.you.page(f"/pictures/{job['id']}/1")
    assert 'class="answer"' in page and ">OPEN 24 H</pre>" in page
    assert f'href="/pictures/{made["id"]}/' not in page, "it has no page of its own"
    newest = await site.you.page("/")
    assert ">OPEN 24 H</pre>" in newest and made["grid"]["thumb"] in newest
    assert (await site.you.get(made["grid"]["thumb"])).status == 200


async def test_a_reading_is_no_picture_of_a_gallery(site) -> None:
    job = await site.drawn(site.you)
    made = await read(site, job)
    tiles = (await site.you.get("/api/pictures")).data["pictures"]
    assert {tile["job"] for tile in tiles} == {job["id"]}
    assert (await site.you.get(f"/pictures/{made['id']}/1")).status == 404


async def test_text_in_a_picture_is_text_on_every_page(tmp_path) -> None:
    async with open_site(tmp_path, Reads(HOSTILE)) as site:
        job = await site.drawn(site.you)
        assert (await read(site, job))["text"] == HOSTILE
        for path in (f"/pictures/{job['id']}/1", "/"):
            page = await site.you.page(path)
            assert "onerror" in page and "<img src=x" not in page and "</pre><img" not in page


async def test_text_that_breaks_a_rule_is_not_shown(tmp_path) -> None:
    async with open_site(tmp_path, Reads("a nude"), MODERATION="strict") as site:
        job = await site.drawn(site.you)
        made = await read(site, job)
        assert made["text"] == "" and made["notes"] == [HIDDEN]
        page = await site.you.page(f"/pictures/{job['id']}/1")
        assert "nude" not in page and "read-text" not in page


class Describes(AtOnce):
    """Describes every picture in the same words."""

    async def run(self, device, run, report):
        outcome = await super().run(device, run, report)
        if not isinstance(outcome, Done) or run.kind != "describe":
            return outcome
        return Done(run.job_id, replace(outcome.output, captions=("a nude", "a house")))


async def test_captions_that_break_a_rule_are_not_shown(tmp_path) -> None:
    async with open_site(tmp_path, Describes(), MODERATION="strict") as site:
        job = await site.drawn(site.you)
        made = await site.made(f"/api/jobs/{job['id']}/1/describe")
        assert made["captions"] == ["a house"] and made["notes"] == [HIDDEN]
        for path in ("/", f"/?from={made['id']}&n=1", f"/?from={made['id']}&n=2"):
            assert "nude" not in await site.you.page(path), path
