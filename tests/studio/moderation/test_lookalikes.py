"""What a text may look like besides what it says."""

import pytest

from studio.moderation.lookalikes import Terms, read


@pytest.mark.parametrize("unseen", ["\u0301", "\u20dd", "\u200b", "\u0007", "\ue000", "\ud800"])
@pytest.mark.parametrize("word", ["naked", "голая"])
def test_marks_and_what_cannot_be_seen_hide_no_word(word: str, unseen: str) -> None:
    """An accent, an enclosing circle, a space without width, a control, one for private use, a half."""
    assert Terms([word]).found_in(read(f"a {unseen.join(word)} person"))


def test_a_list_without_words_finds_nothing() -> None:
    assert not Terms([]).found_in(read("a house XX XX 裸 секс"))
