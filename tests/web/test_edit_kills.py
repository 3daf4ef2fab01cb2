"""The proof that kills the bot while somebody paints: its page goes on in another document before one is
full, and sees a document that isn't what was painted."""

import json

import pytest

from proofs.web.edit_kills import FULL, OLD, Page, Report, ended_wrongly
from proofs.web.process import Browser, Person
from studio.editor.document import MOST_STROKES
from tests.web.conftest import Site


@pytest.fixture
async def page(site: Site) -> Page:
    """A page of a document that takes three strokes."""
    found = Page(Browser(site.http, site.web.url, Person(1, str(site.you.cookie))), seed=4, most=3)
    found.job = (await site.drawn(site.you))["id"]
    await found.turn()
    return found


async def test_a_page_begins_another_document_before_one_is_full(site: Site, page: Page) -> None:
    for _ in range(7):
        await page.save()
    assert [len(strokes) for strokes in page.full.values()] == [3, 3] and len(page.strokes) == 1
    kept = (await site.you.get("/api/documents")).data["documents"]
    assert {one["id"] for one in kept} == {page.document, *page.full}
    await page.open()
    await page.check_full()
    assert page.report.wrong == [] and FULL < MOST_STROKES


async def test_a_full_document_that_is_another_is_seen(site: Site, page: Page) -> None:
    for _ in range(4):
        await page.save()
    [(document, strokes)] = page.full.items()
    body, known = json.dumps({"keep": 2, "strokes": []}), {"If-Match": '"4"'}
    headers = {**known, "Content-Type": "application/json"}
    assert (await site.you.ask("PATCH", f"/api/documents/{document}", headers, data=body)).status == 200
    await page.check_full()
    assert page.report.wrong == [f"{document} was full, and is another"] and len(strokes) == 3


def test_edits_that_three_kills_met_are_counted_apart_from_wrong_ones() -> None:
    page = Page(Browser(None, "", Person(1, "")), seed=4)  # type: ignore[arg-type]
    page.jobs = {"edit-0": "a", "edit-1": "b", "edit-2": "c", "edit-3": "d"}
    made = [("web:edit-0", "a", "delivered", 0), ("web:edit-1", "b", "failed", 1)]
    made += [("web:edit-2", "c", "failed", 0), ("web:edit-4", "e", "delivered", 0)]
    wrong = ["edit-2 became ('c', 'failed', 0)", "edit-3 became None", "edit-4 is nobody's"]
    assert ended_wrongly(page, made) == wrong
    assert page.report.given_up == 1


def test_a_stroke_counts_as_lost_from_two_seconds_on() -> None:
    assert Report(unsaved=[0.0, OLD, OLD + 0.1]).lost == 1
