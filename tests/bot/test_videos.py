"""Videos on Discord: by command, menu, mention and direct message; the strip stands beside the answer."""

import io

import pytest
from PIL import Image

from bot.cogs.messages import A_VIDEO
from tests.bot.conftest import Studio, png
from tests.bot.test_ask import MODEL, asked, labels, more
from tests.bot.test_mentions import last_dm, me
from tests.bot.test_presses import job_of
from tests.support.messages import alts_of, text_of
from tests.support.videos import BLUE, GREEN, RED, WHITE, animation, moving, plain, video

GIF = ("slides.gif", animation([plain(c) for c in (RED, BLUE, GREEN, WHITE)], "GIF", 2))
MP4 = ("clip.mp4", video(moving(16, cut_at=8)))


SETTINGS = MODEL


async def strip_of(message) -> Image.Image:
    [file] = [one for one in message.attachments if one.filename.startswith("frames-")]
    return Image.open(io.BytesIO(await file.read()))


async def test_a_video_is_asked_about_and_its_strip_is_shown(studio: Studio) -> None:
    message = await asked(studio, "quote It turns green at 4.0 s.", image=GIF)
    assert (await strip_of(message)).width == 4 * 248 + 8
    [told] = alts_of(message)
    assert told.endswith("6.0 s; the answer names 4.0 s")
    assert labels(message)[0] == "Ask more"
    assert (await job_of(studio, message)).request.times == (0, 2, 4, 6)


async def test_the_strip_stands_beside_follow_ups_too(studio: Studio) -> None:
    second = await more(studio, await asked(studio, image=MP4), "And why?", studio.bob)
    assert "turn 2 with" in text_of(second) and await strip_of(second)


async def test_a_long_answer_about_a_video_has_strip_and_file(studio: Studio) -> None:
    message = await asked(studio, "A long one", image=GIF)
    assert [file.filename.split("-")[0] for file in message.attachments] == ["frames", "answer.md"]


async def test_an_answer_about_a_picture_has_no_strip(studio: Studio) -> None:
    assert (await asked(studio)).attachments == []


async def test_the_menu_takes_videos_of_messages(studio: Studio) -> None:
    posted = await studio.bob.send(studio.channel, "look", attachments=[MP4, ("cat.png", png())])
    shown = await studio.alice.context_menu(studio.channel, "Ask", posted)
    await studio.alice.submit_modal(shown, {"question": "What happens?"})
    times = (await job_of(studio, studio.last())).request.times
    assert times[0] is None and len(times) >= 5 and await strip_of(studio.last())


async def test_a_video_comes_with_a_later_question(studio: Studio) -> None:
    first = await asked(studio)
    shown = await studio.alice.click(first, label="Ask more")
    await studio.alice.submit_modal(shown, {"question": "And this?", "image": [GIF]})
    assert "turn 2 with 5 pictures" in text_of(studio.last()) and await strip_of(studio.last())


async def test_a_mention_with_a_video_is_a_question(studio: Studio) -> None:
    await studio.alice.send(studio.channel, f"{me(studio)} what happens?", attachments=[GIF])
    assert "turn 1 with 4 pictures" in text_of(studio.last()) and await strip_of(studio.last())


async def test_a_direct_message_with_a_video_is_a_question(studio: Studio) -> None:
    await studio.send_dm(studio.alice.user, "What happens?", GIF)
    assert await strip_of(last_dm(studio, studio.alice))


async def test_a_video_sent_without_a_question_is_told_how_to_ask(studio: Studio) -> None:
    await studio.send_dm(studio.alice.user, "", GIF)
    assert text_of(last_dm(studio, studio.alice)) == A_VIDEO


async def test_a_link_to_a_video_is_asked_about(studio: Studio) -> None:
    posted = await studio.bob.send(studio.channel, "look", attachments=[GIF])
    link = posted.attachments[0].url
    await studio.alice.slash(studio.channel, "ask", question="What happens?", link=link)
    assert "turn 1 with 4 pictures" in text_of(studio.last())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("old.mp4", video(moving(2), "mpeg4"), "encoded as mpeg4. Supported: H.264, HEVC, VP8, VP9 and AV1."),
        ("bad.webm", b"\x1a\x45\xdf\xa3" + bytes(60), "is damaged or incomplete."),
        ("a.wmv", b"0&\xb2u" + bytes(60), "can't be read as a video. Supported: MP4, WebM and GIF."),
    ],
)
async def test_what_is_wrong_with_a_video_is_said(studio: Studio, name: str, data: bytes, words: str) -> None:
    result = await studio.alice.slash(studio.channel, "ask", question="What?", image=(name, data))
    said = "\n".join(text_of(one) for one in (result.response, *result.followups) if one)
    assert f"`{name}`" in said and words in said
