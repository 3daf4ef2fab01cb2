"""What a text may look like besides what it says."""

import pytest

from studio.moderation.confusables import Terms, read_text


@pytest.mark.parametrize("unseen", ["\u0301", "\u20dd", "\u200b", "\u0007", "\ue000", "\ud800"])
@pytest.mark.parametrize("word", ["naked", "голая"])
def test_marks_and_what_cannot_be_seen_hide_no_word(word: str, unseen: str) -> None:
    """An accent, an enclosing circle, a space without width, a control, one for private use, a half."""
    assert Terms([word]).found_in(read_text(f"a {unseen.join(word)} person"))


def test_a_list_without_words_finds_nothing() -> None:
    assert not Terms([]).found_in(read_text("a house XX XX 裸 секс"))


@pytest.mark.parametrize("term", ["zorblaxing", "zorbla*", "*laxing", "zor blaxing"])
def test_a_term_is_found_in_spelled_out_letters(term: str) -> None:
    assert Terms([term]).found_in(read_text("a z o r b l a x i n g person"))


def test_a_term_with_a_digit_is_that_term_and_not_its_letters() -> None:
    terms = Terms(["r18"])
    assert terms.found_in(read_text("an R18 picture")) and terms.found_in(read_text("Ｒ１８"))
    assert not terms.found_in(read_text("the letter r, or R 1"))
