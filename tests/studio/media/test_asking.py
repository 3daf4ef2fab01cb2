"""Questions about videos as any door asks them: what the model is told, what is kept, what is shown."""

import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.errors import ImageError, NotAllowedError, UserError
from core.requests import AskRequest, from_json, to_json
from studio.authority import Place
from studio.library.clips import Strips, asked_video
from studio.moderation.rules import Visibility
from studio.requests.chat import LONG
from tests.studio.conftest import ALICE, BOB, Sent, png
from tests.studio.requests.test_talking import Chat, open_chat
from tests.support.videos import BLUE, GREEN, RED, WHITE, animation, moving, plain, video

SLIDES = Sent(animation([plain(c) for c in (RED, BLUE, GREEN, WHITE)], "GIF", 2), "slides.gif")
HERE = Place(ALICE.guild_id, ALICE.channel_id)


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with open_chat(tmp_path) as found:
        yield found


async def about(chat: Chat, *files: object, question: str = "What happens?"):
    return await chat.submit(ALICE, await chat.opened.ask(ALICE, question, files))


def strips(chat: Chat) -> Strips:
    services = chat.opened.services
    return Strips(services.files, services.queue, services.moderator)


async def strip_of(chat: Chat, job, text: str | None = None):
    result = await chat.opened.services.queue.result(job.id)
    return await strips(chat).of(result, result.answer.text if text is None else text, HERE)


async def test_the_model_is_told_the_frames_of_a_video_with_their_times(chat: Chat) -> None:
    job = await about(chat, SLIDES)
    [turn] = chat.talker.talks[job.id]
    assert turn.times == (0, 2, 4, 6) and turn.film_seconds == 8
    shown = [
        Image.open(io.BytesIO(await chat.opened.services.files.get(sha256))).getpixel((1, 1))
        for sha256 in turn.pictures
    ]
    assert shown == [RED, BLUE, GREEN, WHITE]
    assert from_json("ask", to_json(job.request)) == job.request


async def test_pictures_beside_a_video_come_first_and_have_no_times(chat: Chat) -> None:
    job = await about(chat, SLIDES, Sent(png()))
    [turn] = chat.talker.talks[job.id]
    assert turn.times == (None, 0, 2, 4, 6) and len(job.request.frames) == 4
    assert job.request.pictures == turn.pictures


async def test_a_video_that_stands_still_keeps_all_its_times(chat: Chat) -> None:
    job = await about(chat, Sent(video([plain(RED)] * 8, fps=1), "still.mp4"))
    assert len(job.request.times) == len(job.request.images) >= 4 and len(job.request.pictures) == 1


async def test_follow_ups_keep_the_video(chat: Chat) -> None:
    first = await about(chat, SLIDES)
    second = await chat.more(BOB, await chat.more(ALICE, first), "Why?")
    turns = chat.talker.talks[second.id]
    assert turns[0].times == (0, 2, 4, 6) and turns[-1].times == ()
    assert (await chat.opened.services.queue.result(second.id)).parameters["film"] == first.id


async def test_again_is_about_the_same_video(chat: Chat) -> None:
    first = await about(chat, SLIDES)
    again = await chat.submit(ALICE, await chat.opened.studio.from_button(ALICE, first.id, "again", 0))
    assert again.request.frames == first.request.frames


async def test_of_a_long_video_it_is_said_how_much_was_looked_at(chat: Chat) -> None:
    job = await about(chat, Sent(video(moving(80), fps=1), "long.mp4"))
    assert await chat.notes(job) == [LONG.format(job.request.film_seconds)]
    assert chat.talker.talks[job.id][0].film_seconds == 60 < job.request.film_seconds
    assert "The video lasts 80 s; its first 60 s were used." in await chat.notes(job)


