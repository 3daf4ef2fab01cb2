"""What a message says of flags that mean nothing here, count for less than was typed, or miss what they
weigh."""

from collections.abc import Mapping

import pytest

from core.convert import fields_of
from core.prompt.parser import FLAGS, parse_prompt, why_unsupported
from core.requests import ImagineRequest
from studio.texts import unsupported_notes
from tests.bot.conftest import Studio
from tests.bot.test_asking import said
from tests.support.messages import text_of

UNSUPPORTED = [flag for flag in FLAGS if flag.unsupported]
PICTURE = {"<1>": "a" * 64}


def notes(prompt: str, pictures: Mapping[str, str] | None = None) -> list[str]:
    return unsupported_notes(ImagineRequest(**fields_of(parse_prompt(prompt), pictures)))


@pytest.mark.parametrize("flag", UNSUPPORTED, ids=lambda flag: flag.name)
def test_what_means_nothing_here_is_told_with_the_reason(flag) -> None:
    words, _, typed = flag.example.partition(f" --{flag.name}")
    [note] = notes(f"{words} --{flag.name}{typed}")
    assert note.startswith(f"`--{flag.name}") and flag.unsupported in note
    assert note.endswith("Everything else in the prompt was used.")
    assert notes(words) == []


def test_flags_with_the_same_reason_share_a_sentence() -> None:
    found = notes("a cat --uplight --upbeta --sv 4 --style cute")
    named = [note.partition(":")[0] for note in found]
    assert named == ["`--uplight`, `--upbeta`", "`--sv 4`", "`--style cute`"]
    assert "no longer exists" in found[0] and "Midjourney's own" in found[2]


def test_a_flag_that_an_older_version_kept_is_told_too() -> None:
    assert why_unsupported("--gone 3") and notes("a") == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("a --s 2500", "`--stylize 2500` counted as 1000"), ("<1> a --iw 3.5", "`--iw 3.5` counted as 3")],
)
def test_a_number_over_the_most_counts_as_the_most_and_is_told(prompt: str, words: str) -> None:
    assert [words in note for note in notes(prompt, PICTURE)] == [True]


@pytest.mark.parametrize(
    ("flag", "there"),
    [("--iw 2", "<1> "), ("--sw 50", "--sref 7 "), ("--cw 50", "--cref <1> "), ("--ow 50", "--oref <1> ")],
)
def test_a_weight_without_what_it_weighs_is_told(flag: str, there: str) -> None:
    given = f"{there}a {flag}" if there == "<1> " else f"a {there}{flag}"
    assert notes(given, PICTURE) == []
    [note] = notes(f"a {flag}")
    assert note.startswith(f"`{flag.split()[0]}` had no effect")


async def test_a_profile_code_is_told_and_the_rest_is_drawn(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat --p m123")
    assert "`--p m123`: it takes folders of yours" in text_of(studio.last())
    assert studio.last().attachments


async def test_the_question_before_several_jobs_shows_what_differs(studio: Studio) -> None:
    asked = await studio.alice.slash(studio.channel, "imagine", prompt="a boat --ar {3:2, 1:1} --r 2")
    text = text_of(said(asked))
    assert "**4 jobs**" in text and "- a boat --ar 3:2 (2 times)\n" in text
    assert "- a boat --ar 1:1 (2 times)\n" in text
