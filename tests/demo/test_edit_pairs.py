"""Pairs for the editor: they differ in what the words name, and training sees none of the evaluation's."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from demo.evaluate import choose
from demo.judge import Found, Verdict
from demo.train import editor
from demo.train.edit_words import KINDS, SUMMARY, any_edit, held_out_edit, instruct, training_edit
from demo.world import has_held_pair, is_held_out

pytestmark = pytest.mark.training


def boxes(edit, margin=1.15):
    """A mask of the changed things' boxes in a picture of 128 px."""
    inside = np.zeros((128, 128), bool)
    for thing in edit.changed:
        reach = thing.half * margin * 128
        x, y = thing.x * 128, thing.y * 128
        inside[max(0, int(y - reach)) : int(y + reach) + 2, max(0, int(x - reach)) : int(x + reach) + 2] = (
            True
        )
    return inside


@pytest.mark.parametrize("kind", ("colour", "thing", "add", "remove"))
def test_pictures_differ_only_around_the_changed_thing(kind):
    for seed in range(12):
        edit = any_edit(random.Random(f"{kind} {seed}"), kind)
        before, after = (np.asarray(picture).astype(int) for picture in edit.pictures())
        apart, inside = np.abs(before - after).max(2), boxes(edit)
        if edit.before.style == "flat":
            assert apart[~inside].max(initial=0) == 0
        assert apart[inside].max() > 20


def test_another_background_or_style_leaves_every_thing_where_it_stands():
    for kind in ("background", "style"):
        for seed in range(8):
            edit = any_edit(random.Random(f"{kind} {seed}"), kind)
            assert edit.placed[0] == edit.placed[1] and edit.changed == []
            assert edit.before.groups == edit.after.groups
            assert (edit.before.background == edit.after.background) == (kind == "style")
            assert (edit.before.style == edit.after.style) == (kind == "background")


def test_training_draws_nothing_that_the_evaluation_asks():
    rng = random.Random("edits")
    for _ in range(300):
        edit = training_edit(rng)
        assert not any(is_held_out(s) or has_held_pair(s) for s in (edit.before, edit.after))
    for kind in KINDS:
        edit = held_out_edit(rng, kind)
        assert all(is_held_out(s) for s in (edit.before, edit.after) if s.groups)


def test_an_instruction_tells_what_its_labels_say():
    rng = random.Random("words")
    for _ in range(300):
        edit = training_edit(rng)
        asked = instruct(edit, rng)
        assert len(asked.labels) == len(SUMMARY)
        assert all(0 <= label < size for label, size in zip(asked.labels, SUMMARY, strict=True))
        assert KINDS[asked.labels[0]] == edit.kind and "{" not in asked.text
    twins = [
        e for e in (any_edit(rng, "colour") for _ in range(400)) if len({o for _, o in e.before.pairs}) == 1
    ]
    pairs = [edit for edit in twins if len(edit.before.groups) == 2]
    assert pairs and all(instruct(e, rng).labels[2] < SUMMARY[2] - 1 for e in pairs), "two cats: which one"


def test_a_widened_unet_draws_what_it_drew():
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    sizes = {"block_out_channels": (8, 8), "norm_num_groups": 4, "cross_attention_dim": 8}
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    unet = UNet2DConditionModel(sample_size=8, layers_per_block=1, attention_head_dim=4, **sizes, **blocks)
    noisy, words = torch.randn(2, 4, 8, 8), torch.randn(2, 3, 8)
    with torch.no_grad():
        before = unet(noisy, 5, words).sample
        wide = editor.widen(unet)
        after = wide(torch.cat([noisy, torch.randn(2, 4, 8, 8)], 1), 5, words).sample
    assert wide.config.in_channels == 8 and torch.allclose(before, after, atol=1e-6)


def answer(edit, **changes) -> Verdict:
    """What a judge would see in the drawn answer, or in one with other groups' colours or things."""
    groups = edit.after.groups
    found = tuple(
        Found(
            changes.get("object", groups[thing.group].object),
            changes.get("colour", groups[thing.group].colour),
            thing.x,
            thing.y,
            0.9,
            0.9,
        )
        for thing in edit.placed[1]
    )
    return Verdict(found, changes.get("background", edit.after.background), edit.after.style)


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawn_answer_is_done_and_kept_and_the_picture_itself_is_not_done(kind):
    for seed in range(10):
        edit = held_out_edit(random.Random(f"{kind} {seed}"), kind)
        assert choose.is_done(edit, answer(edit), told=True) and choose.is_kept(edit, answer(edit))
        unchanged = replace(edit, after=edit.before, placed=(edit.placed[0], edit.placed[0]))
        assert not choose.is_done(edit, answer(unchanged), told=True)
    other = next(b for b in ("red", "blue") if b not in (edit.before.background, edit.after.background))
    if kind != "background":
        assert not choose.is_kept(edit, answer(edit, background=other))


def test_a_change_beside_the_box_is_counted_and_one_inside_is_not():
    edit = any_edit(random.Random("out"), "colour")
    before, after = edit.pictures()
    assert choose.change_outside(edit.changed, before, after) < 0.1
    assert choose.change_outside([], before, before.point(lambda value: max(0, value - 5))) == pytest.approx(
        5, abs=1
    )
