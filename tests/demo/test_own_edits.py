"""Edits that the editor made itself, what each should have been, and a LoRA that learns it."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from demo.drawing import SIZE, Placed  # noqa: E402
from demo.train import (  # noqa: E402
    editor,
    lora,
    unet,
)
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
    masks = [lora.silhouette(name, (SIZE * x, SIZE * y, SIZE * half), False) for name, x, y, half in things]
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


def test_a_shard_holds_pictures_before_as_made_and_as_meant(monkeypatch):
    monkeypatch.setattr(editor, "OWN_SHARD", 4)
    monkeypatch.setattr(editor, "AT_ONCE", 4)
    monkeypatch.setitem(editor.DRAFT, "num_inference_steps", 3)
    found = editor._shard(1, editor._editor(), lora.segmenter())
    count = len(found["words"])
    assert 1 <= count <= 4
    assert {found[name].shape for name in ("before", "drawn", "after")} == {(count, 4, 16, 16)}
    before, drawn, after = (found[name].astype(np.float32) for name in ("before", "drawn", "after"))
    changed = np.abs(after - before).max(1) > 0.5  # (N, 16, 16)
    assert 0 < changed.mean() < 1
    stays = ~changed[:, None].repeat(4, 1)
    assert np.abs(drawn - before)[stays].mean() < np.abs(before)[stays].mean()


def test_the_lora_learns_from_own_edits_and_drawn_ones(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    latents = {name: rng.normal(size=(3, 4, 16, 16)) for name in ("before", "drawn", "after")}
    np.savez(tmp_path / "0000.npz", words=np.array(["make it red"] * 3), **latents)
    monkeypatch.setattr(editor, "OWN_FOLDER", tmp_path)
    monkeypatch.setattr(editor, "Pairs", DrawnPairs)
    network = editor._network()
    model = lora.LowRank(network, {"conv_out": torch.randn(4, 9 * unet.CHANNELS[0])}, 2000)
    value, figures = editor._OwnLoss(SimpleNamespace(step=0), model)(random.Random(0))
    value.backward()
    assert set(figures) == {"fit", "drawings"} and value.isfinite()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


class DrawnPairs:
    def grow(self, shards):
        pass

    def sample(self, rng, count, square_share):
        assert square_share == 1.0
        edits = [editor.own_edit(random.Random(seed)) for seed in range(count)]
        return edits, torch.randn(count, 4, 16, 16), torch.randn(count, 4, 16, 16)


def test_own_edits_always_have_their_words_and_pictures():
    before = torch.ones(400, 4, 16, 16)
    seen, words = editor.shown(random.Random(0), before, ["make it red"] * 400, always=100)
    assert all(words[:100]) and seen[:100].mean((1, 2, 3)).min() > 0.8
    wordless = torch.tensor([word == "" for word in words[100:]])
    blind = seen[100:].abs().sum((1, 2, 3)) == 0
    for share in (wordless & ~blind, blind & ~wordless, wordless & blind):
        assert 0.01 < share.float().mean() < 0.12
