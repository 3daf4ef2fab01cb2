"""The prompt grammar: what people type, what comes out, and what they are told when it is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PromptError, UserError
from core.job import Lane
from core.prompt import FLAGS, SAMPLERS, Prompt, format_prompt, parse
from core.requests import MAX_PROMPT, MAX_SEED

WORDS = st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=8), max_size=6).map(" ".join)
ASPECTS = st.tuples(st.integers(1, 40), st.integers(1, 40)).filter(lambda a: max(a[0] / a[1], a[1] / a[0]) <= 4)
PROMPTS = st.builds(
    Prompt,
    text=WORDS,
    negative=WORDS,
    aspect_ratio=st.none() | ASPECTS,
    seed=st.none() | st.integers(0, MAX_SEED),
    steps=st.none() | st.integers(1, 100),
    cfg=st.none() | st.integers(0, 300).map(lambda n: n / 10),
    sampler=st.none() | st.sampled_from(SAMPLERS),
    strength=st.none() | st.integers(0, 100).map(lambda n: n / 100),
    draft=st.booleans(),
    lane=st.none() | st.sampled_from(Lane),
)


@given(PROMPTS)
def test_parsing_what_was_formatted_gives_the_same_prompt(prompt: Prompt) -> None:
    assert parse(format_prompt(prompt)) == prompt


PIECES = [f"--{flag.name}" for flag in FLAGS] + ["—ar", "3:2", "a", "--", "5", "--zz"]


@settings(max_examples=500)
@given(st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_text_is_a_prompt_or_a_clear_error(text: str) -> None:
    try:
        assert isinstance(parse(text), Prompt)
    except PromptError as error:
        assert 10 < len(str(error)) < 600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red house", Prompt(text="a red house")),
        ("a red house --ar 3:2 --seed 7", Prompt(text="a red house", aspect_ratio=(3, 2), seed=7)),
        ("a house —ar 2:3", Prompt(text="a house", aspect_ratio=(2, 3))),
        ("a house --AR 2:3 --Seed 1", Prompt(text="a house", aspect_ratio=(2, 3), seed=1)),
        ("a --seed 1 --seed 2", Prompt(text="a", seed=1)),
        ("a --no blue --no green, red", Prompt(text="a", negative="blue, green, red")),
        ("a --relax --draft", Prompt(text="a", draft=True, lane=Lane.RELAX)),
        ("a well-known half--hidden word", Prompt(text="a well-known half--hidden word")),
        ("--size 128x256 a", None),
        ("   a    lot   of space ", Prompt(text="a lot of space")),
    ],
)
def test_flags_are_read(text: str, expected: Prompt | None) -> None:
    if expected is None:
        with pytest.raises(PromptError, match="128x256"):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a --sede 5", ["--sede", "--seed"]),
        ("a --seed", ["--seed", "needs a value"]),
        ("a --seed -1", ["--seed", "-1", "4294967295"]),
        ("a --seed many", ["--seed", "many", "whole number"]),
        ("a --ar 9:1", ["9:1", "4:1"]),
        ("a --ar wide", ["wide", "3:2"]),
        ("a --steps 101", ["101", "100"]),
        ("a --sampler eular", ["eular", "euler"]),
        ("a --draft yes", ["--draft", "yes"]),
        ("a --chaos 5", ["--chaos", "isn't supported yet"]),
        ("a --ar 1:1 --size 64x64", ["--size", "--ar"]),
        ("x" * (MAX_PROMPT + 1), [f"{MAX_PROMPT + 1:,}", f"{MAX_PROMPT:,}"]),
    ],
)
def test_a_wrong_flag_is_named_with_its_value_and_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert all(word in str(caught.value) for word in words)