async def test_the_host_bounds_frames_and_their_size(tmp_path: Path) -> None:
    async with open_chat(tmp_path, ASK_FRAMES="5", ASK_FRAME_PIXELS="0.02") as chat:
        job = await about(chat, Sent(video(moving(90, (320, 180)), fps=3), "a.mp4"))
        assert len(job.request.frames) == 5
        opened = Image.open(io.BytesIO(await chat.opened.services.files.get(job.request.images[0])))
        assert opened.width * opened.height <= 20_500


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([SLIDES, SLIDES], "There are 2 videos; a question takes one."),
        ([Sent(b"RIFF\0\0\0\0AVI LIST" + bytes(90), "a.avi")], "can't be read as a picture"),
        ([Sent(b"\0" * 90, "a.avi")], "`a.avi` can't be read as a video. Supported: MP4, WebM and GIF."),
        ([Sent(b"\0" * 90, "a.txt")], "`a.txt` can't be read as a picture"),
        ([Sent(video(moving(2), "mpeg4"), "old.mp4")], "`old.mp4` is encoded as mpeg4. Supported: H.264"),
        ([Sent(png())] * 11 + [SLIDES], "There are 11 pictures; a question takes up to 10"),
    ],
)
async def test_what_is_wrong_is_named_with_what_is_read(chat: Chat, files, words: str) -> None:
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        await chat.opened.ask(ALICE, "What?", files)


async def test_a_video_that_is_too_large_isnt_even_read(tmp_path: Path) -> None:
    class Large(Sent):
        size = 80 * 2**20

        async def read(self) -> bytes:
            raise AssertionError("it was read")

    async with open_chat(tmp_path) as chat:
        with pytest.raises(ImageError, match=r"`big.mp4` has 80 MB; the limit for videos is 50 MB\."):
            await chat.opened.ask(ALICE, "What?", [Large(b"", "big.mp4")])
        with pytest.raises(ImageError, match="limit for pictures"):
            await chat.opened.ask(ALICE, "What?", [Large(b"", "big.png")])


async def test_frames_go_with_their_question(chat: Chat) -> None:
    job = await about(chat, SLIDES)
    services = chat.opened.services
    assert all(map(services.files.exists, job.request.pictures))
    [part] = [part async for part in chat.opened.studio.own.export(ALICE, 10**7)]
    inside = zipfile.ZipFile(io.BytesIO(part))
    assert {f"pictures/{sha256}.png" for sha256 in job.request.pictures} <= set(inside.namelist())
    assert any(b'"times"' in inside.read(name).replace(b"\\", b"") for name in inside.namelist())
    await services.privacy.delete(ALICE.user_id)
    assert not any(map(services.files.exists, job.request.pictures))


async def test_a_video_is_kept_until_its_question_comes(chat: Chat) -> None:
    name, kept = await chat.talking.keep_video(ALICE, SLIDES)
    job = await chat.submit(ALICE, await chat.opened.ask(ALICE, "What?", [name]))
    assert job.request.frames == kept.frames and job.request.film_seconds == 8
    for actor, other in ((BOB, name), (ALICE, "video:aaaaaaaaaaaa")):
        with pytest.raises(ImageError, match="That video is gone; send it again"):
            await chat.opened.ask(actor, "What?", [other])
    with pytest.raises(ImageError, match="supported video"):
        await chat.talking.keep_video(ALICE, Sent(png()))


async def test_the_strip_shows_what_was_looked_at_and_marks_what_the_answer_names(chat: Chat) -> None:
    job = await about(chat, SLIDES)
    plain_strip, marked = await strip_of(chat, job, "Nothing."), await strip_of(chat, job, "Green at 4.0 s.")
    assert plain_strip.alt == "Frames of the video at 0.0 s, 2.0 s, 4.0 s, 6.0 s"
    assert marked.alt.endswith("; the answer names 4.0 s")
    one, other = (Image.open(io.BytesIO(strip.data)).convert("RGB") for strip in (plain_strip, marked))
    assert one.size == other.size and one.width == 4 * 248 + 8
    middles = [one.getpixel((8 + 248 * n + 120, 60)) for n in range(4)]
    for seen, colour in zip(middles, (RED, BLUE, GREEN, WHITE), strict=True):
        assert all(abs(a - b) < 40 for a, b in zip(seen, colour, strict=True))
    edges = [other.getpixel((6 + 248 * n, 60)) for n in range(4)]
    assert [sum(edge) > 250 for edge in edges] == [False, False, True, False]


