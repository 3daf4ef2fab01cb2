"""Videos: asked for by words, pictures and other videos; shown, pressed, cut and handed on."""

import io
from pathlib import Path

import pytest

from bot.ui import buttons
from core.profiles import DEMO
from core.requests.video import CutRequest, FrameRequest, VideoRequest
from studio.requests.actions import STRENGTHS
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.test_asking import said
from tests.support.messages import act, actions_of, alts_of, names_of, rows_of, text_of
from tests.support.videos import moving, video
from vision.video.reader import VideoReader

BOAT = "a red boat sails to the left"


async def made(studio: Studio, **options) -> tuple:
    """The message of a /video, and the newest job."""
    await studio.alice.slash(studio.channel, "video", **options)
    return studio.last(), await newest(studio)


async def newest(studio: Studio):
    """The job that the last message shows."""
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    return await studio.built.queue.job(job.id)


async def secret(studio: Studio):
    """A private video of alice's."""
    await studio.alice.slash(studio.channel, "video", prompt=f"{BOAT} --bs 1 --stealth")
    [job] = [job for job in await studio.members.recent(studio.alice.id) if job.origin.private]
    return job


async def video_in(message) -> VideoReader:
    [file] = message.attachments
    assert file.filename.endswith(".mp4"), file.filename
    return VideoReader(io.BytesIO(await file.read()))


def labels(message) -> list[str]:
    return names_of(message)


async def test_words_make_a_set_in_one_video_with_a_button_for_each(studio: Studio) -> None:
    message, job = await made(studio, prompt=f"{BOAT} --motion high --bs 4 --seed 7")
    assert text_of(message).startswith(f"**{BOAT} --motion high** - Video by <@{studio.alice.id}> (fast)")
    assert "-# 1.0 s · 64×64 · 8 fps · seed 7 · 4 steps · pretend · job " in text_of(message)
    assert labels(message) == ["U1", "U2", "U3", "U4", "🔄"]
    with await video_in(message) as shown:
        assert (shown.width, shown.height, shown.frames) == (128, 128, 8)
    assert isinstance(job.request, VideoRequest) and job.request.num_images == 4
    assert alts_of(message) == [BOAT] and len(message.attachments) == 1


async def test_one_video_has_its_buttons_within_the_places_there_are(studio: Studio) -> None:
    message, _ = await made(studio, prompt=f"{BOAT} --bs 1")
    assert labels(message) == [
        *("Extend (High)", "Extend (Low)", "Extend back", "Loop"),
        *("Remix", "Blend…", "🔄", "Three more"),
        *("Cut", "Last frame", "GIF", "❤️"),
    ]
    assert actions_of(message)[-3:] == ["details", "dm", "delete"]
    assert all(len(row) <= buttons.MOST_IN_ROW for row in rows_of(message))


async def test_three_more_makes_a_set_and_goes_on_after_a_restart(studio: Studio) -> None:
    message, first = await made(studio, prompt=f"{BOAT} --seed 7")
    assert first.request.num_images == 1, "as is usual on a processor"
    await studio.restart()
    await studio.bob.click(message, label="Three more")
    job = await newest(studio)
    assert job.request.num_images == 3 and job.request.seed != 7 and job.request.prompt == BOAT
    assert labels(studio.last()) == ["U1", "U2", "U3", "🔄"]


async def test_u_shows_one_video_in_full(studio: Studio) -> None:
    message, job = await made(studio, prompt=f"{BOAT} --bs 4 --seed 7")
    await studio.bob.click(message, label="U3")
    single = studio.last()
    assert f"Video #3 <@{studio.bob.id}>" in text_of(single) and "seed 9" in text_of(single)
    assert f"job {job.id} 3" in text_of(single) and "Extend (High)" in labels(single)
    with await video_in(single) as shown:
        assert (shown.width, shown.height) == (64, 64)


async def test_options_are_flags_and_go_before_them(studio: Studio) -> None:
    _, job = await made(
        studio,
        prompt=f"{BOAT} --motion low --ar 1:1",
        shape="vertical",
        resolution=720,
        seconds=2.5,
        motion="high",
        loop=True,
        number=1,
    )
    request = job.request
    assert (request.aspect_ratio, request.resolution, request.seconds) == ((9, 16), 720, 2.5)
    assert (request.motion, request.loop, request.num_images) == ("high", True, 1)


async def test_a_first_and_a_last_picture(studio: Studio) -> None:
    _, job = await made(studio, image=("a.png", png()), end=("b.png", png(colour=(1, 2, 3))), number=1)
    assert job.request.image and job.request.end_image and job.request.image != job.request.end_image
    _, job = await made(studio, image=("a.png", png()), prompt="it sinks", number=1)
    assert (job.request.prompt, job.request.end_image) == ("it sinks", None)


