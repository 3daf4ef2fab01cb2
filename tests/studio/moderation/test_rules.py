"""The rules on words, whoever asks and wherever."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from core.profiles import DEMO
from core.requests import ImagineRequest
from core.requests.base import Request
from studio.moderation import rules
from studio.moderation.confusables import Terms, check_pattern, read_text
from studio.moderation.rules import ModerationSettings, Rule, Sense, Visibility, all_text, rule_of, texts_of
from tests.support.cpu import at_most

SPELLINGS = (
    "nude; NUDE; n u d e; n.u.d.e; n-u-d-e; nu_de; nuuuude; nnuuddee; nuudde; nüdé; пude; ｎｕｄｅ; 𝓃𝓊𝒹ℯ; "
    "ⓝⓤⓓⓔ; 🅝🅤🅓🅔; nud3; nu\u200bde; n\u202eude; ɴᴜᴅᴇ; n\u0336u\u0336d\u0336e\u0336; 🇳🇺🇩🇪"
).split("; ")
HARMLESS = (
    "cocktail party; a cockatoo; a rapped verse; chicken breast on a plate; Sussex; an assassin; "
    "a grape vineyard; Scunthorpe steelworks; class photo; a document; cumulus clouds; an analysis; "
    "peacock; therapist; Essex church; a shitake mushroom; titanium; a kind old man; dickens street; "
    "a canal in Amsterdam; denuded hills; the seventh seal; bass guitar, a minor key"
).split("; ")
CHILDREN_AT_PLAY = (
    "a child in the snow; kids building a sandcastle in swimsuits; "
    "portrait of a 12 year old boy with his dog; a teen at a skate park; a baby in a cradle; "
    "Mädchen im Schnee; une fillette et son chat; мальчик и собака; a newborn elephant"
).split("; ")
# Markers that the rule is made of; no text of the kind that it is there for
OVER_THE_LINE = (
    "child nude; nude 12 year old; 12yo nsfw; n u d e little girl; aged 9, naked; loli; l0li; "
    "a naked chìld; ロリ; nude\nteen; twelve-year-old topless; nackt, ein Kind; голая девочка; "
    "nude, 15 y/o; childporn"
).split("; ")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_word_is_found_however_it_is_spelt(spelling: str) -> None:
    assert rules.LISTS[Sense.EXPLICIT].found_in(read_text(f"a {spelling} on a hill"))
    assert rule_of(f"a {spelling} on a hill", "standard", (), False) is Rule.EXPLICIT


@pytest.mark.parametrize("text", [*HARMLESS, *CHILDREN_AT_PLAY])
def test_harmless_words_are_let_through_at_every_level(text: str) -> None:
    assert rule_of(text, "strict", (), False) is None


def test_every_prompt_of_the_demo_is_let_through() -> None:
    prompts = json.loads((DEMO / "examples.json").read_text(encoding="utf-8"))["prompts"]
    assert [p for p in prompts if rule_of(p, "strict", (), False)] == []


@pytest.mark.parametrize("text", OVER_THE_LINE)
@pytest.mark.parametrize("level", ["off", "standard", "strict"])
def test_the_rule_about_minors_holds_at_every_level_and_everywhere(text: str, level: str) -> None:
    assert rule_of(text, level, (), True) is Rule.MINORS


def test_words_to_be_avoided_ask_for_nothing() -> None:
    request = ImagineRequest(
        prompt="a nude", negative_prompt="child", prompt_parts=(("a nude", 2.0), ("child", -0.5))
    )
    assert "child" not in " ".join(texts_of(request)) and "nude" in " ".join(texts_of(request))


def test_texts_are_found_wherever_they_stand_in_a_request() -> None:
    @dataclass(frozen=True)
    class Frame:
        motto: str
        size: int = 3

    @dataclass(frozen=True, kw_only=True)
    class Toy(Request):
        kind: ClassVar[str] = "toy"
        words: object

    toy = Toy(words=("a", ["b", ("c", 0.0), ("d", -0.5), ("e", 1)], Frame("f"), Frame, 7, None, ("g", "h")))
    assert list(texts_of(toy)) == ["a", "b", "c", "e", "f", "g", "h"]
    assert all_text(toy) == "a \n b \n c \n e \n f \n g \n h"


def test_the_levels() -> None:
    assert rule_of("a nude", "off", (), False) is None
    assert rule_of("a nude", "standard", (), True) is None
    assert rule_of("a nude", "strict", (), True) is Rule.EXPLICIT
    assert rule_of("a gory scene", "standard", (), False) is None
    assert rule_of("a gory scene", "strict", (), False) is Rule.GORE
    assert rule_of("a clown", "standard", ("clown",), True) is Rule.WORDS
    assert rule_of("a clown", "off", ("clown",), True) is None


def test_a_pattern_stays_linear() -> None:
    Terms([check_pattern("a*a*a*b")]).found_in(read_text("a" * 4000))


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("секс", "секс на холме", True),
        ("секс", "дом", False),
        ("секс", "сексология", False),
        ("секс", "эссекс", False),
        ("порно*", "порнография", True),
        ("порно*", "супорно", False),
        ("裸", "她裸体", True),
        ("ヌード", "これはヌードです", True),
        ("ぬ", "これはぬです", True),
        ("เปลือย", "ภาพเปลือยที่นี่", True),
        ("㐀", "a㐀b", True),  # the first and the last of their block
        ("鿿", "a鿿b", True),
        ("naked", "n a k e d", True),
        ("cock", "p e a c o c k s", True),  # of spaced letters nobody knows where a word begins
        ("sex", "s e x t a n t", False),  # but short ones would be found in everything
        ("cat", "concatenate", False),
        ("g-string", "a g-string", True),
        ("knif*", "two kn1fes", True),
        ("knif*", "pen", False),
        ("bad idea", "a b4d  1dea", True),
        ("bad idea", "a badidea", False),
        ("*craft*", "witchcrafts", True),
        ("a*e", "abcdfghijklmnopqrstuve", True),  # a star stands for up to 20 letters
        ("a*e", "abcdfghijklmnopqrstuvwe", False),
    ],
)
def test_a_term_is_found_as_its_alphabet_is_written(term: str, text: str, found: bool) -> None:
    assert Terms([term]).found_in(read_text(text)) is found
    assert Terms(["zebra crossing", term]).found_in(read_text(text)) is found


def test_the_lists_are_words_and_phrases_between_commas() -> None:
    listed = rules.listed_terms("""
        red, dick   pic,
        blue""")
    texts = ("red", "a dick pic", "blue", "red dick", "dick")
    assert [listed.found_in(read_text(text)) for text in texts] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("123", "has no letters"),
        ("***", "has no letters"),
        ("", "has no letters"),
        ("a", "would fit nearly everything"),
        ("x" * 61, "is longer than 60 characters"),
        ("ab*c*d*e*", "has more than 3 stars"),
        ("a*", "would fit nearly everything"),
        ("x" * 60, ""),
        ("a*b*c*", ""),
        ("  Two   Words ", ""),
    ],
)
def test_a_pattern_that_is_not_taken_is_told_why(pattern: str, problem: str) -> None:
    if not problem:
        assert check_pattern(pattern) == " ".join(pattern.casefold().split())
        return
    with pytest.raises(ValueError) as caught:
        check_pattern(pattern)
    assert str(caught.value) == problem


def test_reading_a_long_text_takes_little_time() -> None:
    with at_most(0.5):
        rule_of("n u d " * 600, "strict", ("knif*",), False)


def test_the_visibilities_are_what_the_settings_name() -> None:
    assert {v.value for v in Visibility} == {"show", "spoiler", "block"}
    assert ModerationSettings().level == "standard"
