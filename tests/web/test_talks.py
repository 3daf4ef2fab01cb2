"""Questions about pictures on the web: asked under a picture, answered while one looks, gone on with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.events import ChatAnswer, Output
from jobs.executor import Outcome, Report
from studio.asking.talking import NO_MODEL, NOT_WHO
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.web.conftest import Site, open_site
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


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, Slow(), **MODEL) as found:
        yield found


async def begun(site: Site, question: str = "What is it?", **body) -> str:
    sent = await site.you.ask("POST", "/api/uploads", data=png(), headers={"Content-Type": "image/png"})
    answer = await site.you.post(
        "/api/talk", {"question": question, "pictures": [sent.data["sha256"]], **body}
    )
    assert answer.status == 202 and answer.data["href"] == f"/talk/{answer.data['job']}"
    if "slowly" not in question:
        await site.finished(answer.data["job"])
    return answer.data["job"]


async def test_a_question_about_what_was_sent_is_answered_and_gone_on_with(site: Site) -> None:
    first = await begun(site)
    asked = await site.you.post(f"/api/talk/{first}", {"question": "And now?"})
    await site.finished(asked.data["job"])
    found = (await site.you.get(f"/api/talk/{asked.data['job']}")).data
    assert [turn["question"] for turn in found["turns"]] == ["What is it?", "And now?"]
    one, two = found["turns"]
    assert one["answer"].startswith("1 turns") and two["answer"].startswith("3 turns")
    [thumb] = one["pictures"]
    assert (await site.you.get(thumb)).status == 200 and two["pictures"] == []
    assert one["seen"] == ["64 × 48"] and one["tokens"] == [10, 0, 7] and one["ended"] == "end"
    replies = (await site.you.get(f"/api/talk/{first}")).data["replies"]
    assert replies == [{"href": f"/talk/{asked.data['job']}", "question": "And now?"}]


async def test_the_page_works_without_scripts(site: Site) -> None:
    job = await site.drawn(site.you)
    page = (await site.you.get(f"/pictures/{job['id']}/2")).body.decode()
    assert f'action="/talk/{job["id"]}/2"' in page
    sent = await site.you.ask("POST", f"/talk/{job['id']}/2", data={"question": "What is <b>it</b>?"})
    assert sent.status == 303
    await site.finished(sent.headers["Location"].rpartition("/")[2])
    page = (await site.you.get(sent.headers["Location"])).body.decode()
    assert "What is &lt;b&gt;it&lt;/b&gt;?" in page and "1 turns" in page and "at chat.example:9" in page
    assert f"/files/{job['id']}/2/256.webp" in page
    more = await site.you.ask("POST", sent.headers["Location"], data={"question": "And?"})
    assert more.status == 303 and more.headers["Location"] != sent.headers["Location"]
    again = await site.you.ask("POST", f"{more.headers['Location']}/again", data={})
    assert again.status == 303
    new = await site.opened.services.queue.job(again.headers["Location"].rpartition("/")[2])
    assert new.request.temperature > 0 and new.request.question == "And?"


async def test_an_answer_grows_on_the_socket_and_is_stopped(site: Site) -> None:
    async with site.http.ws_connect(
        f"{site.web.url}/api/live",
        headers={"Origin": site.web.url, "Cookie": f"__Host-atelier={site.you.cookie}"},
    ) as socket:
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
    second = (await site.you.post(f"/api/talk/{first}", {"question": "And now?"})).data["job"]
    await site.finished(second)
    found = {job["id"]: job for job in (await site.you.get("/api/jobs")).data["jobs"]}
    assert found[second]["question"] == "And now?" and found[second]["talk"] == f"/talk/{second}"
    assert found[second]["answer"].startswith("3 turns") and found[second]["parent"] is None
    page = (await site.you.get("/")).body.decode()
    assert f'href="/talk/{first}"' in page and "And now?" in page


async def test_nobody_else_sees_it_or_goes_on(site: Site) -> None:
    job = await begun(site)
    other = await site.person(77)
    missing = await other.get("/api/talk/abcdabcdabcd")
    for answer in (
        await other.get(f"/api/talk/{job}"),
        await other.post(f"/api/talk/{job}", {"question": "And?"}),
    ):
        assert (answer.status, answer.body) == (404, missing.body)
    assert (await other.get(f"/talk/{job}")).status == 404
    assert (await other.ask("POST", f"/talk/{job}", data={"question": "And?"})).status == 404


async def test_somebody_elses_upload_is_not_taken(site: Site) -> None:
    other = await site.person(77)
    sent = await other.ask("POST", "/api/uploads", data=png(), headers={"Content-Type": "image/png"})
    answer = await site.you.post("/api/talk", {"question": "What?", "pictures": [sent.data["sha256"]]})
    assert answer.status >= 400 and "gone" in answer.data["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": " "}, "empty"),
        ({"question": "What?"}, "no picture"),
        ({"question": "Who is this?"}, NOT_WHO),
        ({}, "`question` is missing"),
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


async def test_without_a_model_no_picture_has_the_field(tmp_path: Path) -> None:
    async with open_site(tmp_path, MODEL_PROFILE="small") as site:
        job = await site.drawn(site.you)
        assert "Ask about it" not in (await site.you.get(f"/pictures/{job['id']}/1")).body.decode()
        answer = await site.you.post("/api/talk", {"question": "What?", "pictures": [f"{job['id']} 1"]})
        assert answer.data["detail"] == NO_MODEL
