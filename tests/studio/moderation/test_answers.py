"""What of an answer may be read while it grows."""

import pytest

from proofs.security import growing_answers
from studio.moderation.moderator import HELD_BACK, AnswerBlocked, Listener

LONG = "A red house stands by the sea, and behind it there is a hill with an old stone tower on its top."


def listener(level: str = "standard") -> Listener:
    return Listener("What is it?", level, ("zorblaxing",), adult=False, clock=iter(range(100)).__next__)


def test_the_end_is_held_back_up_to_a_whole_word() -> None:
    shown = listener()(LONG, False)
    assert LONG.startswith(shown) and len(shown) <= len(LONG) - HELD_BACK and LONG[len(shown)] == " "


def test_spelled_out_letters_are_held_back_as_the_word_that_they_may_become() -> None:
    assert (
        listener()(f"A red house and {' '.join('quiettalkaboutnothing' * 4)}", False).strip()
        == "A red house and"
    )


def test_nothing_is_shown_before_the_end_at_level_strict() -> None:
    strict = listener("strict")
    assert strict(LONG, False) == "" and strict(LONG, True) == LONG


def test_a_rule_is_broken_by_the_whole_text_whatever_was_shown_before() -> None:
    heard = listener()
    heard(f"{LONG} zorb", False)
    with pytest.raises(AnswerBlocked):
        heard(f"{LONG} zorblaxing", False)


@pytest.mark.parametrize("way", growing_answers.WAYS)
def test_no_two_edits_show_a_part_of_a_term(way) -> None:
    report = growing_answers.tried(way("zorblaxing"), 30, after=8)
    assert report.pairs > 1000 and report.shown == report.missed == 0
