"""Questions about pictures on the web: asked under a picture, answered while one looks, gone on with."""

import asyncio
import io
import json
import re

import pytest
from PIL import Image

from core.events import ChatAnswer, Output
from jobs.executors.base import Outcome, Report
from studio.library.gallery import HIDDEN
from studio.requests.chat import NO_MODEL, NOT_WHO
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.support.videos import BLUE, GREEN, RED, WHITE, animation, plain
from tests.web.conftest import Site, open_site
from tests.web.test_live import connect
from vision.protocol import Done, Run, Step

MODEL = {"VLM_URL": "http://chat.example:9/v1"}  # never called: the executor is the test's


class Slow(Talker):
    """``go``: set to let an answer end."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.talk is None or "slowly" not in run.talk.turns[-1].text:
            return await super().run(device, run, report)
        self.started.append(run.job_id)
        text = "A red house by the sea, and behind it a hill with a tower on which a flag blows in the wind."
        report(Step(run.job_id, 5, 100, text=text))
        await self.go.wait()
        return Done(run.job_id, Output(answer=ChatAnswer(text, "end", 10, 0, 20)))


EXECUTOR = Slow
SETTINGS = MODEL


async def begun(site: Site, question: str = "What is it?", **body) -> str:
    pictures = [await site.you.upload()]
    answer = await site.you.post("/api/talk", {"question": question, "pictures": pictures, **body})
    assert answer.status == 202 and answer.data["href"] == f"/talk/{answer.data['job']}"
    if "slowly" not in question:
        await site.finished(answer.data["job"])
    return answer.data["job"]


async def test_a_question_about_what_was_sent_is_answered_and_gone_on_with(site: Site) -> None:
    first = await begun(site)
    second = (await site.made(f"/api/talk/{first}", {"question": "And now?"}))["id"]
    found = (await site.you.get(f"/api/talk/{second}")).data
    assert [turn["question"] for turn in found["turns"]] == ["What is it?", "And now?"]
    one, two = found["turns"]
    assert one["answer"].startswith("1 turns") and two["answer"].startswith("3 turns")
    [thumb] = one["pictures"]
    assert (await site.you.get(thumb)).status == 200 and two["pictures"] == []
    assert one["seen"] == ["64 × 48"] and one["tokens"] == [10, 0, 7] and one["ended"] == "end"
    replies = (await site.you.get(f"/api/talk/{first}")).data["replies"]
    assert replies == [{"href": f"/talk/{second}", "question": "And now?"}]


async def test_a_question_is_shown_as_it_was_typed_and_asked_again(site: Site) -> None:
    job = await site.drawn(site.you)
    page = await site.you.page(f"/pictures/{job['id']}/2")
    assert 'data-send="POST /api/talk"' in page and f'value="{job["id"]} 2"' in page
    asked = {"question": "What is <b>it</b>?", "pictures": [f"{job['id']} 2"], "answer": "free"}
    sent = (await site.you.post("/api/talk", asked)).data
    await site.finished(sent["job"])
    page = await site.you.page(sent["href"])
    assert "What is &lt;b&gt;it&lt;/b&gt;?" in page and "1 turns" in page
    assert f"/files/{job['id']}/2/256.webp" in page
    again = await site.you.post(f"/api/jobs/{sent['job']}/1/again", {})
    new = await site.opened.services.queue.job(again.data["jobs"][0]["id"])
    assert new.request.temperature > 0 and new.request.question == "What is <b>it</b>?"


async def test_an_answer_grows_on_the_socket_and_is_stopped(site: Site) -> None:
    async with await connect(site, site.you) as socket:
        job = await begun(site, "Tell slowly")
        text = ""
        async with asyncio.timeout(10):
            while not text:
                news = json.loads((await socket.receive()).data)
                text = next((state.get("text", "") for state in news["jobs"] if state["id"] == job), "")
    assert text.startswith("A red house") and not text.endswith("wind."), "its end is held back"
    found = (await site.you.get(f"/api/talk/{job}")).data["turns"][0]
    assert found["answer"] == text and not found["over"]
    assert (await site.you.post(f"/api/jobs/{job}/cancel")).data == {"stopped": True}
    site.opened.services.queue.executor.go.set()
    await site.finished(job)
    assert (await site.you.get(f"/api/talk/{job}")).data["turns"][0]["over"]


async def test_a_job_of_the_stream_says_what_was_asked_and_leads_to_its_page(site: Site) -> None:
    first = await begun(site)
    second = (await site.made(f"/api/talk/{first}", {"question": "And now?"}))["id"]
    found = {job["id"]: job for job in (await site.you.get("/api/jobs")).data["jobs"]}
    assert found[second]["question"] == "And now?" and found[second]["talk"] == f"/talk/{second}"
    assert found[second]["answer"].startswith("3 turns") and found[second]["parent"] is None
    page = await site.you.page("/")
    assert f'href="/talk/{second}"' in page and "And now?" in page and page.count("<article") == 1


async def test_questions_about_one_picture_are_one_row_and_say_which_it_is(site: Site) -> None:
    drawn = await site.drawn(site.you)
    asked = {"question": "What is it?", "pictures": [f"{drawn['id']} 2"]}
    first = (await site.made("/api/talk", asked))["id"]
    alone = (await site.made("/api/talk", asked))["id"]
    last = (await site.made(f"/api/talk/{first}", {"question": "And now?"}))["id"]
    other = await begun(site, "What is that?")
    found = {job["id"]: job["topic"] for job in (await site.you.get("/api/jobs")).data["jobs"]}
    assert found[last] == found[alone] and found[last]["picture"] == {"job": drawn["id"], "n": 2}
    assert found[last]["key"] != found[other]["key"] and found[other]["picture"] is None
    assert (
        found[drawn["id"]] is None and (await site.you.get(f"/api/jobs/{last}")).data["topic"] == found[last]
    )
    page = await site.you.page("/")
    shown = re.findall(r'<article [^>]*id="job-(\w+)"', page)
    assert shown == [other, last, drawn["id"]] and page.count('class="about-picture"') == 1


async def test_nobody_else_sees_it_or_goes_on(site: Site) -> None:
    job = await begun(site)
    other = await site.person(77)
    missing = await other.get("/api/talk/abcdabcdabcd")
    asked = await other.post(f"/api/talk/{job}", {"question": "And?"})
    for answer in (await other.get(f"/api/talk/{job}"), asked):
        assert (answer.status, answer.body) == (404, missing.body)
    assert (await other.get(f"/talk/{job}")).status == 404


async def test_somebody_elses_upload_is_not_taken(site: Site) -> None:
    other = await site.person(77)
    answer = await site.you.post("/api/talk", {"question": "What?", "pictures": [await other.upload()]})
    assert answer.status >= 400 and "gone" in answer.data["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": " "}, "empty"),
        ({"question": "What?"}, "no picture"),
        ({"question": "Who is this?"}, NOT_WHO),
        ({}, "`said` is missing"),
        ({"question": 3}, "a text"),
    ],
)
async def test_what_is_wrong_is_said(site: Site, body: dict, words: str) -> None:
    answer = await site.you.post("/api/talk", body)
    assert answer.status in (400, 422) and words in answer.data["detail"]


async def test_the_same_wish_is_one_question(site: Site) -> None:
    first = await begun(site)
    asked = [await site.you.post(f"/api/talk/{first}", {"question": "And?", "key": "a"}) for _ in range(2)]
    assert asked[0].data == asked[1].data


async def test_without_a_model_no_picture_has_the_field_and_nothing_leads_to_questions(tmp_path) -> None:
    async with open_site(tmp_path, ASK_MODEL="none") as site:
        job = await site.drawn(site.you)
        assert "Ask about it" not in await site.you.page(f"/pictures/{job['id']}/1")
        answer = await site.you.post("/api/talk", {"question": "What?", "pictures": [f"{job['id']} 1"]})
        assert answer.data["detail"] == NO_MODEL
        assert 'href="/ask"' not in await site.you.page("/")
        page = await site.you.page("/ask")
        assert "ASK_MODEL" in page and 'id="talk-bar"' not in page


async def test_a_branch_is_shown_where_it_leaves(site: Site) -> None:
    first = await begun(site)
    asked = [await site.made(f"/api/talk/{first}", {"question": word}) for word in ("Left?", "Right?")]
    ends = [job["id"] for job in asked]
    left = (await site.you.get(f"/api/talk/{ends[0]}")).data
    assert left["turns"][0]["branches"] == [{"href": f"/talk/{ends[1]}", "question": "Right?"}]
    assert left["turns"][1]["branches"] == left["replies"] == []
    page = await site.you.page(f"/talk/{ends[0]}")
    assert "Also asked here" in page and f'href="/talk/{ends[1]}"' in page and "What followed" not in page
    page = await site.you.page(f"/talk/{first}")
    assert "What followed" in page and "Also asked here" not in page


async def test_a_chat_server_s_address_stands_with_ones_data_alone(site: Site) -> None:
    job_id = await begun(site)
    for path, told in (("/ask", False), (f"/talk/{job_id}", False), ("/privacy", True)):
        text = await site.you.page(path)
        assert ("chat.example" in text) == told and ("another server" in text) != told, path
    assert "chat.example" not in await site.you.page(f"/api/talk/{job_id}")


async def test_the_page_to_ask_shows_where_ones_conversations_stand(site: Site) -> None:
    page = await site.you.page("/ask")
    assert 'id="talk-bar"' in page and "Nothing asked yet" in page
    first = await begun(site, "What is <b>it</b>?")
    second = (await site.made(f"/api/talk/{first}", {"question": "And now?"}))["id"]
    other = await begun(site, "Tell slowly")
    page = await site.you.page("/ask")
    listed = re.findall(r'href="/talk/([a-z2-9]{12})"', page)
    assert listed == [other, second], "the newest first, and each conversation where it stands"
    assert "Answering …" in page and "3 turns" in page and "<b>it" not in page
    stranger = await site.person(77)
    assert "/talk/" not in await stranger.page("/ask")
    site.opened.services.queue.executor.go.set()
    await site.finished(other)


async def test_every_page_leads_to_questions_where_there_is_a_model(site: Site) -> None:
    for address in ("/", "/pictures", "/queue"):
        assert 'href="/ask"' in await site.you.page(address)
    assert '<a href="/ask" aria-current="page">' in await site.you.page("/ask")


# Videos

GIF = animation([plain(c) for c in (RED, BLUE, GREEN, WHITE)], "GIF", 2)


async def video_of(site: Site, data: bytes = GIF, name: str = "slides.gif"):
    headers = {"Content-Type": "image/gif", "X-Name": name}
    return await site.you.ask("POST", "/api/videos", data=data, headers=headers)


async def about_video(site: Site, question: str = "What happens?") -> str:
    sent = await video_of(site)
    assert sent.status == 201 and sent.data["frames"] == 4 and sent.data["seconds"] == 8
    assert (await site.you.ask("GET", sent.data["thumb"])).status == 200
    return (await site.made("/api/talk", {"question": question, "pictures": [sent.data["video"]]}))["id"]


async def test_a_video_is_asked_about_and_its_strip_is_on_the_page(site: Site) -> None:
    job = await about_video(site, "Is it green at 4.0 s?")  # which the answer repeats
    [turn] = (await site.you.ask("GET", f"/api/talk/{job}")).data["turns"]
    assert turn["pictures"] == []
    assert [frame["label"] for frame in turn["frames"]] == ["0.0 s", "2.0 s", "4.0 s", "6.0 s"]
    assert [frame["named"] for frame in turn["frames"]] == [False, False, True, False]
    pieces = [("1 turns\nuser, 4 pictures: Is it green at ", None), ("4.0", f"#frame-{job}-3"), (" s?", None)]
    assert [(piece["text"], piece["href"]) for piece in turn["said"]] == pieces
    page = (await site.you.ask("GET", f"/talk/{job}")).body.decode()
    assert page.count("The video at") == 4 and f'<a href="#frame-{job}-3">4.0</a>' in page
    seen = await site.you.ask("GET", turn["frames"][2]["src"])
    assert Image.open(io.BytesIO(seen.body)).convert("RGB").getpixel((9, 9))[1] > 120


async def test_times_in_later_answers_lead_to_the_video(site: Site) -> None:
    first = await about_video(site)
    asked = (await site.made(f"/api/talk/{first}", {"question": "Blue at 2 s?"}))["id"]
    turns = (await site.you.get(f"/api/talk/{asked}")).data["turns"]
    assert turns[1]["frames"] == [] and turns[1]["said"][1]["href"] == f"#frame-{first}-2"


async def test_frames_are_shown_to_who_may_read_the_question_and_nobody_else(site: Site) -> None:
    job = await about_video(site)
    other = await site.person(99)
    for who, number, status in ((site.you, 4, 200), (site.you, 5, 422), (other, 1, 404)):
        found = await who.ask("GET", f"/files/{job}/frames/{number}.webp")
        assert found.status == status, (number, found.body)
    plain_one = await begun(site)
    assert (await site.you.ask("GET", f"/files/{plain_one}/frames/1.webp")).status == 422


async def test_a_video_of_somebody_else_cant_be_asked_about(site: Site) -> None:
    sent = await video_of(site)
    body = {"question": "What?", "pictures": [sent.data["video"]]}
    asked = await (await site.person(99)).post("/api/talk", body)
    assert asked.status == 422 and "That video is gone" in asked.body.decode()


async def test_what_is_no_video_is_refused(site: Site) -> None:
    assert ("isn't a supported video. Use MP4, WebM or GIF") in (
        await video_of(site, png(), "a.png")
    ).body.decode()
    assert "`a.mp4` can't be read as a video" in (await video_of(site, b"nothing", "a.mp4")).body.decode()


async def test_an_answer_that_breaks_a_rule_stands_nowhere(site: Site) -> None:
    job = await begun(site)
    await site.opened.services.moderator.add_word(1, None, "turns")
    assert (await site.you.get(f"/api/jobs/{job}")).data["answer"] == HIDDEN
    for path in ("/", f"/talk/{job}", f"/?from={job}"):
        assert "1 turns" not in await site.you.page(path), path


async def test_a_conversation_is_one_row_of_the_stream(site: Site) -> None:
    first = await begun(site)
    await site.finished(first)
    second = (await site.you.post(f"/api/talk/{first}", {"question": "And now?"})).data["job"]
    await site.finished(second)
    [row] = (await site.you.get("/api/jobs")).data["jobs"]
    assert (row["id"], row["follows"]) == (second, first)
    await site.you.ask("DELETE", f"/api/jobs/{second}")
    assert [job["id"] for job in (await site.you.get("/api/jobs")).data["jobs"]] == [first]
