"""A video's words become a request and are found in it again; what acts on the other kind alone is told."""

import pytest

from core.convert import fields_of, prompt_of, video_fields_of
from core.errors import PromptError
from core.prompt.parser import format_prompt, parse_prompt
from core.requests import ImagineRequest
from core.requests.video import VideoRequest
from studio.texts import unsupported_notes

FIRST, LAST = "ab" * 32, "cd" * 32
GIVEN = {"<1>": FIRST, "<2>": LAST}
TYPED = "a boat --ar 16:9 --motion high --seconds 4.5 --fps 12 --res 720 --silent"


def video(text: str, pictures: dict[str, str] | None = None) -> VideoRequest:
    return VideoRequest(**video_fields_of(parse_prompt(text), pictures))


def test_flags_of_videos_become_fields_of_their_request() -> None:
    made = video("<1> a boat --video --motion high --seconds 4 --fps 12 --sound --end <2> --seed 7", GIVEN)
    assert (made.motion, made.seconds, made.fps, made.sound, made.seed) == ("high", 4, 12, True, 7)
    assert (made.image, made.end_image, made.prompt, made.operation) == (FIRST, LAST, "a boat", "new")
    assert video("a boat --video --loop --silent").loop and video("a boat --video --silent").sound is False
    assert made.image_prompts == () and made.unsupported == ()


def test_hd_and_sd_are_resolutions_of_videos() -> None:
    assert [video(f"a --video --{flag}").resolution for flag in ("hd", "sd")] == [720, 480]
    assert video("a --video --hd --res 1080").resolution == 1080
    assert video("a --video --hd").hd is None


def test_larger_videos_are_fewer_unless_a_number_is_named() -> None:
    sizes = ("", "--res 480", "--res 720", "--res 1080", "--res 1080 --bs 4")
    assert [video(f"a --video {size}").num_images for size in sizes] == [4, 4, 2, 1, 4]


@pytest.mark.parametrize("text", [TYPED, f"{TYPED} --bs 1", f"{TYPED} --no fog --cfg 4", "a --loop --bs 2"])
def test_a_videos_words_are_found_in_its_request_again(text: str) -> None:
    assert format_prompt(prompt_of(video(f"{text} --video"))) == format_prompt(parse_prompt(text))


def test_a_video_starts_from_one_picture() -> None:
    with pytest.raises(PromptError, match="2 pictures; a video starts from one"):
        video("<1> <2> a boat --video", GIVEN)
    with pytest.raises(PromptError, match="no picture `<3>`"):
        video("<1> --video --end <3>", GIVEN)


def test_flags_of_videos_on_pictures_are_told() -> None:
    request = ImagineRequest(**fields_of(parse_prompt("a boat --motion low --bs 2 --loop")))
    [note] = unsupported_notes(request)
    assert note.startswith("`--motion low`, `--loop`, `--bs 2`: it acts on videos alone")


def test_flags_of_pictures_on_videos_are_told() -> None:
    made = video("a boat --video --tile --sref 77 --q 2 --style cute --uplight")
    assert (made.tile, made.style_codes, made.quality) == (False, (), None)
    told = unsupported_notes(made)
    assert any("`--tile`, `--quality 2`, `--sref 77`: not available for videos" in note for note in told)
    assert any("`--uplight`: no longer exists" in note for note in told)
