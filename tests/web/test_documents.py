"""Documents over HTTP: saved over the version that one knows, from several tabs, with clear limits."""

import io
import json
import zipfile

from studio.authority import Actor
from studio.editor.editor import MOST_DOCUMENTS
from tests.web.conftest import OTHER

ONE = {"v": 1, "width": 512, "height": 256}
ONE |= {"layers": [{"id": "a", "source": {"job": "abcd2345efgh", "n": 2}}]}
DOT = {"tool": "brush", "value": 1, "r": [80], "at": [800, 800], "xy": ""}


def over(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


async def made(site, **more):
    answer = await site.you.post("/api/documents", {"document": ONE, **more})
    assert answer.status == 201, answer.body
    return answer


async def test_a_document_is_kept_listed_read_and_deleted(site) -> None:
    answer = await made(site, name="  the   harbour ")
    assert answer.headers["ETag"] == '"1"' and answer.data["version"] == 1
    path = f"/api/documents/{answer.data['id']}"
    [listed] = (await site.you.get("/api/documents")).data["documents"]
    assert listed["name"] == "the harbour" and "document" not in listed
    assert (listed["width"], listed["height"]) == (512, 256)
    assert listed["source"] == {"job": "abcd2345efgh", "n": 2}
    found = await site.you.get(path)
    assert found.headers["ETag"] == '"1"' and found.data["document"] == ONE
    other = await site.person(OTHER)
    for method in ("GET", "DELETE"):
        assert (await other.ask(method, path)).status == 404
    assert (await site.you.ask("DELETE", path)).status == 204
    assert (await site.you.get(path)).status == 404


async def test_two_tabs_never_overwrite_each_other(site) -> None:
    path = f"/api/documents/{(await made(site)).data['id']}"
    first = await site.you.ask("PUT", path, {**over(1)}, json={"document": {**ONE, "words": "fog"}})
    assert (first.status, first.data, first.headers["ETag"]) == (200, {"version": 2}, '"2"')
    second = await site.you.ask("PUT", path, {**over(1)}, json={"document": {**ONE, "words": "rain"}})
    assert second.status == 412 and second.data["version"] == 2
    assert "another tab" in second.data["detail"]
    assert (await site.you.get(path)).data["document"]["words"] == "fog"
    unsaid = await site.you.ask("PUT", path, json={"document": ONE})
    assert unsaid.status == 428 and "If-Match" in unsaid.data["detail"]
    assert (await site.you.ask("PUT", path, {**over(2)}, json={"document": ONE, "name": "x"})).status == 200
    assert (await site.you.get(path)).data["name"] == "x"
    gone = await site.you.ask("PUT", "/api/documents/abcd2345efgh", {**over(1)}, json={"document": ONE})
    assert gone.status == 404


async def test_the_last_strokes_alone_can_be_sent(site) -> None:
    given = {**ONE, "mask": {"base": None, "strokes": [DOT, {"tool": "invert"}]}}
    path = f"/api/documents/{(await made(site, document=given)).data['id']}"
    more = [{**DOT, "at": [8, 8]}, {**DOT, "value": 0}]
    sent = {"keep": 1, "strokes": more, "words": "a boat"}
    assert (await site.you.ask("PATCH", path, {**over(1)}, json=sent)).data == {"version": 2}
    found = (await site.you.get(path)).data["document"]
    assert found["mask"]["strokes"] == [DOT, *more] and found["words"] == "a boat"
    assert (await site.you.ask("PATCH", path, {**over(1)}, json=sent)).status == 412
    wrong = await site.you.ask("PATCH", path, {**over(2)}, json={"strokes": [{"tool": "spray"}]})
    assert wrong.status == 400 and "`mask.strokes[0].tool`" in wrong.data["detail"]
    assert (await site.you.get(path)).headers["ETag"] == '"2"'


async def test_what_is_no_document_is_told(site) -> None:
    for given, words in (
        (None, "`document` is missing"),
        ([], "`document` takes an object"),
        ({**ONE, "width": 5000}, "`width` takes a whole number from 64 to 4,096"),
        ({**ONE, "zoom": 2}, "`zoom`"),
    ):
        answer = await site.you.post("/api/documents", {"document": given} if given is not None else {})
        assert answer.status == 400 and words in answer.data["detail"], answer.body


async def test_a_document_that_is_too_large_is_told_what_to_do(site) -> None:
    long = {**DOT, "r": [80] * 5000, "xy": "AAAAAAAA" * 3332 + "AAAAAA=="}
    strokes = [{**DOT, "xy": long["xy"]} for _ in range(11)]
    answer = await site.you.post("/api/documents", {"document": {**ONE, "mask": {"strokes": strokes}}})
    assert len(json.dumps(strokes)) < 384 * 1024 and answer.status == 400
    assert "262,144 fit. Bake its strokes" in answer.data["detail"]


async def test_the_number_of_documents_has_an_end(site) -> None:
    documents = site.opened.studio.editor.documents
    for number in range(MOST_DOCUMENTS):
        await documents.create(Actor(1, None), ONE, f"number {number}")
    answer = await site.you.post("/api/documents", {"document": ONE})
    assert answer.status == 400 and "You have 200 documents" in answer.data["detail"]


async def test_everything_is_exported_and_goes_when_its_owner_says_so(site) -> None:
    await made(site, name="secret harbour")
    own = site.opened.studio.own
    [part] = [part async for part in own.export(Actor(1, None), 10**6)]
    rows = json.loads(zipfile.ZipFile(io.BytesIO(part)).read("data.json"))["documents"]
    assert [(row["name"], row["content"]) for row in rows] == [("secret harbour", ONE)]
    await own.delete(Actor(1, None))
    assert await site.opened.studio.editor.documents.all(Actor(1, None)) == []


async def test_the_editor_opens_ones_own_documents_and_no_others(site) -> None:
    document = (await made(site, name="the harbour")).data["id"]
    page = await site.you.get(f"/edit/d/{document}")
    assert page.status == 200 and b"the harbour" in page.body
    for caller, path in ((await site.person(OTHER), document), (site.you, "abcdabcdabcd")):
        assert (await caller.get(f"/edit/d/{path}")).status == 404


async def test_the_page_of_documents_lists_renames_and_deletes_ones_own(site) -> None:
    assert b"No documents yet" in (await site.you.get("/documents")).body
    document = (await made(site)).data["id"]
    page = await site.you.page("/documents")
    assert f'href="/edit/d/{document}"' in page and "Untitled" in page and "512 × 256 px" in page
    other = await site.person(OTHER)
    assert document not in await other.page("/documents")
    path, name = f"/api/documents/{document}", {"name": "  the   harbour "}
    for caller, status in ((other, 404), (site.you, 204)):
        assert (await caller.ask("PUT", f"{path}/name", json=name)).status == status
    assert "the harbour" in await site.you.page("/documents")
    [kept] = (await site.you.get("/api/documents")).data["documents"]
    assert (kept["name"], kept["version"]) == ("the harbour", 1), "a tab that has it open needn't know"
    for caller, status in ((other, 404), (site.you, 204)):
        assert (await caller.ask("DELETE", path)).status == status
    assert b"No documents yet" in (await site.you.get("/documents")).body


async def test_a_name_is_given_by_the_address_for_programs(site) -> None:
    document = (await made(site)).data["id"]
    answer = await site.you.ask("PUT", f"/api/documents/{document}/name", json={"name": "two"})
    assert answer.status == 204
    assert (await site.you.get(f"/api/documents/{document}")).data["name"] == "two"
    for name, words in (("x" * 81, "up to 80"), (5, "takes a text"), (None, "is missing")):
        answer = await site.you.ask("PUT", f"/api/documents/{document}/name", json={"name": name})
        assert answer.status == 400 and words in answer.data["detail"]
    other = await site.person(OTHER)
    answer = await other.ask("PUT", f"/api/documents/{document}/name", json={"name": "theirs"})
    assert answer.status == 404
