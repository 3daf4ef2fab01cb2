"""/classify: probabilities, fallbacks, the chart."""

import io
import math
from collections.abc import Callable

import pytest
import torch
from PIL import Image, ImageFont

from core.requests import ClassifyRequest
from tests.support import tiny
from tests.vision.conftest import SHA, ask, cpu_models
from vision.images import chart
from vision.store import Models

LABELS = ("a cat", "a dog", "a very red boat", "кот")


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_given_labels_get_probabilities_that_sum_to_one_best_first(name: str, models_of) -> None:
    output = ask(models_of(clip=name), ClassifyRequest(image=SHA, labels=LABELS), tiny.picture())
    values = [value for _, value in output.scores]
    assert {label for label, _ in output.scores} == set(LABELS)
    assert math.isclose(sum(values), 1, abs_tol=1e-5) and values == sorted(values, reverse=True)
    assert values[0] > values[-1]
    chart_ = Image.open(io.BytesIO(output.grid.data))
    assert output.grid.media_type == "image/png" and chart_.width == chart.WIDTH


def test_clip_agrees_with_transformers_own_zero_shot_logits(folders, models_of) -> None:
    from transformers import CLIPModel, CLIPProcessor

    matcher, image = models_of(clip="clip").get("clip"), tiny.picture()
    model, processor = (
        CLIPModel.from_pretrained(folders["clip"]).eval(),
        CLIPProcessor.from_pretrained(folders["clip"]),
    )
    with torch.no_grad():
        wanted = model(
            **processor(text=list(LABELS), images=image, return_tensors="pt", padding=True)
        ).logits_per_image.softmax(-1)[0]
    before, matcher.templates = matcher.templates, ("{}",)
    got = torch.tensor(matcher.probabilities(image, LABELS))
    matcher.templates = before
    assert torch.allclose(got, wanted, atol=1e-5)


def test_siglip_agrees_with_transformers_own_sigmoids(folders, models_of) -> None:
    from transformers import SiglipModel, SiglipProcessor

    matcher, image, labels = models_of(clip="siglip").get("clip"), tiny.picture(), ("a cat", "a dog")
    model, processor = (
        SiglipModel.from_pretrained(folders["siglip"]).eval(),
        SiglipProcessor.from_pretrained(folders["siglip"]),
    )
    with torch.no_grad():
        inputs = processor(
            text=list(labels), images=image, return_tensors="pt", padding="max_length", max_length=64
        )
        sigmoids = model(**inputs).logits_per_image.sigmoid()[0]
    before, matcher.templates = matcher.templates, ("{}",)
    got = torch.tensor(matcher.probabilities(image, labels))
    matcher.templates = before
    assert torch.allclose(got, sigmoids / sigmoids.sum(), atol=1e-5)


def test_the_same_label_twice_counts_once(models_of: Callable[..., Models]) -> None:
    output = ask(
        models_of(clip="clip"), ClassifyRequest(image=SHA, labels=("cat", "dog", "cat")), tiny.picture()
    )
    assert sorted(label for label, _ in output.scores) == ["cat", "dog"]


def test_without_labels_the_classifiers_best_five_come(models_of: Callable[..., Models]) -> None:
    output = ask(models_of(vit="vit"), ClassifyRequest(image=SHA), tiny.picture())
    values = [value for _, value in output.scores]
    assert len(values) == 5 and values == sorted(values, reverse=True)
    assert not any("," in label for label, _ in output.scores), "the first of ImageNet's synonyms is enough"


def test_without_a_classifier_clip_answers_with_default_labels_and_says_so(folders, tmp_path) -> None:
    models = cpu_models({"clip": folders["clip"], "vit": tmp_path / "gone"}, tmp_path)
    output = ask(models, ClassifyRequest(image=SHA), tiny.picture())
    assert len(output.scores) == 5 and "no classifier" in output.parameters["notes"][0]


def test_a_chart_grows_with_its_labels_and_draws_the_best_longest() -> None:
    few, many = (
        chart.draw_chart([("a", 0.9), ("b", 0.1)]),
        chart.draw_chart([(f"label {i}", 1 / (i + 2)) for i in range(50)]),
    )
    assert few.width == many.width and few.height < many.height < 1600
    best = [few.getpixel((x, chart.MARGIN + 21)) for x in range(few.width)].count(
        tuple(bytes.fromhex(chart.BEST[1:]))
    )
    second = [few.getpixel((x, chart.MARGIN + 42 + 21)) for x in range(few.width)].count(
        tuple(bytes.fromhex(chart.BAR[1:]))
    )
    assert best > 5 * second > 0


@pytest.mark.parametrize("label", ["x" * 80, "word " * 16, "猫" * 40, "🎉", "é", "a\nb"])
def test_any_label_fits_its_column(label: str) -> None:
    text, font = chart.fit_text(label, 200, 24, place=3)
    assert text and font.getlength(text) <= 200 and "\n" not in text


def test_a_script_no_font_here_has_becomes_its_place() -> None:
    text, _ = chart.fit_text("\U00010380\U00010381", 200, 24, place=3)  # Ugaritic
    assert text == "#3"


def test_only_zero_is_shown_as_zero() -> None:
    assert [chart.percent(v) for v in (0.934, 0.0001, 0.0, 1.0)] == ["93.4 %", "< 0.1 %", "0.0 %", "100.0 %"]


def test_pils_own_font_is_enough_for_plain_words() -> None:
    assert chart.fit_text("a red star", 300, 24, place=1)[1].getname() == ImageFont.load_default(24).getname()
