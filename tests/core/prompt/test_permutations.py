"""Sets in braces: how many prompts they make, and which."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PromptError
from core.prompt.parser import MAX_JOBS, count_prompts, expand_sets, parse_prompt


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a {red, blue} house", ["a red house", "a blue house"]),
        ("{a, b} {1, 2}", ["a 1", "a 2", "b 1", "b 2"]),
        ("a {big {red, blue}, small} cat", ["a big red cat", "a big blue cat", "a small cat"]),
        ("a {red\\, white, blue} flag", ["a red\\, white flag", "a blue flag"]),
        ("a --ar {3:2, 1:1}", ["a --ar 3:2", "a --ar 1:1"]),
        ("a --{v 5, niji}", ["a --v 5", "a --niji"]),
        ("a::{1, 2} b", ["a::1 b", "a::2 b"]),
        ("a {red,} car", ["a red car", "a car"]),
        ("one, two", ["one, two"]),
        ("{abc}", ["abc"]),
        ('"{a, b}" {1, 2}', ['"{a, b}" 1', '"{a, b}" 2']),
        ("\\{a, b\\}", ["\\{a, b\\}"]),
    ],
)
def test_sets_in_braces_are_written_out(source: str, expected: list[str]) -> None:
    assert expand_sets(source) == expected
    assert count_prompts(source) == len(expected)


def test_an_escaped_comma_becomes_a_comma() -> None:
    assert [parse_prompt(s).text for s in expand_sets("a {red\\, white, blue} flag")] == [
        "a red, white flag",
        "a blue flag",
    ]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["{", "}", ",", "a", " ", "\\,", "\\{", '"']), max_size=14).map("".join))
def test_as_many_are_written_out_as_were_counted(source: str) -> None:
    try:
        number = count_prompts(source)
    except PromptError as error:
        assert "`" in str(error)
        return
    assert len(expand_sets(source, limit=10**6)) == number


def test_two_to_the_1200_prompts_are_refused_at_once() -> None:
    """Whoever wrote them out first would never end."""
    with pytest.raises(PromptError, match=rf"more than 10\^361 prompts; the limit is {MAX_JOBS}"):
        expand_sets("{a,b}" * 1200)
    assert count_prompts("{a,b}" * 1200) == 2**1200


@pytest.mark.parametrize(
    ("source", "words"),
    [("a } b", "closes nothing"), ("{a, {b", "never closed"), ("{" * 21 + "}" * 21, "nested more than 20")],
)
def test_braces_without_partners_are_told(source: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        expand_sets(source)
