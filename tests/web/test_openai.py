"""The form of OpenAI's API, by its own client, unchanged."""

import base64
import io
import json
import random
from typing import Any

import aiohttp
import pytest
from PIL import Image

from studio.moderation.rules import Rule
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.studio.video_requests import VideosAtOnce
from tests.web.conftest import Site
from web import dispatch

openai = pytest.importorskip("openai")


class EXECUTOR(VideosAtOnce, Talker):
    """Draws, makes videos, and answers."""


def noisy(side: int) -> bytes:
    """A picture that packs badly."""
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(3 * side * side)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def client(site: Site) -> Any:
    program = await site.program()
    async with openai.AsyncOpenAI(
        base_url=f"{site.web.url}/v1", api_key=program.cookie, max_retries=0
    ) as made:
        yield made


async def test_models_are_named(client: Any) -> None:
    names = [one.id async for one in client.models.list()]
    assert "atelier" in names
    assert (await client.models.retrieve("atelier")).owned_by == "atelier"
    with pytest.raises(openai.NotFoundError, match="No model 'nonsense' does that"):
        await client.models.retrieve("nonsense")


async def test_as_many_pictures_are_drawn_as_are_wished(client: Any, site: Site) -> None:
    made = await client.images.generate(model="gpt-image-1.5", prompt="a red house", n=2, size="1536x1024")
    assert len(made.data) == 2
    assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
    [job] = (await site.you.get("/api/jobs")).data["jobs"]
    assert len(job["pictures"]) == 2 and "3:2" in str(job)


async def test_a_link_shows_a_picture_to_whoever_has_it(client: Any, site: Site) -> None:
    made = await client.images.generate(prompt="a red house", response_format="url")
    path = made.data[0].url.removeprefix(site.web.url)
    shown = await site.stranger().get(path)
    assert (shown.status, shown.headers["Content-Type"]) == (200, "image/png")


async def test_pictures_are_cut_out_where_that_is_wished(client: Any, site: Site) -> None:
    wish: dict[str, Any] = {"prompt": "a red house", "n": 2, "background": "transparent"}
    for headers in ({}, {"Idempotency-Key": "cut"}):
        made = await client.images.generate(**wish, extra_headers=headers)
        assert made.background == "transparent" and len(made.data) == 2
    jobs = (await site.you.get("/api/jobs")).data["jobs"]
    cut = [job for job in jobs if job["kind"] == "cutout"]
    assert len(jobs) == 6 and len(cut) == 4 and len({str(job["parent"]) for job in cut}) == 4


async def test_pictures_come_as_events(client: Any) -> None:
    stream = await client.images.generate(prompt="a red house", n=2, stream=True, partial_images=2)
    events = [event async for event in stream]
    assert [event.type for event in events][-2:] == ["image_generation.completed"] * 2
    assert base64.b64decode(events[-1].b64_json).startswith(b"\x89PNG")


async def test_pictures_are_changed_by_words_and_by_a_mask(client: Any, site: Site) -> None:
    one, two = ("a.png", png(64, 64), "image/png"), ("b.png", png(48, 48), "image/png")
    made = await client.images.edit(image=[one, two], prompt="put 2 next to 1")
    assert made.data[0].b64_json
    with pytest.raises(openai.BadRequestError, match="`mask` is one"):
        await client.images.edit(image=[one, two], mask=one, prompt="a boat")


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 0), ("n", 11), ("size", "big"), ("quality", "best"), ("output_format", "webp")]
    + [("background", "red"), ("partial_images", 9), ("size", "4000x10")],
)
async def test_what_cant_be_had_is_refused_by_its_name(client: Any, field: str, value: object) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(prompt="a house", **{field: value})
    assert caught.value.param == field and f"`{field}`" in str(caught.value)


async def test_errors_have_the_form_that_the_client_knows(client: Any, site: Site) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.images.generate(prompt="a house", model="nonsense")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    stranger = openai.AsyncOpenAI(base_url=f"{site.web.url}/v1", api_key="sk-nobody", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="isn't known here"):
        await stranger.models.list()
    await stranger.close()
    poor = await site.program("look")
    weak = openai.AsyncOpenAI(base_url=f"{site.web.url}/v1", api_key=poor.cookie, max_retries=0)
    with pytest.raises(openai.PermissionDeniedError, match="scope draw"):
        await weak.images.generate(prompt="a house")
    await weak.close()


async def test_a_question_about_a_picture_is_answered_and_streamed(client: Any, site: Site) -> None:
    url = "data:image/png;base64," + base64.b64encode(png(64, 64)).decode()
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": parts}]
    told = await client.chat.completions.create(model="gpt-5-mini", messages=messages)
    assert told.choices[0].message.content and told.choices[0].finish_reason == "stop"
    stream = await client.chat.completions.create(model="atelier-ask", messages=messages, stream=True)
    said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert said == told.choices[0].message.content


async def test_a_link_to_a_picture_of_ours_may_be_asked_about_and_no_other(client: Any, site: Site) -> None:
    job = await site.drawn(site.you)

    async def ask(url: str) -> Any:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return await client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": parts}]
        )

    assert (await ask(f"{site.web.url}/files/{job['id']}/1")).choices[0].message.content
    for url in ("http://169.254.169.254/x", "file:///etc/passwd", "http://evil.example/files/x/1"):
        with pytest.raises(openai.BadRequestError, match="link to one of this studio's"):
            await ask(url)