async def test_models_for_videos_are_offered_and_held_to(tmp_path: Path) -> None:
    demo = DEMO / "stable-diffusion"
    async with open_studio(tmp_path / "1", IMAGE_MODELS=f"ink={demo}") as studio:  # videos are sketched by it
        offered = await studio.alice.autocomplete(studio.channel, "video", "model", "I")
        assert [choice["value"] for choice in offered] == ["ink"]
        _, job = await made(studio, prompt=BOAT, model="INK", number=1)
        assert job.request.model == "ink"
    settings = {"VIDEO_MODEL": str(demo), "VIDEO_MODELS": f"wan={demo},ltx={demo}"}
    async with open_studio(tmp_path / "2", IMAGE_MODELS=f"ink={demo}", **settings) as studio:
        offered = await studio.alice.autocomplete(studio.channel, "video", "model", "")
        assert [choice["value"] for choice in offered] == ["wan", "ltx"]
        for options in ({"prompt": BOAT, "model": "ink"}, {"prompt": f"{BOAT} --model ink"}):
            result = await studio.alice.slash(studio.channel, "video", **options)
            assert "no model `ink` here. It takes wan, ltx" in text_of(said(result))
        texts = await studio.alice.autocomplete(studio.channel, "imagine", "prompt", "a --video --model ")
        assert [choice["value"] for choice in texts] == ["a --video --model wan", "a --video --model ltx"]


async def test_video_among_the_words_of_imagine(studio: Studio) -> None:
    await studio.alice.slash(
        studio.channel, "imagine", prompt="it sinks --video --bs 1", image=("a.png", png())
    )
    job = await newest(studio)
    assert isinstance(job.request, VideoRequest) and job.request.image is not None
    assert "Video by" in text_of(studio.last())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "The prompt is empty"),
        ({"prompt": "a --bs 5"}, "from 1 to 4"),
        ({"end": ("a.png", png())}, "A last picture needs a first one"),
        ({"prompt": "a", "do": "extend"}, "no video to extend"),
        ({"prompt": "a", "do": "cut"}, "no video to cut"),
        ({"source": "abcdefghjkmn 1"}, "no job `abcdefghjkmn`"),
        ({"source": "hello"}, "takes a link"),
        ({"prompt": "{a, b} boat"}, "only one prompt"),
        ({"prompt": "a", "part": "x-2"}, "isn't a time"),
    ],
)
async def test_what_cannot_be_is_told(studio: Studio, options, words: str) -> None:
    result = await studio.alice.slash(studio.channel, "video", **options)
    assert words in text_of(said(result))
    assert studio.channel.history() == []


async def test_a_video_alone_is_extended_and_with_words_remixed(studio: Studio) -> None:
    _, first = await made(studio, prompt=f"{BOAT} --bs 1 --seed 7")
    message, job = await made(studio, source=f"{first.id} 1")
    assert job.request.operation == "extend" and job.parent_id == first.id
    assert job.request.prompt == BOAT and job.request.clip and job.request.clip_ends
    assert " - Extended by " in text_of(message)
    message, job = await made(studio, source=first.id, prompt="at night --strength 0.7")
    assert (job.request.operation, job.request.strength) == ("remix", 0.7)
    assert " - Remix (Strong) by " in text_of(message)
    message, job = await made(studio, source=first.id, source2=job.id + " 1")
    assert job.request.operation == "blend" and job.request.clip_2 is not None
    assert " - Blend of 2 by " in text_of(message)
    message, job = await made(studio, source=first.id, do="loop")
    assert job.request.operation == "loop" and " - Loop by " in text_of(message)


async def test_a_link_to_a_message_is_taken_wherever_a_video_is(studio: Studio) -> None:
    message, first = await made(studio, prompt=f"{BOAT} --bs 1")
    _, job = await made(studio, source=message.jump_url, do="extend backward")
    assert (job.request.operation, job.parent_id) == ("extend_back", first.id)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --seed 3")
    picture = await newest(studio)
    _, job = await made(studio, source=f"{picture.id} 2", number=1)
    assert job.request.operation == "new" and job.request.image is not None


async def test_a_video_that_somebody_sends_is_read_by_a_process_and_extended(studio: Studio) -> None:
    sent = video(moving(16, (96, 64)), fps=8)
    _, job = await made(studio, clip=("mine.mp4", sent), number=1)
    assert job.request.operation == "extend" and job.request.clip_ends is None and job.parent_id is None
    assert text_of(studio.last()).startswith("*no prompt* - Extended by ")
    stored = await studio.built.files.get(job.request.clip)
    with VideoReader(io.BytesIO(stored)) as clean:
        assert (clean.width, clean.height, clean.frames) == (96, 64, 16)
    result = await studio.alice.slash(studio.channel, "video", clip=("mine.mp4", b"no video at all"))
    assert "can't be read as a video" in text_of(said(result))


