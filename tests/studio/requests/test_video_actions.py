"""What each button under pictures and videos makes: pure requests."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.convert import prompt_of
from core.errors import ImageError, UserError
from core.job import Job, Lane, Origin, Status
from core.prompt.parser import format_prompt, parse_prompt
from core.requests import ImagineRequest, Request
from core.requests.video import CutRequest, FrameRequest, VideoRequest
from jobs.queue import Result
from storage.job_queries import StoredPicture
from storage.videos import StoredVideo
from studio.authority import TABLE, Action
from studio.inputs import VideoSource, video_source
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests import actions
from studio.requests.actions import REMIXABLE, RIGHTS, after_button, imagine_prompt, repeat_job

PICTURE, VIDEO, OTHER, ENDS = "ab" * 32, "cd" * 32, "ef" * 32, "12" * 32


def job(request: Request, *, private: bool = False) -> Job:
    origin = Origin(1, 2, 3, private=private)
    return Job("abcdefghijkm", request, origin, Status.DELIVERED, Lane.FAST, datetime.now(UTC))


def stored(index: int = 0, sha256: str = VIDEO) -> StoredVideo:
    return StoredVideo(sha256, "video/mp4", 832, 480, 80, 16, False, 7 + index, index, 1000, ENDS)


def clip(*, index: int = 0, children: int = 0, private: bool = False, **fields) -> VideoSource:
    request = VideoRequest(
        **{"prompt": "a red boat", "seed": 7, "fps": 16, "loras": (("ink", 1.0),)} | fields
    )
    videos = (stored(0), stored(1, OTHER))
    return video_source(Result(job(request, private=private), videos=videos), index, children=children)


def picture(**fields) -> Source:
    request = ImagineRequest(
        **{"prompt": "a red boat", "seed": 3, "tile": True, "negative_prompt": "fog"} | fields
    )
    return Source(PICTURE, 96, 64, job(request), 1, 42)


def words(text: str) -> PromptWithPictures:
    return PromptWithPictures(parse_prompt(text), {})


def video(new: NewJob) -> VideoRequest:
    assert isinstance(new.request, VideoRequest)
    return new.request


@pytest.mark.parametrize(("button", "motion"), [("anilow", "low"), ("anihigh", "high")])
def test_animate_begins_with_the_picture_and_keeps_its_words_but_not_its_looks(
    button: str, motion: str
) -> None:
    source = picture()
    new = actions.animate(source, actions.MOTIONS_OF[button])
    new = new.in_lane_of(replace(source.job, lane=Lane.RELAX), None)
    request = video(new)
    assert (request.operation, request.image, request.motion) == ("new", PICTURE, motion)
    assert (request.prompt, request.negative_prompt, request.seed) == ("a red boat", "fog", 42)
    assert (request.num_images, request.tile, request.width) == (4, False, None)
    assert (new.parent, new.lane, new.own_words) == (("abcdefghijkm", 1), Lane.RELAX, False)


def test_words_name_the_lane_before_the_job_that_they_are_about() -> None:
    typed, source = words("a storm --turbo"), picture()
    assert actions.animate(source, "low", typed).in_lane_of(source.job, typed).lane is Lane.TURBO


def test_animate_by_a_picture_s_button_is_the_same() -> None:
    made_by = job(ImagineRequest(prompt="a red boat", seed=3))
    result = Result(made_by, pictures=(StoredPicture(PICTURE, "image/png", 96, 64, 3, 0, 10),))
    assert video(after_button(result, "anihigh", 0)).motion == "high"


def test_new_words_of_animate_say_what_moves_and_how_much() -> None:
    new = actions.animate(picture(), "low", words("it sails away --motion high --seconds 3 --res 720"))
    request = video(new)
    assert (request.prompt, request.motion, request.seconds) == ("it sails away", "high", 3)
    assert (request.resolution, request.num_images, new.own_words) == (720, 2, True)


def test_animate_without_words_of_a_sent_picture() -> None:
    request = video(actions.animate(Source(PICTURE, 96, 64), "low"))
    assert (request.prompt, request.image) == ("", PICTURE)


@pytest.mark.parametrize(
    ("button", "operation", "motion"),
    [("extlow", "extend", "low"), ("exthigh", "extend", "high"), ("extback", "extend_back", None)],
)
def test_extend_takes_the_video_and_the_latents_of_its_ends(button: str, operation: str, motion: str) -> None:
    given, how = actions.EXTENDS[button]
    request = video(actions.extend_video(clip(index=1), given, how))
    assert (request.operation, request.motion) == (operation, motion)
    assert (request.clip, request.clip_ends) == (OTHER, ENDS)
    assert (request.prompt, request.fps, request.loras) == ("a red boat", 16, (("ink", 1.0),))
    assert request.pictures == (OTHER, ENDS) and request.seconds is None


def test_extending_the_same_video_again_has_another_seed() -> None:
    seeds = {video(actions.extend_video(clip(index=i, children=n))).seed for i in (0, 1) for n in range(3)}
    assert len(seeds) == 6


@pytest.mark.parametrize("operation", ["extend", "extend_back"])
def test_a_video_is_extended_once_unless_more_are_asked_for(operation: str) -> None:
    for given in (None, words("it turns"), words("it turns --res 480")):
        assert video(actions.extend_video(clip(num_images=4), operation, words=given)).num_images == 1
    four = video(actions.extend_video(clip(), operation, words=words("it turns --bs 4")))
    assert four.num_images == 4 and "--bs 4" in format_prompt(prompt_of(four))


def test_a_video_that_began_with_a_picture_is_extended_from_itself_alone() -> None:
    request = video(actions.extend_video(clip(image=PICTURE, aspect_ratio=(3, 2), loop=True, seconds=9.0)))
    assert (request.image, request.aspect_ratio, request.seconds, request.loop) == (None, None, None, False)


def test_remix_says_what_else_to_show_and_how_far_to_go() -> None:
    request = video(actions.remix_video(clip(), words("the same boat at night --sound --strength 0.75")))
    assert (request.operation, request.strength, request.sound) == ("remix", 0.75, True)
    assert request.prompt == "the same boat at night" and request.model == clip().request.model
    assert video(actions.remix_video(clip(), words("at night --strength 0.2"))).strength == 0.2
    assert video(actions.remix_video(clip(), words("at night"))).strength == actions.STRENGTHS["mild"]
    with pytest.raises(UserError, match="should show instead"):
        actions.remix_video(clip(), words("--motion low"))


def test_a_blend_is_private_if_either_video_is() -> None:
    for mine, theirs in ((True, False), (False, True)):
        assert actions.blend_videos(clip(private=mine), clip(index=1, private=theirs)).private
    request = video(actions.blend_videos(clip(), clip(index=1), words("waves between --seconds 2")))
    assert (request.clip, request.clip_2, request.clip_2_ends) == (VIDEO, OTHER, ENDS)
    assert (request.operation, request.seconds, request.num_images) == ("blend", 2, 1)


def test_a_loop_is_one_video() -> None:
    request = video(actions.loop_video(clip(num_images=4)))
    assert (request.operation, request.num_images, request.clip) == ("loop", 1, VIDEO)


def test_a_part_lies_in_the_video() -> None:
    new = actions.cut_video(clip(), 1.5, 99.0)
    assert isinstance(new.request, CutRequest)
    assert (new.request.start, new.request.end, new.request.fps) == (1.5, 5.0, 16)
    assert actions.cut_video(clip(), 1).request.end == 5.0
    for start, end in ((-1.0, 2.0), (2.0, 2.0), (6.0, None)):
        with pytest.raises(UserError, match="The video has 5 s"):
            actions.cut_video(clip(), start, end)


def test_the_last_frame_keeps_the_words() -> None:
    request = actions.last_frame(clip()).request
    assert isinstance(request, FrameRequest) and (request.prompt, request.clip) == ("a red boat", VIDEO)


def test_a_video_that_is_not_there() -> None:
    with pytest.raises(ImageError, match="no video number 5"):
        clip(index=4)


def test_re_roll_keeps_what_a_video_was_made_from() -> None:
    made = job(VideoRequest(prompt="", operation="extend", clip=VIDEO, clip_ends=ENDS, motion="low", seed=1))
    request = video(repeat_job(made, 9))
    assert (request.seed, request.clip, request.operation) == (9, VIDEO, "extend")
    changed = video(repeat_job(made, 9, words("a storm --motion high")))
    assert (changed.prompt, changed.motion, changed.clip) == ("a storm", "high", VIDEO)
    begun = job(VideoRequest(prompt="a boat", image=PICTURE))
    assert video(repeat_job(begun, 9, words("a storm"))).image == PICTURE


def test_video_among_the_words_of_an_imagine_is_a_video() -> None:
    new = imagine_prompt(
        parse_prompt("<1> a boat --video --motion high --relax --stealth"), {"<1>": PICTURE}, seed=5
    )
    request = video(new)
    assert (request.image, request.seed, new.lane, new.private) == (PICTURE, 5, Lane.RELAX, True)


def test_every_button_of_videos_has_its_right() -> None:
    for name in (*actions.MOTIONS_OF, *actions.OF_VIDEOS, "gif"):
        assert name.isalnum() and name.islower() and RIGHTS[name] in TABLE
    assert set(actions.VIDEO_REMIXABLE) <= set(REMIXABLE)
    assert RIGHTS["vblend"] is Action.BLEND
