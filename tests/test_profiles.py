"""What the page says of the profiles is what their models can, and a card loses nothing that the demo has."""

import dataclasses
from pathlib import Path

import pytest

from core.profiles import PROFILES
from core.settings import load_settings
from tools.docs import profiles

CARDS = [name for name in PROFILES if name != "demo"]


def test_a_card_has_all_that_the_demo_has_or_says_why_not() -> None:
    found = profiles.answers()
    kept = [row for row in found if found[row]["demo"].what != profiles.NO]
    assert len(kept) >= 20
    for row in kept:
        for name in CARDS:
            answer = found[row][name]
            assert answer.what == profiles.YES or answer.how, (row, name)
            assert answer.what != profiles.NO, (row, name, answer.how)


def test_every_card_draws_edits_and_answers_by_what_its_members_expect() -> None:
    found = profiles.answers()
    always = ("/imagine", "/edit", "/ask", "references", "/describe", "/classify", "/read", "/examples")
    for words in always:
        (row,) = (row for row in found if words in row)
        assert {found[row][name].what for name in CARDS} == {profiles.YES}, row


def test_what_the_usual_model_cannot_is_told_with_the_model_that_can() -> None:
    profile = profiles.Profile("small")
    plain, sdxl = profile.drawers
    assert (plain.family.name, sdxl.family.name) == ("flux2-klein", "stable-diffusion-xl")
    assert profile.by_drawer(lambda one: one.is_guided, "").how == "`--model sdxl`"
    profile.drawers = [dataclasses.replace(plain, card=sdxl.card)]
    assert profile.by_drawer(lambda one: one.is_guided, "").what == profiles.YES
    profile.drawers = [plain]
    assert str(profile.by_drawer(lambda one: one.is_guided, "none is guided")) == "no: none is guided"


@pytest.mark.parametrize("name", CARDS)
def test_one_set_of_weights_answers_and_describes_and_another_draws_and_edits(name: str) -> None:
    models = load_settings({"MODEL_PROFILE": name}, Path("/nonexistent/.env")).models
    assert models["ask"] == models["caption"] and models["image"] == models["edit"]


def test_none_does_without_a_model_of_the_profile() -> None:
    without = dict.fromkeys(("ASK_MODEL", "VIDEO_MODEL", "EDIT_MODEL", "IMAGE_MODELS"), "none")
    settings = load_settings({"MODEL_PROFILE": "xlarge", **without}, Path("/nonexistent/.env"))
    assert not {"ask", "video", "edit"} & settings.models.keys() and not settings.image_models
    assert not settings.has_chat_model and settings.models["caption"]
