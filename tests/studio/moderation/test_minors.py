"""The rules about minors: guilty words are formed from the lists by program, and innocent ones stand in a
table."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from core.convert import fields_of
from core.prompt.parser import parse_prompt
from core.requests import (
    AskRequest,
    ClassifyRequest,
    EditRequest,
    ImagineRequest,
    RegionRequest,
    Request,
    ShortenRequest,
    VariationRequest,
)
from core.requests.custom_models import TrainRequest
from core.requests.video import VideoRequest
from studio.moderation import rules
from studio.moderation.confusables import Terms
from studio.moderation.rules import Deed, Rule, Sense, Verdict, Words, judge, judged_words

LEVELS = ("off", "standard", "strict")
PICTURE = "a" * 64
HARMLESS, DOUBTFUL = (  # each below a line of its own
    part.splitlines()[1:]
    for part in Path(__file__).with_name("innocent.txt").read_text(encoding="utf-8").split("# ")[1:]
)


def words(listed: Terms) -> list[str]:
    """Return a word or phrase for each term of a list."""
    return [term.replace("*", "") for term in listed.listed]


def turned(some: list[str], others: list[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs in which each of both is at least once."""
    for number in range(max(len(some), len(others))):
        yield some[number % len(some)], others[number % len(others)]


def asked(text: str) -> Request:
    return ImagineRequest(**({"seed": 1} | fields_of(parse_prompt(text), {}, code=1)))


def ruled(request: Request, level: str = "off", *, of_minor: bool = False) -> Verdict | None:
    """Return what a rule says where least is refused at that level."""
    return judge(judged_words(request, of_minor=of_minor), level, (), True)


MINORS = words(rules.LISTS[Sense.MINOR])
MEETING = {  # what meets a child, and what follows
    Sense.EXPLICIT: (Rule.MINORS, Deed.TELL),
    Sense.COARSE: (Rule.CHILDREN, Deed.REFUSE),
    Sense.SUGGESTIVE: (Rule.CHILDREN, Deed.REFUSE),
}


@pytest.mark.parametrize("sense", MEETING, ids=lambda sense: sense.name)
def test_each_word_of_a_list_is_refused_beside_a_minor_and_each_minor_beside_one(sense: Sense) -> None:
    for minor, word in turned(MINORS, words(rules.LISTS[sense])):
        for text in (f"{minor}, {word}", f"{word} {minor}"):
            verdict = judge(Words(text), "off", (), True)
            assert verdict is not None and verdict.rule in (Rule.MINORS, Rule.CHILDREN)
            if sense is Sense.EXPLICIT:
                assert (verdict.rule, verdict.deed) == MEETING[sense]


@pytest.mark.parametrize("sense", MEETING, ids=lambda sense: sense.name)
def test_each_word_is_refused_for_a_picture_of_a_minor(sense: Sense) -> None:
    for word in words(rules.LISTS[sense]):
        verdict = judge(Words(f"at the beach, {word}", of_minor=True), "off", (), True)
        assert verdict is not None and (verdict.rule, verdict.deed) == MEETING[sense]
        assert {hit.sense for hit in verdict.met} == {Sense.MINOR, sense}
    assert judge(Words("at the beach", of_minor=True), "strict", (), False) is None


def test_each_forbidden_word_is_refused_by_itself_and_told() -> None:
    for word in words(rules.LISTS[Sense.FORBIDDEN]):
        verdict = judge(Words(f"a picture of {word}"), "off", (), True)
        assert verdict is not None and (verdict.rule, verdict.deed) == (Rule.MINORS, Deed.TELL)


def test_two_mild_words_are_refused_beside_a_minor_and_one_is_not() -> None:
    for one, other in pairwise(words(rules.LISTS[Sense.MILD])):
        if one in other or other in one:
            continue
        assert judge(Words(f"{one} and {other}, kids"), "off", (), True).rule is Rule.CHILDREN
        assert judge(Words(f"{one}, kids, {one}"), "standard", (), False) is None
        strict = judge(Words(one), "strict", (), False)
        assert (strict.rule, strict.deed) == (Rule.SUGGESTIVE, Deed.REFUSE)


