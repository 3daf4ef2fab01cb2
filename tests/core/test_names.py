"""Names that people give: their spaces, their length, and what can't be seen in them."""

import pytest

from core.errors import UserError
from core.limits import LONGEST_NAME, name_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  the \t harbour\n", "the harbour"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
        ("a family 👨\u200d👩\u200d👧", "a family 👨\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("", ""),
        (" \u200d ", ""),
    ],
)
def test_a_name_is_kept_with_single_spaces(given: str, kept: str) -> None:
    assert name_of(given, "A document") == kept


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x" * 93, "A document's name takes up to 80 characters; this one has 93"),
        ("\u202egnp.txt", r"can't be seen \(U\+202E\)"),
        ("a\x00b", r"can't be seen \(U\+0000\)"),
        ("a\ufeffb", r"can't be seen \(U\+FEFF\)"),
    ],
)
def test_a_bad_name_is_told_what_is_wrong_with_it(given: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        name_of(given, "A document")


@pytest.mark.parametrize("given", ["", "   ", "\u200d"])
def test_an_object_that_needs_a_name_takes_no_empty_one(given: str) -> None:
    with pytest.raises(UserError, match="A folder's name takes 1 to 80 characters"):
        name_of(given, "A folder", needed=True)
