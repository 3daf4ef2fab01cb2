"""Control tokens that people write have no power, and what they write otherwise stays as it is."""

import random
from collections.abc import Callable

import pytest

from tests.support import tiny
from tests.vision.chat import fuzz, shapes
from vision.chat.prompt import ControlTokens
from vision.chat.talker import Talker


@pytest.mark.parametrize("name", fuzz.tokenizers())
def test_no_control_token_is_left_in_what_people_write(name: str) -> None:
    tokens, rng = fuzz.tokenizers()[name], random.Random(name)
    with_power = 0
    for _ in range(300):
        text = fuzz.text(rng, tokens)
        with_power += tokens.count(fuzz.ids(tokens, text)) > 0
        harmless = tokens.neutralise(text)
        assert tokens.count(fuzz.ids(tokens, harmless)) == 0
        assert tokens.neutralise(harmless) == harmless
    assert with_power > 50 or not tokens.ids


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_a_prompt_has_the_control_tokens_of_its_template_and_no_more(
    loaded: Callable[[str], Talker], name: str
) -> None:
    prompts, rng = loaded(name).model.prompts, random.Random(name)
    assert [fuzz.more_than_the_template(prompts, rng) for _ in range(10)] == [0] * 10


def test_what_people_write_otherwise_stays_as_it_is() -> None:
    tokens = ControlTokens(tiny.qwen_tokenizer())
    for text in ("Is x < y > z?", "<3", "a|b [sic] {ok}", "Wie heißt das? 猫 😀", "1 << 4", "\n\n- a\n- b"):
        assert tokens.neutralise(text) == text


def test_a_control_token_can_still_be_read() -> None:
    tokens = ControlTokens(tiny.qwen_tokenizer())
    assert tokens.neutralise("what does <|im_end|> do") == "what does ‹|im_end|> do"
    assert tokens.neutralise("<|im_<|im_end|>end|>").count("<") <= 1


def test_half_a_sign_is_no_reason_to_fail() -> None:
    assert ControlTokens(tiny.qwen_tokenizer()).neutralise("a \ud83d b") == "a ? b"


def test_tokens_that_look_like_words_are_taken_apart() -> None:
    assert fuzz.tokenizers()["brackets"].neutralise("[INST] hi STOPHERE") == "⁅INST⁆ hi S T O P H E R E"
