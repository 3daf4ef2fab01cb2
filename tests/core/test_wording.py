"""From a prompt to a request and back."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings

from core.convert import fields_of, numbered, prompt_of, references, with_defaults
from core.errors import PromptError, UserError
from core.prompt.parser import Prompt, format_prompt, parse_prompt
from core.requests import GenerateRequest, ImagineRequest, from_json, to_json
from tests.core.prompt.test_prompt import prompts

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
    typed = parse_prompt(
        format_prompt(prompt_of(request))
    )  # what it kept as unsupported is read as flags again
    assert (
        ImagineRequest(**fields_of(replace(typed, seed=request.seed), numbered(references(request))))
        == request
    )


def test_pictures_have_numbers_in_words() -> None:
    request = ImagineRequest(
        **fields_of(parse_prompt("<1>::2 <2> a boat --sref <1> --cref <3> --iw 2"), numbered(SHA))
    )
    assert request.image_prompts == ((SHA[0], 2.0), (SHA[1], 1.0)) and request.style_references == (
        (SHA[0], 1.0),
    )
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
    own = {"text", "images", "repeat", "lane", "private", "profile", "pictures"}
    plain = fields_of(Prompt(text="a"))
    changes = {
        "parts": (("a", 2.0),),
        "negative_prompt": "x",
        "aspect_ratio": (3, 2),
        "size": (64, 64),
        "seed": 1,
        "chaos": 1,
        "stylize": 1,
        "raw": True,
        "weird": 1,
        "exp": 1,
        "stop": 20,
        "tile": True,
        "quality": 2.0,
        "draft": True,
        "hd": True,
        "image_weight": 1.0,
        "style_references": (("5", 1.0),),
        "style_weight": 1,
        "character_references": (("<1>", 1.0),),
        "character_weight": 1,
        "omni_references": (("<1>", 1.0),),
        "omni_weight": 1,
        "loras": (("ink", 1.0),),
        "model": "m",
        "version": "6",
        "num_inference_steps": 3,
        "guidance_scale": 2.0,
        "sampler": "euler",
        "strength": 0.5,
        "unsupported": ("--uplight",),
        "motion": "low",
        "loop": True,
        "seconds": 2.0,
        "fps": 8,
        "resolution": 480,
        "sound": False,
        "video": True,
        "end": "<2>",
        "clips": 2,
    }
    assert set(changes) == set(Prompt.__dataclass_fields__) - own
    for name, value in changes.items():
        assert fields_of(Prompt(text="a", **{name: value}), numbered(SHA)) != plain, name
    assert set(plain) | {"seed", "num_images"} == {field.name for field in fields(GenerateRequest)}
