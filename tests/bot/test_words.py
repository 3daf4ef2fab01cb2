"""Somebody's words in messages: no pings, nothing unseen, no way out of a code span, never longer than
Discord takes."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ui import messages
from core.settings import ROOT
from proofs.security import words

SENDS = {"send", "reply", "send_message", "edit_original_response"}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300) | st.lists(st.sampled_from(words.PIECES), max_size=30).map("".join))
def test_no_prompt_gets_out_of_a_message(source: str) -> None:
    for text in words.texts_of(source):
        assert words.trouble(text) is None, ascii(text)


@pytest.mark.slow
def test_a_few_thousand_prompts_and_ids() -> None:
    """A million are ``make security``."""
    looked, found, errors = words.words(3000, seed=1)
    assert looked > 10_000 and found == {} and errors == []
    taken, errors = words.ids(3000, seed=1)
    assert taken > 300 and errors == []
    assert words.control() == 4


@given(st.text(max_size=200), st.integers(5, 60))
@settings(max_examples=200, deadline=None)
def test_a_cut_is_never_longer_nor_inside_an_escape(text: str, limit: int) -> None:
    cut = messages.quote(text, limit)
    assert messages.length(cut) <= limit + 1
    assert (len(cut) - len(cut.rstrip("\\"))) % 2 == 0


def test_a_text_is_never_cut_within_an_escape() -> None:
    for after in range(580, 610):
        text = messages.fit_message("x" * 3000 + r"\\\@everyone" + "y" * after)
        assert "…@everyone" not in text and r"…\\@everyone" not in text


def test_a_long_message_keeps_its_end() -> None:
    text = messages.fit_message("x" * 3000 + " - <@42> (fast)\n-# job abcdefghjkmn")
    assert messages.length(text) <= 2000 and text.endswith("(fast)\n-# job abcdefghjkmn") and "…" in text


def test_everything_that_is_sent_says_that_nobody_is_pinged() -> None:
    """Also edits: Discord reads mentions anew in them, by its own rules unless it is told."""
    silent = []
    for path in (ROOT / "bot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called, names = node.func.attr, {keyword.arg for keyword in node.keywords}
            edits = called == "edit" and names & {"content", "attachments", "view"}
            tells = (called in SENDS or edits) and "conn" not in ast.unparse(node.func)
            if tells and "allowed_mentions" not in names:
                silent.append(f"{path.name}:{node.lineno} {ast.unparse(node.func)}")
    assert silent == []
