"""Edits that the editor made itself, and what each should have been."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from demo.drawing import SIZE, Placed  # noqa: E402
from demo.train import corrections, editor  # noqa: E402
from demo.train.edit_words import (  # noqa: E402
    KINDS,
    Edit,
)
from demo.world import Group, Scene  # noqa: E402

pytestmark = pytest.mark.training

CAT, BALL = Group(1, "red", "cat", "small"), Group(1, "blue", "ball", "small")
THERE = Placed("cat", "red", 0.3, 0.5, 0.18, 0)


def an_addition(x=0.7, y=0.3, half=0.2):
    """A blue ball is added to a red cat, at a place."""
    before, after = (
        Scene(groups, place, "orange", "flat") for groups, place in (((CAT,), "any"), ((CAT, BALL), "left"))
    )
    return Edit("add", before, after, ((THERE,), (THERE, Placed("ball", "blue", x, y, half, 1))), 1, "seed")


def shown(*things):
    """What shows these things, (name, x, y, half as shares)."""
    masks = [
        corrections.silhouette(name, (SIZE * x, SIZE * y, SIZE * half), False) for name, x, y, half in things
    ]
    return np.max([np.zeros((SIZE, SIZE), np.float32), *masks], 0)


def test_edits_are_of_all_kinds():
    edits = [editor.own_edit(random.Random(seed)) for seed in range(120)]
    kinds = [edit.kind for edit in edits]
    assert set(kinds) == set(KINDS) and kinds.count("thing") > kinds.count("background")


def test_what_was_added_may_lie_where_the_picture_has_it():
    picture = shown(("cat", 0.3, 0.5, 0.18), ("ball", 0.65, 0.75, 0.15))
    answer = editor.meant(an_addition(), picture)
    ball = answer.placed[1][1]
    assert (ball.x, ball.y, ball.half) == pytest.approx((0.65, 0.75, 0.15), abs=0.02)
    assert answer.placed[1][0] == THERE and answer.placed[0] == (THERE,)


def test_of_two_that_were_added_the_larger_one_was_meant():
    picture = shown(("cat", 0.3, 0.5, 0.18), ("ball", 0.75, 0.75, 0.1), ("ball", 0.7, 0.25, 0.17))
    ball = editor.meant(an_addition(), picture).placed[1][1]
    assert (ball.x, ball.y) == pytest.approx((0.7, 0.25), abs=0.02)


def test_an_addition_that_is_not_recognised_teaches_nothing():
    bar = shown()
    bar[4:10] = 1
    for picture in (shown(), shown(("cat", 0.3, 0.5, 0.18)), bar):
        assert editor.meant(an_addition(), picture) is None


def test_the_answer_to_other_edits_is_the_drawn_one():
    edit = Edit("remove", an_addition().after, an_addition().before, ((THERE,), ()), 1, "seed")
    assert editor.meant(edit, shown()) is edit


def test_own_edits_always_have_their_words_and_pictures():
    before = torch.ones(400, 4, 16, 16)
    seen, words = editor.shown(random.Random(0), before, ["make it red"] * 400, always=100)
    assert all(words[:100]) and seen[:100].mean((1, 2, 3)).min() > 0.8
    wordless = torch.tensor([word == "" for word in words[100:]])
    blind = seen[100:].abs().sum((1, 2, 3)) == 0
    for share in (wordless & ~blind, blind & ~wordless, wordless & blind):
        assert 0.01 < share.float().mean() < 0.12
