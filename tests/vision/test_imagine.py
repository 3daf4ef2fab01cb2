"""/imagine: sizes, parameters, files."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ModelError, UserError
from core.limits import MAX_SEED
from core.requests import ImagineRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask, cpu_models
from vision.diffusion import task
from vision.families import FAMILIES
from vision.images import encode
from vision.store import Models
from vision.weights import card as cards

REQUEST = ImagineRequest(prompt="a red house", negative_prompt="blue", seed=7)


def opened(picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data))


def with_card(folder: Path, tmp_path: Path, **card) -> Models:
    """Models whose image model is a copy of ``folder`` with this card."""
    copy = tmp_path / "carded"
    shutil.copytree(folder, copy)
    (copy / "atelier.json").write_text(json.dumps({**tiny.CARD, **card}))
    return cpu_models({"image": copy}, tmp_path / "cache")


def test_the_parameters_really_used_are_reported_and_written_into_every_png(models_of) -> None:
    output = ask(models_of(image="stable-diffusion"), replace(REQUEST, sampler="dpm++", guidance_scale=6.5))
    told = {
        "num_inference_steps": 4,
        "guidance_scale": 6.5,
        "width": 64,
        "height": 64,
        "seed": 7,
        "sampler": "dpm++",
        "model": "stable-diffusion",
    }
    assert told.items() <= output.parameters.items() and output.parameters["notes"] == []
    texts = opened(output.pictures[2]).text
    assert (
        texts["parameters"]
        == "a red house\nNegative prompt: blue\nSteps: 4, Sampler: dpm++, CFG scale: 6.5, Seed: 9, Size:"
        " 64x64, Model: stable-diffusion"
    )
    assert json.loads(texts["atelier"])["seed"] == 9
    assert json.loads(texts["atelier"])["prompt"] == "a red house"


def test_a_prompt_in_any_script_survives_in_the_file(models_of: Callable[..., Models]) -> None:
    output = ask(
        models_of(image="stable-diffusion"), replace(REQUEST, prompt="красный дом 赤い家 🏠", num_images=1)
    )
    assert json.loads(opened(output.pictures[0]).text["atelier"])["prompt"] == "красный дом 赤い家 🏠"


def test_the_seed_after_the_last_is_the_first(models_of: Callable[..., Models]) -> None:
    output = ask(models_of(image="stable-diffusion"), replace(REQUEST, seed=MAX_SEED, num_images=2))
    assert [picture.seed for picture in output.pictures] == [MAX_SEED, 0]


def test_draft_takes_the_cards_draft_unless_steps_are_given(models_of: Callable[..., Models]) -> None:
    models = models_of(image="stable-diffusion")
    assert ask(models, replace(REQUEST, draft=True)).parameters["num_inference_steps"] == 2
    assert (
        ask(models, replace(REQUEST, draft=True, num_inference_steps=3)).parameters["num_inference_steps"]
        == 3
    )


@pytest.mark.parametrize("aspect", [(1, 1), (3, 2), (2, 3), (16, 9), (4, 1), (1, 4)])
def test_an_aspect_ratio_keeps_the_native_area(aspect: tuple[int, int]) -> None:
    for family in FAMILIES:
        card = cards.make_card(family, {}, {})
        (width, height), shape, notes = task.choose_size(replace(REQUEST, aspect_ratio=aspect), card)
        assert shape == aspect
        assert width % card.multiple == height % card.multiple == 0 and not notes
        assert 0.8 < width * height / card.native_size**2 < 1.25
        assert 0.8 < width / height / (aspect[0] / aspect[1]) < 1.25


@pytest.mark.parametrize("colours", ({"boat": 5}, {"boat": " "}, {"": "red"}, ["red"], "red"))
def test_colours_of_a_card_are_words_for_words(colours: object) -> None:
    with pytest.raises(ModelError, match="colours are words for words"):
        cards.make_card(FAMILIES[-1], {}, {"colours": colours})
    assert cards.make_card(FAMILIES[-1], {}, {"colours": {"boat": "red"}}).colours == {"boat": "red"}


@pytest.mark.parametrize("aspect", [(3, 2), (2, 3), (21, 9), (9, 16), (4, 5), (14, 1), (97, 61)])
def test_a_picture_has_exactly_the_shape_that_was_asked_for(aspect: tuple[int, int]) -> None:
    for family in FAMILIES:
        card = cards.make_card(family, {}, {})
        size, shape, _ = task.choose_size(replace(REQUEST, aspect_ratio=aspect), card)
        width, height = encode.largest(size, shape)
        assert (
            abs(width - height * aspect[0] / aspect[1]) <= 1
            or abs(height - width * aspect[1] / aspect[0]) <= 1
        )
        if aspect in ((3, 2), (2, 3)):
            assert width * aspect[1] == height * aspect[0], family.name
        assert width <= size[0] and height <= size[1] and width * height > 0.8 * size[0] * size[1]


@pytest.mark.parametrize("flags", [{}, {"tile": True}, {"hd": True}, {"draft": True}])
def test_the_file_its_report_and_its_preview_have_the_shape(
    flags: dict[str, bool], folders: dict[str, Path], tmp_path: Path
) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, output_scale=4)
    recorder = Recorder()
    output = ask(models, replace(REQUEST, aspect_ratio=(3, 2), num_images=1, **flags), reporter=recorder)
    size = opened(output.pictures[0]).size
    assert size[0] * 2 == size[1] * 3 and size == (output.parameters["width"], output.parameters["height"])
    assert size[0] == (639 if flags.get("hd") else 318)
    first = Image.open(io.BytesIO(recorder.previews[0]))
    assert first.width / first.height == pytest.approx(1.5, abs=0.01)


def test_a_size_is_rounded_to_what_the_model_takes_and_that_is_said(models_of: Callable[..., Models]) -> None:
    output = ask(models_of(image="flux"), replace(REQUEST, width=100, height=70, num_images=1))
    assert (
        opened(output.pictures[0]).size
        == (96, 64)
        == (output.parameters["width"], output.parameters["height"])
    )
    assert "96x64" in output.parameters["notes"][0]


def test_a_size_beyond_the_model_is_refused_with_what_fits(models_of: Callable[..., Models]) -> None:
    with pytest.raises(UserError, match=r"`size` is 512x512; this model draws up to 128x128"):
        ask(models_of(image="stable-diffusion"), replace(REQUEST, width=512, height=512))


def test_a_small_model_draws_small_and_delivers_large(folders: dict[str, Path], tmp_path: Path) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, output_scale=4)
    recorder = Recorder()
    output = ask(models, replace(REQUEST, width=256, height=384, num_images=1), reporter=recorder)
    assert (
        opened(output.pictures[0]).size
        == (256, 384)
        == (output.parameters["width"], output.parameters["height"])
    )
    assert [one.width for one in ask(models, replace(REQUEST, num_images=2)).pictures] == [256, 256]
    with pytest.raises(UserError, match="up to 512x512"):
        ask(models, replace(REQUEST, width=2048, height=2048))


def test_a_starting_picture_gives_the_shape_and_pulls_the_result(models_of: Callable[..., Models]) -> None:
    models = models_of(image="stable-diffusion")
    dark, bright = Image.new("RGB", (96, 48), (10, 10, 10)), Image.new("RGB", (96, 48), (245, 245, 245))
    request = replace(REQUEST, image=SHA, strength=0.25, num_images=1)
    results = [
        np.asarray(opened(ask(models, request, source).pictures[0]), float) for source in (dark, bright)
    ]
    assert results[0].shape[1] / results[0].shape[0] == pytest.approx(2, rel=0.2)
    assert np.abs(results[0] - results[1]).mean() > 2


def test_strength_zero_still_takes_one_step(models_of: Callable[..., Models]) -> None:
    recorder = Recorder()
    ask(
        models_of(image="stable-diffusion"),
        replace(REQUEST, image=SHA, strength=0.0, num_images=1),
        tiny.picture(),
        recorder,
    )
    assert recorder.steps == [(1, 1)]


def test_a_negative_prompt_changes_the_picture_where_the_family_takes_one(models_of) -> None:
    for name, counts in (
        ("stable-diffusion", True),
        ("flux", True),
        ("flux2-klein", False),
        ("z-image", False),
    ):
        without = ask(models_of(image=name), replace(REQUEST, negative_prompt="", num_images=1))
        with_it = ask(models_of(image=name), replace(REQUEST, num_images=1))
        assert (without.pictures[0].data[-400:] != with_it.pictures[0].data[-400:]) is counts, name
        assert ("`--no` had no effect" in " ".join(with_it.parameters["notes"])) is not counts, name


def test_a_model_with_a_vocabulary_names_the_words_that_it_does_not_know(folders, tmp_path) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, vocabulary="a red house in 3d")
    for prompt, unknown in (
        ("A red HOUSE's house, in 3d", ""),
        ("a dog in a red house, dog", "dog"),
        ("ein rotes Haus", "ein, rotes, haus"),
        ("a 猫 🐶 house", "猫, 🐶"),
        (" ".join(f"w{i}" for i in range(10)), "w0, w1, w2, w3, w4, w5, w6, w7 and 2 more"),
    ):
        request = replace(REQUEST, prompt=prompt, negative_prompt="", num_images=1, num_inference_steps=1)
        notes = " ".join(ask(models, request).parameters["notes"])
        assert notes.endswith(f"It doesn't know: {unknown}." if unknown else ""), prompt
    negative = replace(request, prompt="a house", negative_prompt="cats")
    assert "cats" in ask(models, negative).parameters["notes"][0]


def test_a_model_without_a_vocabulary_says_nothing_of_words(models_of: Callable[..., Models]) -> None:
    request = replace(REQUEST, prompt="a dog 猫 🐶", negative_prompt="", num_images=1, num_inference_steps=1)
    assert ask(models_of(image="stable-diffusion"), request).parameters["notes"] == []


def test_what_is_beyond_the_text_encoder_is_said(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "guided"
    shutil.copytree(folders["stable-diffusion"], folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps({**index, "_class_name": "StableDiffusionPAGPipeline"})
    )
    models = cpu_models({"image": folder}, tmp_path / "cache")
    long = replace(REQUEST, prompt="red house " * 40, num_images=1, num_inference_steps=1)
    assert "77 tokens" in ask(models, long).parameters["notes"][0], (
        "of a family that nobody knows, only the pipeline's own encoding is used"
    )
