"""What the parameters come to in numbers and words, and what is said where they can't act."""

from dataclasses import replace

import pytest

from core.requests import ImagineRequest
from core.styles import style_of_code
from vision.diffusion import parameters
from vision.diffusion.parameters import TextSpec
from vision.weights.card import Card, Draft, StyleCard

CARD = Card(512, 8, 30, 7.5, Draft(12, 6.0), "prompt", "any")
TURBO = replace(CARD, num_inference_steps=4, guidance_scale=0.0)
RED = ImagineRequest(prompt="red house")


def told(
    request: ImagineRequest, card: Card = CARD, *, supports_weights: bool = True, guided: bool = True
) -> parameters.ModelText:
    return parameters.model_text(
        request,
        card,
        "dream",
        supports_weights=supports_weights,
        supports_chaos=supports_weights,
        guided=guided,
    )


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 30),
        ({"quality": 0.25}, 8),
        ({"quality": 2.0}, 60),
        ({"quality": 4.0}, 100),
        ({"draft": True}, 12),
        ({"draft": True, "quality": 0.5}, 6),
        ({"num_inference_steps": 7, "quality": 4.0}, 7),
    ],
)
def test_quality_and_draft_are_steps(changes: dict, steps: int) -> None:
    assert parameters.steps(replace(RED, **changes), CARD) == steps


def test_quality_leaves_a_model_of_few_steps_at_least_one() -> None:
    assert parameters.steps(replace(RED, quality=0.25), replace(CARD, num_inference_steps=1)) == 1


def test_stylize_loosens_guidance_and_exp_tightens_it() -> None:
    at = [parameters.guidance(replace(RED, stylize=s), CARD)[0] for s in (0, 50, 100, 250, 1000)]
    assert at == sorted(at, reverse=True) and at[2] == 7.5 and at[-1] > 1
    scale, rescale, notes = parameters.guidance(replace(RED, exp=100), CARD)
    assert (scale, rescale, notes) == (14.0, 0.7, [])
    assert parameters.guidance(RED, CARD) == (7.5, 0.0, [])


def test_cfg_comes_before_stylize_and_exp_and_says_so() -> None:
    scale, rescale, notes = parameters.guidance(replace(RED, guidance_scale=3.0, stylize=700, exp=5), CARD)
    assert (scale, rescale) == (3.0, 0.0) and "--stylize and --exp" in notes[0]


def test_a_model_without_guidance_keeps_it_and_says_what_had_no_effect() -> None:
    request = replace(RED, stylize=500, exp=50, raw=True, negative_prompt="blue")
    assert parameters.guidance(request, TURBO)[0] == 0
    text = " ".join([*parameters.guidance(request, TURBO)[2], *told(request, TURBO, guided=False).notes])
    assert all(f"`--{flag}`" in text for flag in ("stylize", "exp", "raw", "no"))


def test_a_plain_prompt_says_nothing_beyond_itself() -> None:
    assert told(RED) == parameters.ModelText("red house", "", TextSpec())
    assert told(replace(RED, negative_prompt="blue")) == parameters.ModelText("red house", "blue", TextSpec())
    assert told(replace(RED, prompt_parts=(("red house", 2.0),))).spec == TextSpec(), (
        "one part alone weighs what it weighs"
    )


def test_weights_count_in_relation_to_each_other() -> None:
    parts = replace(RED, prompt_parts=(("red house", 3.0), ("cat", 1.0)))
    assert told(parts).spec.wanted == (("red house", 0.75), ("cat", 0.25))
    assert told(replace(parts, prompt_parts=(("red house", 6.0), ("cat", 2.0)))).spec == told(parts).spec


def test_no_is_a_part_with_half_a_negative_weight() -> None:
    by_flag = told(replace(RED, prompt_parts=(("red house", 2.0),), negative_prompt="blue"))
    by_weight = told(replace(RED, prompt_parts=(("red house", 2.0), ("blue", -0.5))))
    assert by_flag.spec.refusal == by_weight.spec.refusal == 0.5
    assert by_flag.negative_prompt == by_weight.negative_prompt == "blue"


def test_several_unwanted_objects_keep_their_weights() -> None:
    spec = told(replace(RED, prompt_parts=(("red house", 2.0), ("blue", -0.6), ("fog", -0.2)))).spec
    assert spec.unwanted == (("blue", pytest.approx(0.75)), ("fog", pytest.approx(0.25)))
    assert spec.refusal == pytest.approx(0.8)


def test_a_model_that_reads_sentences_gets_the_heaviest_part_first_and_a_note() -> None:
    result = told(
        replace(RED, prompt_parts=(("cat", 1.0), ("red house", 3.0)), chaos=40, weird=9),
        supports_weights=False,
    )
    assert result.prompt == "red house, cat" and result.spec == TextSpec()
    text = " ".join(result.notes)
    assert "weights" in text and "`--chaos`" in text and "`--weird`" in text


def test_the_house_style_grows_with_stylize_and_goes_with_raw() -> None:
    card = replace(CARD, style=StyleCard("watercolor"))
    amounts = [told(replace(RED, stylize=s), card).spec.styles for s in (0, 50, None, 1000)]
    assert amounts == [(), (("watercolor", 0.5),), (("watercolor", 1.0),), (("watercolor", 1.5),)]
    assert told(replace(RED, raw=True), card) == told(RED)
    assert told(RED, card, supports_weights=False).prompt == "red house, watercolor"


def test_a_style_number_is_the_same_words_each_time_and_they_are_told() -> None:
    one, again, other = (told(replace(RED, style_codes=((code, 1.0),))) for code in (1234, 1234, 99))
    assert one == again != other
    assert style_of_code(1234) in one.notes[0]
    assert one.spec.styles == ((style_of_code(1234), 1.0),)
    assert len({style_of_code(code) for code in range(500)}) > 300


def test_style_numbers_share_the_style_weight() -> None:
    styles = told(replace(RED, style_codes=((1, 3.0), (2, 1.0)), style_weight=50)).spec.styles
    assert [amount for _, amount in styles] == [0.375, 0.125]
