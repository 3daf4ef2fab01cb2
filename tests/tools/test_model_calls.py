"""What is passed to each pipeline, held against its own example in the installed diffusers and against the
models' cards."""

from __future__ import annotations

import pytest

from tools import model_calls
from tools.model_calls import ModelCard
from vision.weights.card import make_card


def test_every_difference_from_a_pipelines_own_example_has_a_reason() -> None:
    found = {(one.pipeline, one.argument): one for one in model_calls.differences()}
    assert [one for one in found.values() if not one.reason] == []
    assert model_calls.REASONS.keys() == found.keys(), "and every reason a difference"


def test_all_pipelines_but_one_have_an_example_that_can_be_read() -> None:
    calls = {name: model_calls.example_call(name) for _, _, name in model_calls.pipelines()}
    assert {name for name, call in calls.items() if call is None} == {"ErnieImagePipeline"}
    read = calls["LongCatImagePipeline"]
    assert read and (read["guidance_scale"], read["enable_cfg_renorm"]) == (4.5, True)
    assert read["generator"].startswith("torch.Generator"), "what is no constant is kept as it is written"


@pytest.mark.parametrize("card", model_calls.CARDS, ids=lambda card: card.model)
def test_a_models_defaults_are_those_of_its_card(card: ModelCard) -> None:
    here = make_card(model_calls.family_of(card.family), card.configs, {})
    assert (here.num_inference_steps, here.guidance_scale) == (card.num_inference_steps, card.guidance_scale)
    assert here.draft.num_inference_steps <= here.num_inference_steps
    assert here.draft.guidance_scale == here.guidance_scale
