"""Jobs asked on the web: one or several, with pictures, from others, stopped and deleted."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from core.events import Loading
from core.job import Job, Lane, Origin, Status
from core.requests import ImagineRequest
from jobs.queue import JobView
from storage.database import Database
from studio.library.gallery import Looked
from studio.requests.actions import RIGHTS
from tests.studio.conftest import png
from tests.web.conftest import OTHER, YOU, open_site
from web import views


async def test_a_prompt_becomes_a_job_that_is_delivered_by_this_door_alone(site) -> None:
    job = await site.drawn(site.you, "a red house --ar 3:2")
    assert job["status"] == "delivered" and job["surface"] == "web" and len(job["pictures"]) == 4
    assert job["prompt"] == "a red house --ar 3:2"
    assert await site.opened.services.queue.undelivered() == []


def test_a_page_that_is_opened_while_a_model_is_fetched_says_so() -> None:
    now = datetime.now(UTC)
    job = Job("a", ImagineRequest(prompt="a boat", seed=1), Origin(YOU, 2, 3), Status.QUEUED, Lane.FAST, now)
    fetched = Loading("owner/name", 0.34, fetching=True, left=360.0)
    shape = views.describe_job(Looked(job), YOU, JobView(job, now, loading=fetched))
    told = [shape[name] for name in ("loading", "fraction", "fetching", "left")]
    assert told == ["owner/name", 0.34, True, 360.0]
    waits = views.describe_job(Looked(job), YOU, JobView(job, now, 1, 15.0, why="It can't be downloaded."))
    assert (waits["why"], waits["eta"], waits["loading"]) == ("It can't be downloaded.", 15.0, None)
    assert "why" not in views.describe_job(Looked(job), YOU, JobView(job, now, 1))


async def test_the_same_key_makes_one_job_for_good(site) -> None:
    first = await site.you.post("/api/jobs", {"prompt": "a house", "key": "k1"})
    await site.finished(first.data["jobs"][0]["id"])
    again = await site.you.post("/api/jobs", {"prompt": "a house", "key": "k1"})
    assert again.data["jobs"][0]["id"] == first.data["jobs"][0]["id"]
    other = await (await site.person(OTHER)).post("/api/jobs", {"prompt": "a house", "key": "k1"})
    assert other.data["jobs"][0]["id"] != first.data["jobs"][0]["id"]


async def test_the_same_key_with_another_wish_makes_another_job(site) -> None:
    first = await site.you.post("/api/jobs", {"prompt": "a red house", "key": "k1"})
    boat = await site.you.post("/api/jobs", {"prompt": "a blue boat", "key": "k1"})
    assert (boat.status, boat.data["jobs"][0]["prompt"]) == (202, "a blue boat")
    job = first.data["jobs"][0]["id"]
    await site.finished(job)
    pressed = [
        (await site.you.post(f"/api/jobs/{job}/{n}/{action}", {"key": "k2"})).data["jobs"][0]["id"]
        for n, action in ((1, "up2s"), (2, "up2s"), (2, "subtle"), (2, "subtle"))
    ]
    assert len(set(pressed)) == 3 and pressed[2] == pressed[3]


async def test_several_jobs_are_asked_about_first(site) -> None:
    asked = await site.you.post("/api/jobs", {"prompt": "a {red, blue} house"})
    assert asked.status == 409 and asked.data["count"] == 2
    queued = await site.you.post(f"/api/drafts/{asked.data['draft']}")
    assert queued.status == 202
    assert [job["prompt"] for job in queued.data["jobs"]] == ["a red house", "a blue house"]
    again = await site.you.post(f"/api/drafts/{asked.data['draft']}")
    assert [job["id"] for job in again.data["jobs"]] == [job["id"] for job in queued.data["jobs"]]
    assert (await (await site.person(OTHER)).post(f"/api/drafts/{asked.data['draft']}")).status == 404


async def test_a_prompt_of_any_alphabet_fits_into_the_address_of_the_bar(site) -> None:
    for letter in ("a", "я", "日", "😀"):
        prompt = letter * 3000
        answer = await site.you.get(f"/?prompt={quote(prompt)}")
        assert answer.status == 200 and prompt in answer.body.decode(), letter


async def test_what_an_address_names_and_is_not_there_is_a_404(site) -> None:
    job = (await site.drawn(site.you))["id"]
    for method, path in (
        ("GET", f"/files/uploads/{'a' * 64}"),
        ("GET", f"/files/uploads/{'a' * 64}.webp"),
        ("POST", "/api/drafts/abcd2345efgh"),
        ("GET", f"/files/{job}/9"),
        ("GET", f"/files/{job}/9/256.webp"),
        ("POST", f"/api/jobs/{job}/9/subtle"),
    ):
        sent = {"json": {}} if method == "POST" else {}
        answer = await site.you.ask(method, path, **sent)
        assert answer.status == 404 and answer.data["detail"], path


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "`prompt` is missing"),
        ({"prompt": 7}, "takes a text"),
        ({"prompt": ""}, "The prompt is empty"),
        ({"prompt": "a house --ar 90:1"}, "--ar"),
        ({"prompt": "a house", "pictures": ["x"] * 9}, "up to 8"),
        ({"prompt": "a house", "pictures": ["a" * 64]}, "send it again"),
        ({"prompt": "a house", "key": ""}, "1 to 100"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_queued(site, body, said) -> None:
    answer = await site.you.post("/api/jobs", body)
    assert 400 <= answer.status < 500 and said in answer.data["detail"]
    assert (await site.you.get("/api/jobs")).data["jobs"] == []


async def test_a_picture_comes_along_with_a_prompt(site) -> None:
    headers = {"Content-Type": "image/png", "X-Name": "my%20cat.png"}
    kept = await site.you.ask("POST", "/api/uploads", headers, data=png())
    assert kept.status == 201 and (kept.data["width"], kept.data["height"]) == (64, 48)
    assert (await site.you.get(kept.data["thumb"])).headers["Content-Type"] == "image/webp"
    stranger = await site.person(OTHER)
    assert (await stranger.get(kept.data["thumb"])).status == 404
    asked = await site.you.post("/api/jobs", {"prompt": "a house", "pictures": [kept.data["sha256"]]})
    assert asked.status == 202
    stolen = await stranger.post("/api/jobs", {"prompt": "a house", "pictures": [kept.data["sha256"]]})
    assert stolen.status == 422


async def test_what_is_no_picture_is_refused_by_its_name(site) -> None:
    headers = {"Content-Type": "image/png", "X-Name": "a.png"}
    answer = await site.you.ask("POST", "/api/uploads", headers, data=b"no picture")
    assert answer.status == 422 and "`a.png`" in answer.data["detail"]


async def test_every_button_makes_its_job(site) -> None:
    wanted = set("subtle strong remix again up2s left zoom20 cutout describe classify".split())
    job = await site.drawn(site.you)
    made = set()
    # One person may ask for so many jobs in a short time only: those that must be made come first.
    for action in sorted(job["picture_actions"], key=lambda one: one["action"] not in wanted):
        body = {"words": "a blue house"} if action["words"] else {}
        answer = await site.you.post(f"/api/jobs/{job['id']}/1/{action['action']}", body)
        if answer.status == 202:
            made.add(action["action"])
            await site.finished(answer.data["jobs"][0]["id"])
        else:
            assert answer.status == 429, answer.body
    assert wanted <= made


async def test_a_cut_out_lies_on_a_pattern_and_a_reading_says_who_read(site) -> None:
    job = await site.drawn(site.you)
    cut = await site.made(f"/api/jobs/{job['id']}/1/cutout")
    for made, clear in ((cut, True), (job, False)):
        assert ('class="stage clear"' in await site.you.page(f"/pictures/{made['id']}/1")) == clear
    notes = views.notes_of({"model": "vit", "knows": "drawings", "notes": ["Hm."]})
    assert notes == ["Read by the demo model.", "Hm."]
    assert views.notes_of({"model": "vit"}) == []


async def test_a_job_says_how_many_pictures_are_to_come(site) -> None:
    job = await site.drawn(site.you)
    for action in ("subtle", "up2s", "left", "describe", "classify"):
        asked = (await site.you.post(f"/api/jobs/{job['id']}/1/{action}")).data["jobs"][0]
        await site.finished(asked["id"])
        done = (await site.you.get(f"/api/jobs/{asked['id']}")).data
        assert asked["count"] == len(done["pictures"]), action


async def test_a_page_without_scripts_shows_what_waits_in_boxes_of_its_shape(site) -> None:
    await site.opened.services.queue.pause(1)
    for prompt in ("a house", "a house --ar 3:2"):
        assert (await site.you.post("/api/jobs", {"prompt": prompt})).status == 202
    for path in ("/", "/queue"):
        text = await site.you.page(path)
        assert text.count('class="cell"') == 8 and "None" not in text, path


async def test_the_newest_jobs_cost_few_reads_however_many_they_are(site, monkeypatch) -> None:
    reads: list[int] = []
    read = Database.read

    async def counted(database, *arguments, **options):
        reads[-1] += 1
        return await read(database, *arguments, **options)

    monkeypatch.setattr(Database, "read", counted)
    for number in range(6):
        reads.append(0)
        await site.drawn(site.you, f"house number {number}")
        for path in ("/", "/api/jobs", "/pictures"):
            reads.append(0)
            await site.you.get(path)
            assert reads[-1] <= 8, path


async def test_prompts_longer_than_a_choice_of_discords_are_completed(site) -> None:
    words = f"a red house {'with a long garden ' * 8}".strip()
    found = (await site.you.get(f"/api/complete?text={quote(words + ' --chao')}")).data["suggestions"]
    assert [one["text"] for one in found] == [f"{words} --chaos"]


async def test_what_is_marked_in_a_prompt_is_counted_as_a_browser_counts(site) -> None:
    found = (await site.you.get(f"/api/complete?text={quote('a 🐉 over a castle --ar wide')}")).data
    dragon, castle, flag = found["marks"]
    assert (dragon["begin"], dragon["end"], dragon["kind"]) == (2, 4, "word")  # two units of UTF-16
    assert (castle["begin"], castle["end"], castle["text"]) == (12, 18, "castle")
    assert flag["kind"] == "fault" and "3:2" in flag["why"] and "house" in found["draws"]


async def test_a_button_asks_what_the_right_asks(site) -> None:
    job = await site.drawn(site.you)
    stranger = await site.person(OTHER)
    gone = await stranger.get("/api/jobs/abcdabcdabcd")
    for path in (
        f"/api/jobs/{job['id']}",
        f"/files/{job['id']}/1",
        f"/files/{job['id']}/1/256.webp",
        f"/previews/{job['id']}/1",
    ):
        answer = await stranger.get(path)
        assert (answer.status, answer.body) == (404, gone.body), path
    for path in (f"/api/jobs/{job['id']}/1/subtle", f"/api/jobs/{job['id']}/cancel"):
        answer = await stranger.post(path)
        assert (answer.status, answer.body) == (404, gone.body), path
    assert (await stranger.ask("DELETE", f"/api/jobs/{job['id']}")).status == 404
    assert (await stranger.ask("PUT", f"/api/favourites/{job['id']}/1")).status == 404
    assert (await site.you.get(f"/api/jobs/{job['id']}")).status == 200


async def test_a_deleted_job_is_gone_with_its_pictures(site) -> None:
    job = await site.drawn(site.you)
    files = site.opened.services.files
    assert (await site.you.get(f"/files/{job['id']}/1/256.webp")).status == 200
    assert list(files.root.parent.glob("cache/derived/**/*.webp"))
    assert (await site.you.ask("DELETE", f"/api/jobs/{job['id']}")).status == 204
    assert (await site.you.get(f"/api/jobs/{job['id']}")).status == 404
    assert list(files.all()) == [] and not list(files.root.parent.glob("cache/derived/**/*.webp"))


def test_a_page_offers_every_action_that_the_table_of_rights_has() -> None:
    """A picture has a page of its own, which shows its details and saves it; captions go into the prompt bar;
    cancelling, deleting and keeping have routes of their own; regions and zooms wait for the editor."""
    other_means = (
        "upscale vary details dm caption all short weights cancel delete favourite gif stop question"
    )
    other_means += " more draw thread teach project verdict isright iswrong falsealarm snooze region zoom"
    assert set(RIGHTS) - set(views.LABELS) == set(other_means.split())
    assert set(views.LABELS) <= set(RIGHTS)


async def test_a_picture_is_edited_by_words_where_a_model_does_that(tmp_path) -> None:
    async with open_site(tmp_path / "plain", IMAGE_MODEL="owner/sd") as site:
        job = await site.drawn(site.you)
        assert "edit" not in [one["action"] for one in job["picture_actions"]]
        refused = await site.you.post(f"/api/jobs/{job['id']}/1/edit", {"words": "make it blue"})
        assert refused.status == 400 and "EDIT_MODEL" in refused.data["detail"]
    async with open_site(tmp_path / "edits", EDIT_MODEL="owner/kontext") as edits:
        job = await edits.drawn(edits.you)
        shape = next(one for one in job["picture_actions"] if one["action"] == "edit")
        assert (shape["label"], shape["group"], shape["words"]) == ("Edit by words", "Vary", True)
        page = await edits.you.page(f"/pictures/{job['id']}/1")
        assert 'placeholder="make it night"' in page and "Paint in the editor" in page
        asked = f"/api/jobs/{job['id']}/1/edit"
        empty = await edits.you.post(asked, {})
        assert empty.status == 400 and "Say what to change" in empty.data["detail"]
        made = (await edits.you.post(asked, {"words": "make it blue"})).data["jobs"][0]
        assert (made["kind"], made["prompt"]) == ("edit", "make it blue")
        assert made["parent"] == {"job": job["id"], "n": 1}


async def test_words_too_long_for_an_address_are_found_by_their_job(site) -> None:
    words = "дом у моря " * 350
    job = await site.drawn(site.you, words.strip())
    page = await site.you.page(f"/pictures/{job['id']}/1")
    assert f'href="/?from={job["id"]}"' in page
    shown = await site.you.page(f"/?from={job['id']}")
    assert f">{words.strip()}</textarea>" in shown
    other = await site.person(OTHER)
    for browser, name in ((other, job["id"]), (site.you, "abcd2345efgh"), (site.you, "nonsense")):
        assert "></textarea>" in await browser.page(f"/?from={name}&prompt=")


async def test_the_stream_is_narrowed_to_a_kind_and_goes_on_before_a_job(site) -> None:
    first = await site.drawn(site.you, "a first house")
    described = await site.made(f"/api/jobs/{first['id']}/1/describe")
    last = await site.drawn(site.you, "a last house")

    async def shown(query: str) -> list[str]:
        return [job["id"] for job in (await site.you.get(f"/api/jobs{query}")).data["jobs"]]

    assert await shown("") == [last["id"], described["id"], first["id"]]
    assert await shown("?show=answers") == [described["id"]]
    assert await shown("?show=pictures") == [last["id"], first["id"]]
    assert await shown(f"?before={last['id']}") == [described["id"], first["id"]]
    other = await site.drawn(await site.person(OTHER))
    assert await shown(f"?before={other['id']}") == [], "somebody else's job says nothing of when it was"
    refused = await site.you.get("/api/jobs?show=dogs")
    assert refused.status == 400 and "'dogs'; it takes pictures, edits, videos" in refused.data["detail"]


async def test_jobs_of_one_prompt_are_one_row_of_the_page(site) -> None:
    await site.opened.services.queue.pause(1)
    asked = await site.you.post("/api/jobs", {"prompt": "a {red, blue, green} house"})
    queued = (await site.you.post(f"/api/drafts/{asked.data['draft']}")).data["jobs"]
    assert len({job["set"] for job in queued}) == 1 and queued[0]["set"]
    for path in ("/", "/queue"):
        text = await site.you.page(path)
        assert text.count("<article") == 1 and f'id="job-{queued[0]["id"]}"' in text, path
        assert "2 more of this prompt" in text, path
    alone = (await site.you.post("/api/jobs", {"prompt": "a white house"})).data["jobs"][0]
    assert alone["set"] is None and (await site.you.page("/")).count("<article") == 2


async def test_a_pictures_page_keeps_what_was_made_from_it_and_said_of_it(site) -> None:
    """Its own jobs alone, newest first; nothing that is in the trash."""
    job = await site.drawn(site.you)
    here = f"/api/jobs/{job['id']}/1"
    varied = await site.made(f"{here}/strong")
    said = await site.made(f"{here}/classify")
    why = await site.made(f"/api/jobs/{said['id']}/1/why")
    asked = (await site.you.post(f"{here}/describe")).data["jobs"][0]["id"]
    await site.made(f"/api/jobs/{job['id']}/2/strong")  # of another picture
    page = await site.you.page(f"/pictures/{job['id']}/1")
    made = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["made"]
    assert [one["id"] for one in made] == [asked, why["id"], said["id"], varied["id"]]
    assert len(made[-1]["pictures"]) == 4 and made[2]["scores"] == said["scores"]
    away = [f"{varied['id']}/{one['n']}" for one in varied["pictures"]]
    await site.you.post("/api/trash", {"pictures": away})
    assert varied["id"] not in await site.you.page(f"/pictures/{job['id']}/1")
    other = await site.person(OTHER)
    assert (await other.get(f"/pictures/{job['id']}/1")).status == 404


async def test_a_pictures_details_are_in_peoples_words(site) -> None:
    job = await site.drawn(site.you, "a red house --ar 3:2 --seed 7")
    page = await site.you.page(f"/pictures/{job['id']}/2")
    facts = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["facts"]
    told = {fact["name"]: fact["value"] for fact in facts}
    assert {"Made by": "Imagine", "Seed": "8", "Job": f"{job['id']} 2"}.items() <= told.items()
    assert {"Model", "Size", "Asked", "Took", "Cost"} <= told.keys() and "fast" in told["Cost"]
    assert not [name for name in told if "_" in name or name in ("Num images", "Operation", "Width")]