async def test_texts_are_judged_by_the_studios_rules(client: Any) -> None:
    judged = await client.moderations.create(input=["a red house", "a naked child"])
    assert [one.flagged for one in judged.results] == [False, True]
    assert judged.results[1].categories.sexual_minors and Rule.MINORS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_video_is_made_watched_downloaded_drawn_anew_and_deleted(client: Any) -> None:
    asked = {"model": "sora-2", "prompt": "a boat on a river", "seconds": "4", "size": "1280x720"}
    made = await client.videos.create_and_poll(**asked, input_reference=("a.png", png(64, 64), "image/png"))
    assert (made.status, made.progress, made.object) == ("completed", 100, "video")
    content = await (await client.videos.download_content(made.id)).aread()
    small = await (await client.videos.download_content(made.id, variant="thumbnail")).aread()
    assert content[4:8] == b"ftyp" and small.startswith(b"RIFF")
    other = await client.videos.remix(made.id, prompt="the same boat at night")
    assert other.remixed_from_video_id == made.id
    await client.videos.poll(other.id)
    listed = await client.videos.list()
    assert {one.id for one in listed.data} == {made.id, other.id}
    assert (await client.videos.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.videos.retrieve(made.id)
    for field, value in (("seconds", "99"), ("size", "big"), ("model", "nonsense")):
        with pytest.raises(openai.APIStatusError) as refused:
            await client.videos.create(**{"prompt": "a boat", field: value})
        assert refused.value.param == field


async def test_a_response_is_given_streamed_and_gone_on_from(client: Any) -> None:
    url = "data:image/png;base64," + base64.b64encode(png(64, 64)).decode()
    parts = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url}]
    wish: dict[str, Any] = {"model": "gpt-5", "input": [{"role": "user", "content": parts}]}
    first = await client.responses.create(**wish)
    assert first.status == "completed" and "1 pictures" in first.output_text
    more = await client.responses.create(input="What else?", previous_response_id=first.id)
    assert "3 turns" in more.output_text
    kinds, said = [], ""
    async for event in await client.responses.create(**wish, stream=True):
        kinds.append(event.type)
        said += event.delta if event.type == "response.output_text.delta" else ""
    assert said == first.output_text
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    for field, value in (("tools", [{"type": "web_search"}]), ("background", True)):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(**wish, **{field: value})
        assert refused.value.param == field


async def test_a_large_picture_in_json_stays_on_the_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = list[int]()
    loads = json.loads
    monkeypatch.setattr(dispatch.json, "loads", lambda text: parsed.append(len(text)) or loads(text))
    program, picture = await site.program(), noisy(800)
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    part = {"type": "image_url", "image_url": {"url": url}}
    sent = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]}
    kind: dict[str, str | None] = {"Content-Type": "application/json"}
    body = io.BytesIO(json.dumps(sent).encode())
    answered = await program.ask("POST", "/v1/chat/completions", kind, data=body)
    assert answered.status == 200 and "1 pictures" in answered.data["choices"][0]["message"]["content"]
    assert len(url) > dispatch.IN_MEMORY and max(parsed[:1]) < 1000
    words = {"messages": [{"role": "user", "content": "a" * (dispatch.IN_MEMORY + 1)}]}
    body = io.BytesIO(json.dumps(words).encode())
    assert (await program.ask("POST", "/v1/chat/completions", kind, data=body)).status == 413
    part["image_url"]["url"] = "held:sha256," + "0" * 64
    assert (await program.post("/v1/chat/completions", sent)).status == 400


async def test_a_key_tells_different_files_of_a_form_apart(site: Site) -> None:
    program, jobs = await site.program(), list[str]()
    for colour in ((250, 0, 0), (250, 0, 0), (0, 0, 250)):
        form = aiohttp.FormData({"prompt": "make it green"})
        form.add_field("image", png(64, 64, colour), filename="a.png", content_type="image/png")
        headers: dict[str, str | None] = {"Idempotency-Key": "the-same"}
        assert (await program.ask("POST", "/v1/images/edits", headers, data=form)).status == 200
        jobs.append(str(len((await program.get("/api/jobs")).data["jobs"])))
    assert jobs == ["1", "1", "2"]


async def test_a_key_makes_a_wish_once(site: Site) -> None:
    program = await site.program()
    headers: dict[str, str | None] = {"Idempotency-Key": "the-same"}
    wish = {"prompt": "a red house"}
    first, again = [await program.post("/api/jobs", wish, headers=headers) for _ in range(2)]
    assert first.data["jobs"][0]["id"] == again.data["jobs"][0]["id"]
    for _ in range(2):
        assert (await program.post("/v1/images/generations", wish, headers=headers)).status == 200
    jobs = (await program.get("/api/jobs")).data["jobs"]
    assert len(jobs) == 2  # one by each door


async def test_the_events_of_a_job_are_sent_until_it_is_over(site: Site) -> None:
    program = await site.program()
    job = (await program.post("/api/jobs", {"prompt": "a red house"})).data["jobs"][0]["id"]
    told = await program.get(f"/api/jobs/{job}/events")
    assert (told.status, told.headers["Content-Type"]) == (200, "text/event-stream")
    assert told.body.decode().splitlines()[-3] == "event: rendered"
