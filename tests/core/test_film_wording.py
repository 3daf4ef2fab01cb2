"""A film's words become a request and are found in it again; what acts on the other kind alone is told."""

import pytest

from core.errors import PromptError
from core.grammar.prompt import format_prompt, parse_prompt
from core.requests import ImagineRequest
from core.requests.video import VideoRequest
from core.wording import fields_of, film_fields_of, prompt_of
from studio.asking.words import unsupported_notes

FIRST, LAST = "ab" * 32, "cd" * 32
GIVEN = {"<1>": FIRST, "<2>": LAST}
TYPED = "a boat --ar 16:9 --motion high --seconds 4.5 --fps 12 --res 720 --silent"


def film(text: str, pictures: dict[str, str] | None = None) -> VideoRequest:
    return VideoRequest(**film_fields_of(parse_prompt(text), pictures))


def test_flags_of_films_become_fields_of_their_request() -> None:
    made = film("<1> a boat --video --motion high --seconds 4 --fps 12 --sound --end <2> --seed 7", GIVEN)
    assert (made.motion, made.seconds, made.fps, made.sound, made.seed) == ("high", 4, 12, True, 7)
    assert (made.image, made.end_image, made.prompt, made.operation) == (FIRST, LAST, "a boat", "new")
    assert film("a boat --video --loop --silent").loop and film("a boat --video --silent").sound is False
    assert made.image_prompts == () and made.unsupported == ()


def test_hd_and_sd_are_resolutions_of_films() -> None:
    assert [film(f"a --video --{flag}").resolution for flag in ("hd", "sd")] == [720, 480]
    assert film("a --video --hd --res 1080").resolution == 1080
    assert film("a --video --hd").hd is None


def test_larger_films_are_fewer_unless_a_number_is_named() -> None:
    sizes = ("", "--res 480", "--res 720", "--res 1080", "--res 1080 --bs 4")
    assert [film(f"a --video {size}").num_images for size in sizes] == [4, 4, 2, 1, 4]


@pytest.mark.parametrize("text", [TYPED, f"{TYPED} --bs 1", f"{TYPED} --no fog --cfg 4", "a --loop --bs 2"])
def test_a_films_words_are_found_in_its_request_again(text: str) -> None:
    assert format_prompt(prompt_of(film(f"{text} --video"))) == format_prompt(parse_prompt(text))


def test_a_film_starts_from_one_picture() -> None:
    with pytest.raises(PromptError, match="2 pictures; a film starts from one"):
        film("<1> <2> a boat --video", GIVEN)
    with pytest.raises(PromptError, match="no picture `<3>`"):
        film("<1> --video --end <3>", GIVEN)


def test_flags_of_films_on_pictures_are_told() -> None:
    request = ImagineRequest(**fields_of(parse_prompt("a boat --motion low --bs 2 --loop")))
    [note] = unsupported_notes(request)
    assert note.startswith("`--motion low`, `--loop`, `--bs 2`: it acts on films alone")


def test_flags_of_pictures_on_films_are_told() -> None:
    made = film("a boat --video --tile --sref 77 --q 2 --style cute --uplight")
    assert (made.tile, made.style_codes, made.quality) == (False, (), None)
    told = unsupported_notes(made)
    assert any("`--tile`, `--quality 2`, `--sref 77`: not available for films" in note for note in told)
    assert any("`--uplight`: no longer exists" in note for note in told)
