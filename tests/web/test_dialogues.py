"""What is said to the studio on the web: drawn, changed, gone back to, corrected; what nobody else sees."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from core.talk import Decision
from studio.talk.history import Turn
from tests.bot.test_ask import MODEL
from tests.bot.test_videos import MP4
from tests.studio.talker import Talker
from tests.web.conftest import OTHER, Site, open_site
from web.handlers.talk import ordered

SETTINGS = {"EDIT_MODEL": "tiny/edit"}
HOUSE = "a red house in the snow"


async def said(site: Site, words: str, after: str = "", **more: Any) -> dict[str, Any]:
    """The conversation once what was said is done."""
    answer = await site.you.post(f"/api/talk/{after}".rstrip("/"), {"said": words, **more})
    assert answer.status == 202, answer.body
    job = answer.data["path"][-1]["job"]
    if job is not None:
        await site.finished(job["id"])
    return (await site.you.get(f"/api{answer.data['href']}")).data


async def test_words_draw_then_change_and_the_page_shows_both(site: Site) -> None:
    first = await said(site, HOUSE)
    assert first["href"] == f"/talk/{first['turn']}" and first["shown"]["number"] == 1
    second = await said(site, "make it blue", first["turn"])
    one, two = second["path"]
    assert (one["kind"], two["kind"]) == ("draw", "change") and two["understood"].startswith("Changing 1")
    assert len(one["job"]["pictures"]) == 4 and len(two["job"]["pictures"]) == 1
    assert second["shown"]["job"] == two["job"]["id"] and second["shown"]["number"] == 2
    page = await site.you.page(second["href"])
    assert "make it blue" in page and "on 2" in page and f"/files/{two['job']['id']}/1/256.webp" in page
    assert [turn["id"] for turn in second["tree"]] == [one["id"], two["id"]]


async def test_the_same_sentence_with_the_same_key_is_one_turn(site: Site) -> None:
    first = await said(site, HOUSE)
    sent = {"said": "make it blue", "key": "a"}
    answers = [(await site.you.post(f"/api/talk/{first['turn']}", sent)).data for _ in range(2)]
    assert answers[0]["turn"] == answers[1]["turn"]
    assert answers[0]["path"][-1]["job"]["id"] == answers[1]["path"][-1]["job"]["id"]


async def test_what_is_typed_is_understood_and_not_kept(site: Site) -> None:
    first = await said(site, HOUSE)
    heard = await site.you.post("/api/talk/preview", {"said": "make it blue", "after": first["turn"]})
    assert heard.data["kind"] == "change" and heard.data["about"] == [1]
    assert heard.data["understood"].startswith("changing 1")
    assert len((await site.you.get(f"/api/talk/{first['turn']}")).data["tree"]) == 1
    alone = await site.you.post("/api/talk/preview", {"said": "make it blue", "sent": 1})
    assert alone.data["kind"] == "change"


async def test_what_is_unclear_is_asked_while_it_is_typed(site: Site) -> None:
    first = await said(site, HOUSE)
    heard = await site.you.post("/api/talk/preview", {"said": "a boat", "after": first["turn"]})
    assert heard.data["offers"] == ["Draw it", f"Add it to 1 ({HOUSE})"]
    assert heard.data["reply"] == "What do you mean?" and not heard.data["understood"]
    added = await said(site, "a boat", first["turn"], offer=1)
    assert [turn["said"] for turn in added["path"]] == [HOUSE, "a boat"]
    assert added["path"][-1]["kind"] == "change" and added["title"] == f"{HOUSE}: a boat"
    refused = await site.you.post(f"/api/talk/{first['turn']}", {"said": "a boat", "offer": 7})
    assert refused.status == 400


@pytest.mark.parametrize(
    ("words", "way"),
    [("delete all my pictures", "Your data"), ("make it private", "Stealth"), ("help", "make it blue")],
)
async def test_what_talk_cannot_do_names_the_way_of_these_pages(site: Site, words: str, way: str) -> None:
    asked = await said(site, words)
    reply = asked["path"][-1]["reply"]
    assert way in reply and "/" not in reply
    assert escape(reply) in await site.you.page(asked["href"])
    heard = await site.you.post("/api/talk/preview", {"said": words})
    assert heard.data["reply"] == reply


async def test_all_of_a_grid_come_along_and_one_is_chosen(site: Site) -> None:
    job = (await site.drawn(site.you))["id"]
    page = await site.you.page(f"/?talk={job}")
    assert "on these pictures" in page
    heard = await site.you.post("/api/talk/preview", {"said": "the third one", "picture": job})
    assert heard.data["kind"] == "pick"
    chosen = await said(site, "the third one", pictures=[job])
    assert chosen["shown"]["n"] == 3 and chosen["shown"]["job"] == job
    assert len(chosen["path"][0]["sent"][0]["thumbs"]) == 4
    assert "Picture 1, 3 of 4" in await site.you.page(chosen["href"])
    blue = await said(site, "make it blue", chosen["turn"])
    assert blue["path"][-1]["job"]["parent"] == {"job": job, "n": 3}
    other = await site.person(77)
    for path, more in (("", {"pictures": [job]}), ("/preview", {"picture": job})):
        assert (await other.post(f"/api/talk{path}", {"said": "the third one", **more})).status == 403


async def test_a_video_that_is_sent_is_asked_about_or_its_first_frame_changed(tmp_path: Path) -> None:
    async with open_site(tmp_path, Talker(), **SETTINGS, **MODEL, USER_WAITING="100") as site:
        sent = await site.you.ask("POST", "/api/clips", data=MP4[1], headers={"X-Name": "mine.mp4"})
        clip = sent.data["clip"]
        changed = await said(site, "make it blue", pictures=[clip])
        turn = changed["path"][0]
        assert turn["kind"] == "change" and turn["sent"][0]["thumbs"] == [sent.data["thumb"]]
        asked = await site.you.post("/api/talk", {"said": "what happens here?", "pictures": [clip]})
        job = await site.opened.services.queue.job(asked.data["job"])
        assert job.request.film_seconds > 0 and asked.data["href"] == f"/talk/{job.id}"
        moved = await site.you.post("/api/talk", {"said": "make it move", "pictures": [clip]})
        assert moved.status == 400 and "Create" in moved.data["detail"]
        other = await site.person(77)
        for words in ("make it blue", "what happens here?"):
            theirs = await other.post("/api/talk", {"said": words, "pictures": [clip]})
            assert theirs.status == 404 or "send it again" in theirs.data["detail"]


async def test_a_change_on_a_pictures_page_takes_further_pictures(site: Site) -> None:
    job, other = [(await site.drawn(site.you))["id"] for _ in range(2)]
    assert 'id="edit-add"' in await site.you.page(f"/pictures/{job}/1")
    words = {"words": "put the cat of 2 next to the house", "pictures": [f"{other} 2"]}
    answer = await site.you.post(f"/api/jobs/{job}/1/edit", words)
    queued = await site.opened.services.queue.job(answer.data["jobs"][0]["id"])
    result = await site.opened.services.queue.result(other)
    assert queued.request.images == (result.pictures[1].sha256,)
    refused = await site.you.post(f"/api/jobs/{job}/1/vary_strong", {"pictures": [f"{other} 2"]})
    assert refused.status in (400, 404)
    stranger = await site.person(77)
    assert (await stranger.post(f"/api/jobs/{job}/1/edit", words)).status == 404


async def test_a_picture_of_create_is_what_words_change(site: Site) -> None:
    job = await site.drawn(site.you)
    page = await site.you.page(f"/?talk={job['id']}&n=2")
    assert "on this picture" in page and f"{job['id']} 2" in page
    assert "on this picture" not in await site.you.page(f"/?talk={job['id']}&n=9")
    found = await said(site, "make it blue", pictures=[f"{job['id']} 2"])
    [turn] = found["path"]
    assert turn["kind"] == "change" and turn["job"]["parent"] == {"job": job["id"], "n": 2}
    assert turn["sent"] == [{"number": 1, "thumbs": [f"/files/{job['id']}/2/256.webp"]}]


async def test_a_picture_that_was_sent_is_shown(site: Site) -> None:
    sha256 = await site.you.upload()
    found = await said(site, "make it blue", pictures=[sha256])
    undone = (await site.you.post(f"/api/talk/{found['turn']}/step", {"steps": -1})).data
    shown = undone["shown"]
    assert (shown["job"], shown["number"], shown["picture"]["thumb"]) == (None, 1, f"/files/uploads/{sha256}")
    assert (await site.you.get(shown["picture"]["small"])).status == 200 and undone["changes"] == []
    page = await site.you.page(undone["href"])
    assert "on 1" in page and f'src="/files/uploads/{sha256}"' in page


async def test_what_is_shown_has_its_own_number_where_nothing_came_of_a_turn(site: Site) -> None:
    first = await said(site, HOUSE)
    queue = site.opened.services.queue
    await queue.pause(1)
    second = (await site.you.post(f"/api/talk/{first['turn']}", {"said": "make it blue"})).data
    await queue.cancel(second["path"][-1]["job"]["id"])
    await queue.resume(1)
    found = (await site.you.get(f"/api{second['href']}")).data
    assert found["path"][-1]["job"]["status"] == "cancelled"
    assert found["shown"]["job"] == first["shown"]["job"] and found["shown"]["number"] == 1


async def test_undo_redo_and_a_choice_move_what_is_shown_without_a_job(site: Site) -> None:
    first = await said(site, HOUSE)
    second = await said(site, "make it blue", first["turn"])
    assert (second["undo"], second["redo"]) == (True, False)
    undone = (await site.you.post(f"/api/talk/{second['turn']}/step", {"steps": -1})).data
    assert undone["shown"]["number"] == 1 and undone["path"][-1]["job"] is None
    assert undone["path"][-1]["shows"]["job"] == undone["shown"]["job"] and undone["redo"]
    redone = (await site.you.post(f"/api/talk/{undone['turn']}/step", {"steps": 1})).data
    assert redone["shown"]["job"] == second["shown"]["job"]
    job = first["shown"]["job"]
    third = (await site.you.post(f"/api/talk/{redone['turn']}/show", {"job": job, "n": 3})).data
    assert (third["shown"]["job"], third["shown"]["n"]) == (job, 3)
    nothing = await site.you.post(f"/api/talk/{first['turn']}/step", {"steps": 1})
    assert nothing.status == 400 and "nothing to redo" in nothing.data["detail"]


async def test_a_sentence_is_taken_for_what_was_meant(site: Site) -> None:
    first = await said(site, HOUSE)
    second = await said(site, "make it blue", first["turn"])
    meant = (await site.you.post(f"/api/talk/{second['turn']}/meant", {"kind": "draw"})).data
    assert meant["path"][-1]["kind"] == "draw" and meant["path"][-1]["said"] == "make it blue"
    levels = {turn["id"]: turn["level"] for turn in meant["tree"]}
    assert levels[meant["turn"]] == 1 and levels[second["turn"]] == 2, "the other branches off"
    wrong = await site.you.post(f"/api/talk/{second['turn']}/meant", {"kind": "delete"})
    assert wrong.status == 400 and "draw, change" in wrong.data["detail"]


async def test_what_is_unclear_is_asked_and_an_offer_done(site: Site) -> None:
    first = await said(site, HOUSE)
    asked = await said(site, "a boat", first["turn"])
    turn = asked["path"][-1]
    assert turn["kind"] == "unclear" and turn["job"] is None
    assert set(turn["offers"]) == {"Draw it", f"Add it to 1 ({HOUSE})"}
    number = turn["offers"].index(f"Add it to 1 ({HOUSE})")
    page = await site.you.page(asked["href"])
    assert f'data-send="POST /api/talk/{turn["id"]}/offer"' in page
    done = (await site.you.post(f"/api/talk/{turn['id']}/offer", {"number": number})).data
    assert done["path"][-1]["kind"] == "change" and done["path"][-1]["job"] is not None
    assert (await site.you.post(f"/api/talk/{turn['id']}/offer", {"number": 7})).status == 400


async def test_a_change_is_taken_out_or_worded_otherwise_and_the_list_made_on_others(site: Site) -> None:
    first = await said(site, HOUSE)
    second = await said(site, "make it blue", first["turn"])
    third = await said(site, "add a boat", second["turn"])
    assert [line["words"] for line in third["changes"]] == [HOUSE, "make it blue", "add a boat"]
    drawn, blue, _ = third["changes"]
    assert not drawn["again"] and blue["again"].startswith("1 change again")
    picture = f"{third['shown']['job']}/1"
    page = await site.you.page(f"/pictures/{picture}")
    assert "<h3>Changes</h3>" in page and "<span>make it blue</span>" in page
    out = (await site.you.post("/api/talk/without", {"picture": picture, "number": 2})).data
    await site.finished(out["path"][-1]["job"]["id"])
    found = (await site.you.get(f"/api{out['href']}")).data
    assert [line["words"] for line in found["changes"]] == [HOUSE, "add a boat"]
    words = {"picture": picture, "number": 2, "words": "make it green"}
    other = (await site.you.post("/api/talk/without", words)).data
    await site.finished(other["path"][-1]["job"]["id"])
    found = (await site.you.get(f"/api{other['href']}")).data
    assert [line["words"] for line in found["changes"]] == [HOUSE, "make it green", "add a boat"]
    job = await site.drawn(site.you, "a green tree")
    body = {"picture": picture, "pictures": [f"{job['id']}/1", f"{job['id']}/2"], "key": "k"}
    answers = [await site.you.post("/api/talk/replay", body) for _ in range(2)]
    assert [one["id"] for one in answers[0].data["jobs"]] == [one["id"] for one in answers[1].data["jobs"]]
    assert [one["parent"]["n"] for one in answers[0].data["jobs"]] == [1, 2]
    folder = (await site.you.post("/api/folders", {"name": "trees"})).data
    await site.you.post(
        f"/api/folders/{folder['id']}/items", {"pictures": [f"{job['id']}/{n}" for n in (1, 2, 3)]}
    )
    body = {"picture": picture, "folder": folder["id"], "key": "f"}
    asked = (await site.you.post("/api/talk/replay", body)).data
    assert not asked["jobs"] and asked["asks"].startswith("That is 3 jobs")
    done = (await site.you.post("/api/talk/replay", {**body, "confirmed": True})).data
    assert sorted(one["parent"]["n"] for one in done["jobs"]) == [1, 2, 3]
    assert (await (await site.person(OTHER)).post("/api/talk/replay", body)).status in (403, 404)
    wrong = await site.you.post("/api/talk/without", {"picture": picture, "number": 1})
    assert wrong.status == 400 and "no change 1" in wrong.data["detail"]


async def test_talk_about_a_video_is_about_the_picture_that_it_was_made_from(site: Site) -> None:
    first = await said(site, HOUSE)
    moved = (await said(site, "animate it", first["turn"]))["shown"]["job"]
    assert f'href="/?talk={moved}"' in await site.you.page("/")
    assert 'id="bar-about"' in await site.you.page(f"/?talk={moved}")
    done = (await site.you.post("/api/talk", {"said": "make it blue", "pictures": [f"{moved} 1"]})).data
    assert done["path"][-1]["job"]["parent"] == {"job": first["shown"]["job"], "n": 1}


async def test_a_host_without_conversations_offers_none_and_answers_questions(tmp_path) -> None:
    async with open_site(tmp_path, TALK="off") as site:
        await site.drawn(site.you)
        page = await site.you.page("/")
        assert 'id="bar-talk"' not in page and "/?talk=" not in page
        answer = await site.you.post("/api/talk", {"said": HOUSE})
        assert answer.status == 400 and "turned off" in answer.data["detail"]
        assert (await site.you.post("/api/talk/preview", {"said": HOUSE})).status == 404
        asked = await site.you.post("/api/talk", {"question": " "})
        assert "empty" in asked.data["detail"]


async def test_conversations_are_listed_where_they_stand(site: Site) -> None:
    assert "No conversations yet" in await site.you.page("/talk")
    first = await said(site, HOUSE)
    second = await said(site, "make it blue", first["turn"])
    page = await site.you.page("/talk")
    assert page.count('<a href="/talk/') == 1 and second["href"] in page and "make it blue" in page
    other = await site.person(77)
    assert "No conversations yet" in await other.page("/talk")


async def test_nobody_else_sees_it_or_says_anything_in_it(site: Site) -> None:
    turn = (await said(site, HOUSE))["turn"]
    other = await site.person(77)
    missing = await other.get("/api/talk/abcdabcdabcd")
    calls = [("", {"said": "make it blue"}), ("/step", {"steps": -1}), ("/meant", {"kind": "draw"})]
    calls += [("/offer", {"number": 0}), ("/show", {"job": "abcdabcdabcd", "n": 1})]
    answers = [await other.post(f"/api/talk/{turn}{path}", body) for path, body in calls]
    for answer in (*answers, await other.get(f"/api/talk/{turn}")):
        assert (answer.status, answer.body) == (404, missing.body)
    assert (await other.get(f"/talk/{turn}")).status == 404
    heard = await other.post("/api/talk/preview", {"said": "make it blue", "after": turn})
    assert heard.status == 404


async def test_pictures_that_were_deleted_are_named_as_such(site: Site) -> None:
    first = await said(site, HOUSE)
    named = {"pictures": [f"{first['shown']['job']}/{n}" for n in range(1, 5)]}
    assert (await site.you.post("/api/trash", named)).status == 200
    found = (await site.you.get(f"/api/talk/{first['turn']}")).data
    assert found["shown"]["picture"] is None and found["path"][0]["gone"]
    assert "were deleted" in await site.you.page(first["href"])


def test_what_branches_off_stands_before_what_goes_on_one_level_deeper() -> None:
    root = Turn(
        id="a", before_id=None, root_id="a", user_id=1, said="", kind="draw", by="rules",
        decision=Decision(kind="draw"), created_at=datetime.now(UTC),
    )  # fmt: skip
    tree = [root, *(replace(root, id=one, before_id=before) for one, before in ("ba", "cb", "da", "ed"))]
    assert [(one.id, level) for one, level in ordered(tree, {"a", "d", "e"})] == [
        ("a", 1), ("b", 2), ("c", 2), ("d", 1), ("e", 1)
    ]  # fmt: skip
    assert [one.id for one, _ in ordered(tree, {"a", "b"})] == ["a", "d", "e", "b", "c"]
    assert [one.id for one, _ in ordered(tree[1:], set())] == ["b", "c", "d", "e"], "the root was deleted"


@pytest.mark.parametrize("body", [{"said": " "}, {"said": "x" * 2001}])
async def test_nothing_and_too_much_are_refused(site: Site, body: dict) -> None:
    answer = await site.you.post("/api/talk", body)
    assert answer.status == 400 and answer.data["detail"]
