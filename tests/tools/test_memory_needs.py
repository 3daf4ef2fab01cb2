"""What models need beside their weights is measured again, and what plans ask is held against what they
take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tools import full_size, memory_needs
from tools.hollow_card import HollowCard
from tools.memory_needs import DRAWING, GIB, PICTURE, WAYS, published
from vision import devices
from vision.diffusion import vae as decoders
from vision.weights import memory

NEEDS = json.loads(memory.NEEDS.read_text(encoding="utf-8"))
QUICK = ("stable-diffusion-1.5", "stable-diffusion-xl")  # the others take minutes of a processor each
ALL = [pytest.param(family, marks=() if family in QUICK else pytest.mark.long) for family in NEEDS]


@pytest.mark.parametrize(
    ("family", "channels", "side"), [("flux2-klein-4b", 32, 128), ("stable-diffusion-1.5", 4, 64)]
)
def test_a_decoder_takes_what_was_noted(family: str, channels: int, side: int) -> None:
    part = full_size.read_architectures()[family]["parts"]["vae"]
    vae = full_size.make_module(part["library"], part["class"], part["config"]).to(torch.bfloat16)
    with HollowCard() as card:
        card.place(vae)
        weights = card.live
        decoders.pixels_of(
            decoders.decode(vae, torch.zeros(1, channels, side, side, device="cuda", dtype=vae.dtype))
        )
    assert card.peak - weights == pytest.approx(NEEDS[family]["decode"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("family", ALL)
def test_each_model_needs_what_was_noted(family: str, tmp_path: Path) -> None:
    full_size.write_model(family, tmp_path / family)
    found = memory_needs.measure(family, tmp_path / family)
    noted = {what: NEEDS[family][what] for what in found}
    assert found == pytest.approx(noted, abs=memory_needs.ROUND)


def test_what_plans_are_chosen_doesnt_depend_on_the_machine_that_counts() -> None:
    with memory_needs.hollow_card():
        assert devices.memory("cpu")[0] > 2**50
    assert devices.memory("cpu")[0] < 2**50


def test_the_page_has_what_is_asked_and_taken_of_all_models() -> None:
    shown = published()
    assert NEEDS.keys() == shown.keys() == set(DRAWING)
    for family, ways in shown.items():
        assert ways.keys() >= {"on the card", "part by part", "layer by layer", "int8"}, family
        begins = {way for way in WAYS if way.endswith(PICTURE)}
        assert ways.keys() & begins == (begins if memory_needs.draws_from_words(family) else set()), family
        for asked, taken in ways.values():
            assert taken <= asked <= 1.1 * taken, family


@pytest.mark.parametrize("family", ["stable-diffusion-1.5", "stable-diffusion-xl"])
def test_the_page_has_what_plans_ask_today(family: str, tmp_path: Path) -> None:
    full_size.write_model(family, tmp_path / family)
    for way, size in memory_needs.asked(family, tmp_path / family).items():
        assert published()[family][way][0] == pytest.approx(size / GIB, abs=0.006), way


@pytest.mark.slow
@pytest.mark.parametrize("family", ALL)
def test_a_plan_asks_for_what_is_taken_and_a_tenth_more_at_most(family: str, tmp_path: Path) -> None:
    full_size.write_model(family, tmp_path / family)
    for way, asked, taken in memory_needs.plans(family, tmp_path / family):
        assert taken <= asked <= 1.1 * taken, way
        assert (asked, taken) == pytest.approx(published()[family][way], rel=0.02, abs=0.01), way