async def test_animate_under_a_picture_begins_with_it(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red boat --seed 3")
    await studio.alice.click(studio.last(), label="U2")
    single = studio.last()
    assert {"anihigh", "anilow"} <= set(actions_of(single))
    for action, motion in (("anihigh", "high"), ("anilow", "low")):
        await act(studio.bob, single, action)
        job = await newest(studio)
        assert (job.request.motion, job.request.prompt, job.parent_index) == (motion, "a red boat", 1)
        assert " - Video by " in text_of(studio.last())


@pytest.mark.slow
async def test_buttons_go_on_from_a_video_also_after_a_restart(studio: Studio) -> None:
    message, first = await made(studio, prompt=f"{BOAT} --bs 1 --seed 7")
    await studio.restart()
    for label, operation in (
        ("Extend (High)", "extend"),
        ("Extend (Low)", "extend"),
        ("Extend back", "extend_back"),
        ("Loop", "loop"),
    ):
        await studio.bob.click(message, label=label)
        job = await newest(studio)
        assert (job.request.operation, job.parent_id) == (operation, first.id), label
        assert job.request.clip_ends is not None


async def test_remix_blend_and_cut_open_windows(studio: Studio) -> None:
    message, first = await made(studio, prompt=f"{BOAT} --bs 1 --seed 7")
    _, other = await made(studio, prompt="waves --bs 1 --seed 8")
    result = await studio.bob.click(message, label="Remix")
    await studio.bob.submit_modal(result, {"prompt": "the same boat at night", "strength": "strong"})
    job = await newest(studio)
    assert (job.request.operation, job.request.strength) == ("remix", STRENGTHS["strong"])
    result = await studio.bob.click(message, label="Blend…")
    await studio.bob.submit_modal(result, {"source": f"{other.id} 1", "prompt": ""})
    job = await newest(studio)
    assert job.request.operation == "blend" and job.request.prompt == BOAT
    result = await studio.bob.click(message, label="Cut")
    await studio.bob.submit_modal(result, {"start": "0.25", "end": "0.75"})
    job = await newest(studio)
    assert isinstance(job.request, CutRequest) and job.device == "none"
    assert " - Cut by " in text_of(studio.last())
    with await video_in(studio.last()) as part:
        assert part.frames == 4


async def test_the_last_frame_is_a_picture_with_all_its_buttons(studio: Studio) -> None:
    message, first = await made(studio, prompt=f"{BOAT} --bs 1 --seed 7")
    await studio.bob.click(message, label="Last frame")
    job = await newest(studio)
    assert isinstance(job.request, FrameRequest) and job.parent_id == first.id
    assert {"Subtle", "Animate", "2x"} <= set(labels(studio.last()))
    assert "🔄" not in labels(studio.last())
    await studio.bob.click(studio.last(), label="2x")
    assert "Upscale 2× (Subtle)" in text_of(studio.last())


async def test_a_gif_plays_by_itself(studio: Studio) -> None:
    message, _ = await made(studio, prompt=f"{BOAT} --bs 1")
    await studio.bob.click(message, label="GIF")
    [file] = studio.last().attachments
    assert file.filename.endswith(".gif") and (await file.read())[:4] == b"GIF8"


async def test_with_remix_on_the_first_buttons_open_a_window(studio: Studio) -> None:
    message, first = await made(studio, prompt=f"{BOAT} --bs 1")
    await studio.alice.slash(studio.channel, "prefer remix")
    result = await studio.alice.click(message, label="Extend (Low)")
    assert result.modal is not None
    await studio.alice.submit_modal(result, {"prompt": "it turns --motion high --seconds 2"})
    job = await newest(studio)
    assert (job.request.operation, job.request.motion, job.request.seconds) == ("extend", "high", 2)


async def test_a_private_video_stays_its_makers(studio: Studio) -> None:
    job = await secret(studio)
    result = await studio.bob.slash(studio.channel, "video", source=f"{job.id} 1")
    assert "private" in text_of(said(result))
    assert await studio.members.recent(studio.bob.id) == []


async def test_a_private_video_can_only_be_blended_by_its_maker(studio: Studio) -> None:
    message, _ = await made(studio, prompt=f"{BOAT} --bs 1")
    private = await secret(studio)
    result = await studio.bob.click(message, label="Blend…")
    result = await studio.bob.submit_modal(result, {"source": f"{private.id} 1", "prompt": ""})
    assert "private" in text_of(said(result))
    assert await studio.members.recent(studio.bob.id) == []
