"""From a prompt to a request and back. A video's words become a request and are found in it again; what acts
on the other kind alone is told. Members' choices and own options."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.convert import (
    Preferences,
    check_option,
    check_suffix,
    fields_of,
    imagine_fields_of,
    may_name_options,
    numbered,
    prompt_of,
    prompts_of,
    references,
    spell_out,
    video_fields_of,
    with_defaults,
)
from core.errors import PromptError, UserError
from core.job import Lane
from core.prompt.parser import BY_NAME, Prompt, format_prompt, parse_prompt
from core.requests import ImagineRequest, from_json, to_json
from core.requests.video import VideoRequest
from studio.texts import unsupported_notes
from tests.core.prompt.test_parser import prompts

SHA = tuple(f"{n:064x}" for n in range(1, 4))


@settings(max_examples=100)
@given(prompts())
def test_what_a_request_kept_of_a_prompt_makes_the_same_request(prompt: Prompt) -> None:
    pictures = dict(zip(prompt.pictures, SHA * 4, strict=False))
    try:
        request = ImagineRequest(**fields_of(prompt, pictures, code=7))
    except UserError:
        return  # no words, or a negative weight of a style: told, not drawn
    again = ImagineRequest(**fields_of(prompt_of(request, seed=True), numbered(references(request))))
    assert again == request
    assert from_json("imagine", to_json(request)) == request
    # What it kept as unsupported is read as flags again
    typed = parse_prompt(format_prompt(prompt_of(request)))
    typed = replace(typed, seed=request.seed)
    assert ImagineRequest(**fields_of(typed, numbered(references(request)))) == request


def test_pictures_have_numbers_in_words() -> None:
    typed = parse_prompt("<1>::2 <2> a boat --sref <1> --cref <3> --iw 2")
    request = ImagineRequest(**fields_of(typed, numbered(SHA)))
    assert request.image_prompts == ((SHA[0], 2.0), (SHA[1], 1.0))
    assert request.style_references == ((SHA[0], 1.0),)
    assert references(request) == SHA
    assert format_prompt(prompt_of(request)) == "<1>::2 <2> a boat --iw 2 --sref <1> --cref <3>"


def test_a_picture_to_start_from_keeps_its_strength() -> None:
    request = ImagineRequest(prompt="a boat", image=SHA[0], strength=0.4)
    assert format_prompt(prompt_of(request)) == "<1> a boat --strength 0.4"


def test_a_picture_that_is_not_there_is_told() -> None:
    with pytest.raises(PromptError, match="no picture `<4>`: <1>, <2>, <3>"):
        fields_of(parse_prompt("<4> a"), numbered(SHA))
    begun = ImagineRequest(**fields_of(parse_prompt("<2> <1> a boat --strength 0.4"), numbered(SHA)))
    assert (begun.image, begun.image_prompts, begun.strength) == (SHA[1], ((SHA[0], 1.0),), 0.4)
    with pytest.raises(PromptError, match="you attached none"):
        fields_of(parse_prompt("a --sref <1>"))


def test_random_styles_get_codes_that_can_be_typed_again() -> None:
    request = ImagineRequest(**fields_of(parse_prompt("a --sref random 5::2 random"), code=70))
    assert request.style_codes == ((70, 1.0), (5, 2.0), (71, 1.0))
    assert "--sref 70 5::2 71" in format_prompt(prompt_of(request))


@pytest.mark.parametrize(
    ("prompt", "defaults", "expected"),
    [
        ("a", "--ar 3:2 --s 50 --relax", "a --ar 3:2 --stylize 50 --relax"),
        ("a --ar 1:1", "--ar 3:2 --raw", "a --ar 1:1 --raw"),
        ("a --size 64x64", "--ar 3:2", "a --size 64x64"),
        ("a --ar 3:2", "--size 64x64", "a --ar 3:2"),
        ("a", "--size 64x64", "a --size 64x64"),
        ("a --no x", "--no y", "a --no x, y"),
        ("a --sd", "--hd", "a --sd"),
        ("a --public --fast", "--stealth --relax", "a --fast --public"),
        ("a --chaos 0", "--chaos 5", "a --chaos 0"),
    ],
)
def test_what_was_typed_goes_before_a_members_defaults(prompt: str, defaults: str, expected: str) -> None:
    assert format_prompt(with_defaults(parse_prompt(prompt), parse_prompt(defaults))) == expected


def test_every_field_of_a_prompt_has_its_place() -> None:
    """A field forgotten here would be dropped silently: each changes the request, or is the bot's own
    affair."""
    own = {"text", "images", "repeat", "lane", "private", "pictures"}
    plain = imagine_fields_of(Prompt(text="a"))
    changes = {"taste": (("me", 1.0),)}
    changes |= {"parts": (("a", 2.0),), "negative_prompt": "x", "aspect_ratio": (3, 2), "size": (64, 64)}
    changes |= {"seed": 1, "chaos": 1, "stylize": 1, "raw": True, "weird": 1, "exp": 1, "stop": 20}
    changes |= {"tile": True, "quality": 2.0, "draft": True, "hd": True, "think": True, "image_weight": 1.0}
    changes |= {"style_references": (("5", 1.0),), "style_weight": 1, "character_references": (("<1>", 1.0),)}
    changes |= {"character_weight": 1, "omni_references": (("<1>", 1.0),), "omni_weight": 1}
    changes |= {"loras": (("ink", 1.0),), "model": "m", "version": "6", "num_inference_steps": 3}
    changes |= {"guidance_scale": 2.0, "sampler": "euler", "strength": 0.5, "unsupported": ("--uplight",)}
    changes |= {"motion": "low", "loop": True, "seconds": 2.0, "fps": 8, "resolution": 480, "sound": False}
    changes |= {"video": True, "end": "<2>", "clips": 2}
    changes |= {"edit": (("<1>", 1.0),), "count": 2, "sheet": True, "choices": ("a", "b")}
    assert set(changes) == set(Prompt.__dataclass_fields__) - own
    for name, value in changes.items():
        assert imagine_fields_of(Prompt(text="a", **{name: value}), numbered(SHA)) != plain, name
    assert set(plain) | {"seed", "candidates", "seeds", "taste_words", "taste_loras"} == {
        field.name for field in fields(ImagineRequest)
    }


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


OPTIONS = {"mine": "cinematic, dramatic --ar 3:2 --raw", "fine": "--s 50", "both": "in {oil, ink}"}
OPTIONS |= {"words": "at night"}


def test_settings_become_defaults_and_a_suffix_goes_in_their_place() -> None:
    chosen = Preferences(raw=True, stylize=250, lane=Lane.RELAX, private=True)
    assert chosen.defaults == Prompt(raw=True, stylize=250, lane=Lane.RELAX, private=True)
    shaped = Prompt(aspect_ratio=(3, 2), lane=Lane.RELAX, private=True)
    assert replace(chosen, suffix="--ar 3:2").defaults == shaped
    both = Prompt(text="a", stylize=5, raw=True, lane=Lane.RELAX, private=False)
    assert with_defaults(parse_prompt("a --s 5 --public"), chosen.defaults) == both


@given(
    st.builds(
        Preferences,
        lane=st.none() | st.sampled_from(Lane),
        private=st.booleans(),
        stylize=st.none() | st.integers(0, 1000),
        suffix=st.sampled_from(["", "--ar 3:2"]),
        strong=st.booleans(),
    )
)
def test_preferences_survive_json(chosen: Preferences) -> None:
    assert Preferences.of_json(chosen.to_json()) == chosen
    assert Preferences.of_json('{"of_a_newer_version": 1}') == Preferences()
    assert Preferences.of_json('{"stealth": true}') == Preferences(private=True), "of an older one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blue --ar 3:2", "only flags"),
        ("--sref <1>", "only flags"),
        ("--zz", "--zz"),
        ("--s 1 " * 300, "1,000"),
    ],
)
def test_a_suffix_takes_flags_only(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_suffix(text)
    assert check_suffix(" --ar 3:2   --no x ") == "--ar 3:2 --no x"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ar", "x", "already a flag"),
        ("My Look", "x", "can't be a name"),
        ("9", "x", "can't be"),
        ("look", "--sede 5", "--seed"),
        ("look", "x" * 1001, "1,000"),
    ],
)
def test_a_wrong_option_is_told(name: str, value: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_option(name, value)


def test_an_option_is_named_as_people_type_it() -> None:
    assert check_option("--Look", " a   b ") == ("look", "a b")
    assert check_option("look", None) == ("look", "")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a cat --mine", "a cat cinematic, dramatic --ar 3:2 --raw"),
        ("a cat --seed 5 --mine --no x", "a cat cinematic, dramatic --seed 5 --ar 3:2 --raw --no x"),
        ("a cat —MINE", "a cat cinematic, dramatic --ar 3:2 --raw"),
        ("a cat --words --fine", "a cat at night --s 50"),
        ("a cat --seed 5", "a cat --seed 5"),
        ('a "--mine" cat', 'a "--mine" cat'),
        ("--mine", "cinematic, dramatic --ar 3:2 --raw"),
    ],
)
def test_own_options_are_spelled_out(source: str, expected: str) -> None:
    assert spell_out(source, OPTIONS) == expected


def test_sets_own_options_and_both_together() -> None:
    texts = [p.text for p in prompts_of("a {cat, dog} --both", OPTIONS)]
    assert texts == ["a cat in oil", "a cat in ink", "a dog in oil", "a dog in ink"]
    read = [(p.text, p.stylize) for p in prompts_of("a {cat --fine, dog}", OPTIONS)]
    assert read == [("a cat", 50), ("a dog", None)]
    assert prompts_of("a cat", {}) == [Prompt(text="a cat")]


def test_jobs_are_counted_with_repeats() -> None:
    assert len(prompts_of("{a, b} --r 20", {})) == 2
    with pytest.raises(PromptError, match="make 42 jobs together; the limit is 40"):
        prompts_of("{a, b} --r 21", {})
    with pytest.raises(PromptError, match="make 2 prompts; the limit is 1"):
        prompts_of("a --both", OPTIONS, limit=1)


def test_no_option_can_hide_a_flag() -> None:
    for name in BY_NAME:
        with pytest.raises(UserError):
            check_option(name, "x")


def test_plain_words_name_no_option_and_whatever_names_one_is_seen() -> None:
    assert not may_name_options("a cat, 3 of them: {cat, dog}::2")
    for text in ("a cat --fine", "a cat \u2014fine", "a cat {-,-}-fine", "a cat\u2013fine 2"):
        assert may_name_options(text), text