async def test_the_strip_stands_beside_later_answers_too(chat: Chat) -> None:
    first = await about(chat, SLIDES)
    second = await chat.more(ALICE, first, "When is it green?")
    assert (await strip_of(chat, second, "4 s")).alt.endswith("names 4.0 s")
    assert await strip_of(chat, await chat.first()) is None


async def test_without_its_frames_there_is_no_strip(chat: Chat) -> None:
    job = await about(chat, SLIDES)
    gone, *_ = job.request.images
    await chat.opened.services.files.remove(gone)
    assert (await strip_of(chat, job)) is not None, "an empty place stands for one that is gone"
    for sha256 in job.request.images:
        await chat.opened.services.files.remove(sha256)
    assert await strip_of(chat, job) is None


async def test_a_private_video_is_no_part_of_a_public_answer(chat: Chat) -> None:
    hidden = await chat.opened.ask(ALICE, "What?", [SLIDES])
    job = await chat.submit(ALICE, replace(hidden, private=True))
    with pytest.raises(NotAllowedError):
        await chat.opened.ask(BOB, "And?", follows=job.id)
    public = await chat.first()
    queue = chat.opened.services.queue
    assert await asked_video(queue, public, {"video": job.id}) is None
    assert await asked_video(queue, job, {}) == job


def test_a_request_knows_its_frames() -> None:
    names = tuple(f"{i:064x}" for i in range(3))
    request = AskRequest(question="a", images=names, times=(None, 0.5, 1.0))
    assert request.frames == ((0.5, names[1]), (1.0, names[2]))
    with pytest.raises(ValueError, match="2 times for 3 pictures"):
        AskRequest(question="a", images=names, times=(0.5, 1.0))
    with pytest.raises(ValueError, match="first 60 seconds"):
        AskRequest(question="a", images=names, times=(0.5, 1.0, 61.0))
    many = tuple(f"{i:064x}" for i in range(33))
    with pytest.raises(UserError, match="There are 33 frames; a question takes up to 32"):
        AskRequest(question="a", images=many, times=tuple(map(float, range(33))))
    with pytest.raises(UserError, match="There are 33 pictures"):
        AskRequest(question="a", images=many)


class Verdict:
    """A moderator that finds every picture so."""

    def __init__(self, found: Visibility) -> None:
        self.found = found

    async def visibility(self, sha256s, place) -> Visibility:
        return self.found


async def test_the_strip_is_as_hidden_as_its_frames(chat: Chat) -> None:
    job, services = await about(chat, SLIDES), chat.opened.services
    result = await services.queue.result(job.id)
    found = {
        verdict: await Strips(services.files, services.queue, Verdict(verdict)).of(result, "", HERE)
        for verdict in Visibility
    }
    assert found[Visibility.BLOCK] is None
    assert found[Visibility.SPOILER].visibility is Visibility.SPOILER
    assert found[Visibility.SHOW].visibility is Visibility.SHOW


async def test_a_frame_is_shown_to_who_may_see_it_where_no_rule_hides_it(chat: Chat) -> None:
    job = await about(chat, SLIDES)
    small = Image.open(io.BytesIO(await chat.talking.frame(BOB, job.id, 1)))
    assert small.convert("RGB").getpixel((5, 5))[2] > 180
    with pytest.raises(ImageError, match="no such frame"):
        await chat.talking.frame(ALICE, job.id, 4)
    chat.talking._moderator = Verdict(Visibility.SPOILER)
    with pytest.raises(ImageError, match="hides that frame"):
        await chat.talking.frame(ALICE, job.id, 1)
    hidden = await chat.submit(ALICE, replace(await chat.opened.ask(ALICE, "What?", [SLIDES]), private=True))
    with pytest.raises(NotAllowedError):
        await chat.talking.frame(BOB, hidden.id, 0)