@pytest.mark.parametrize("sense", [Sense.CLOTHES, Sense.GARMENTS], ids=lambda sense: sense.name)
def test_what_a_minor_wears_is_not_left_out(sense: Sense) -> None:
    for minor, word in turned(MINORS, words(rules.LISTS[sense])):
        for text in (f"{minor} --no {word}", f"{minor}::1 {word}::-0.4"):
            verdict = ruled(asked(text))
            assert verdict is not None and (verdict.rule, verdict.deed) == (Rule.CHILDREN, Deed.REFUSE)
            assert [hit.sense for hit in verdict.met if hit.avoided] == [sense]


def test_clothes_that_are_left_out_are_sexual_content_by_level() -> None:
    for word in words(rules.LISTS[Sense.CLOTHES]):
        request = asked(f"a statue --no {word}")
        for level, adult, rule in (
            ("off", False, None),
            ("standard", True, None),
            ("standard", False, Rule.EXPLICIT),
            ("strict", True, Rule.EXPLICIT),
        ):
            verdict = judge(judged_words(request), level, (), adult)
            assert (verdict and verdict.rule) == rule
            assert verdict is None or verdict.deed is Deed.REFUSE
    assert judge(judged_words(asked("a statue --no dress, towel")), "strict", (), False) is None


def test_leaving_adults_out_of_sexual_words_is_asking_for_minors() -> None:
    for word, adults in turned(
        words(rules.LISTS[Sense.EXPLICIT]) + words(rules.LISTS[Sense.COARSE]),
        words(rules.LISTS[Sense.ADULTS]),
    ):
        assert ruled(asked(f"{word} --no {adults}")).rule is Rule.CHILDREN


def test_children_and_sexual_words_that_are_left_out_accuse_nobody() -> None:
    for minor, word in turned(MINORS, words(rules.LISTS[Sense.EXPLICIT])):
        assert ruled(asked(f"a house --no {minor}, {word}")) is None
        assert ruled(asked(f"{word} --no {minor}")) is None
        assert ruled(asked(f"{minor} at a lake --no {word}"), "strict") is None


def ways(text: str) -> list[Request]:
    """Every field that takes words."""
    changed = {"prompt": text, "image": PICTURE}
    return [
        asked(text),
        asked(f"a house::1 {text}::2"),
        ImagineRequest(prompt="a house", prompt_parts=((text, 0.0), ("a house", 1.0))),
        VariationRequest(**changed, remix=True),
        RegionRequest(prompt="a house", image=PICTURE, region=text),
        EditRequest(prompt="make it blue", image=PICTURE, about=text),
        VideoRequest(prompt=text),
        ShortenRequest(prompt=f"a house {text}"),
        ClassifyRequest(image=PICTURE, labels=("a house", text)),
        AskRequest(question=text, images=(PICTURE,)),
        TrainRequest(project="a" * 12, task="style", words=text),
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("sense", MEETING, ids=lambda sense: sense.name)
def test_guilty_words_are_refused_in_every_field(sense: Sense, level: str) -> None:
    for minor, word in turned(MINORS, words(rules.LISTS[sense])):
        for number, request in enumerate(ways(f"{minor} {word}")):
            assert ruled(request, level) is not None, (request.kind, number)


def test_innocent_words_are_let_through_and_never_bring_a_strike() -> None:
    refused, innocent = [], HARMLESS + DOUBTFUL
    for text in innocent:
        for level in ("standard", "strict"):
            verdict = judge(judged_words(asked(text)), level, (), False)
            assert verdict is None or verdict.deed is Deed.REFUSE, text
        if judge(judged_words(asked(text)), "standard", (), False) is not None:
            refused.append(text)
    assert len(innocent) >= 300 and len(set(innocent)) == len(innocent)
    assert refused == DOUBTFUL and len(refused) <= 0.01 * len(innocent)


def test_what_met_is_told_by_list_and_never_shown_in_logs() -> None:
    verdict = judge(Words("a naughty house --", "clothes", of_minor=True), "off", (), True)
    assert [(hit.sense, hit.terms, hit.avoided) for hit in verdict.met] == [
        (Sense.MINOR, frozenset(), False),
        (Sense.CLOTHES, frozenset({"clothes"}), True),
    ]
    assert "{'clothes'}" not in repr(verdict)


@pytest.mark.parametrize(
    "minor", ["12_year_old", "age_9", "_девочка_", "12-летняя", "a 7th grader", "5th grade", "schoolkids"]
)
def test_ways_to_write_an_age_or_a_word_for_a_child_are_read(minor: str) -> None:
    assert (
        judge(Words(f"{minor}, {words(rules.LISTS[Sense.EXPLICIT])[0]}"), "off", (), True).rule is Rule.MINORS
    )
