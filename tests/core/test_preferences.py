"""Members' choices and own options."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PromptError, UserError
from core.grammar.flags import BY_NAME
from core.grammar.prompt import Prompt, parse_prompt
from core.job import Lane
from core.preferences import Preferences, check_option, check_suffix, may_name_options, prompts_of, spell_out
from core.wording import with_defaults

OPTIONS = {
    "mine": "cinematic, dramatic --ar 3:2 --raw",
    "fine": "--s 50",
    "both": "in {oil, ink}",
    "words": "at night",
}


def test_settings_become_defaults_and_a_suffix_goes_in_their_place() -> None:
    chosen = Preferences(raw=True, stylize=250, lane=Lane.RELAX, private=True)
    assert chosen.defaults == Prompt(raw=True, stylize=250, lane=Lane.RELAX, private=True)
    assert replace(chosen, suffix="--ar 3:2").defaults == Prompt(
        aspect_ratio=(3, 2), lane=Lane.RELAX, private=True
    )
    assert with_defaults(parse_prompt("a --s 5 --public"), chosen.defaults) == Prompt(
        text="a", stylize=5, raw=True, lane=Lane.RELAX, private=False
    )


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
    assert [p.text for p in prompts_of("a {cat, dog} --both", OPTIONS)] == [
        "a cat in oil",
        "a cat in ink",
        "a dog in oil",
        "a dog in ink",
    ]
    assert [(p.text, p.stylize) for p in prompts_of("a {cat --fine, dog}", OPTIONS)] == [
        ("a cat", 50),
        ("a dog", None),
    ]
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
