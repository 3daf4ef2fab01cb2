"""An object in a picture, found beside the jobs: by SAM where somebody points, by words, or told why not."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError
from core.profiles import DEMO
from demo.drawing import Placed, draw_apart
from demo.world import Group, Scene
from tests.support import tiny
from tests.vision.conftest import cpu_models
from tests.vision.test_search import answered
from vision.diffusion import inpaint
from vision.protocol import Declined, Select, Selected
from vision.readers import attribution, segmentation
from vision.readers.segmentation import SEEN
from vision.reporter import Reporter
from vision.store import Models


@pytest.fixture
def path(tmp_path: Path) -> str:
    tiny.picture(90, 50, seed=3).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


def models_of(tmp_path: Path, **specs: object) -> Models:
    return cpu_models(specs, tmp_path)


def pixels(found: Selected) -> np.ndarray:
    width, height = found.size
    rows = np.frombuffer(found.rows, np.uint8).reshape(height, -1)
    return np.unpackbits(rows, axis=1, count=width).astype(bool)


def test_sam_finds_what_is_pointed_at_and_looks_at_a_picture_once(
    folders, tmp_path, path, monkeypatch
) -> None:
    models = models_of(tmp_path, segment=folders["sam"])
    model = models.get("segment", Reporter())
    looks = []
    look = model.model.get_image_embeddings
    monkeypatch.setattr(model.model, "get_image_embeddings", lambda pixels: looks.append(1) or look(pixels))
    asked = [
        Select("q", path),
        Select("q", path, points=((20, 10, 1),)),
        Select("q", path, points=((20, 10, 1), (80, 40, 0))),
        Select("q", path, box=(5, 5, 60, 45)),
    ]
    ready, *found = [answered(models, one).answer for one in asked]
    assert ready == Selected(points=True, words=False) and len(looks) == 1
    with Image.open(path) as image:
        plain = [
            model.pick(image, asked[1].points),
            model.pick(image, asked[2].points),
            model.pick(image, box=asked[3].box),
        ]
    for one, right in zip(found, plain, strict=True):
        assert (one.by, one.size, one.points, one.words) == ("sam", (90, 50), True, False)
        assert 0 <= one.score <= 1 and one.box == right.mask.getbbox()
        assert (pixels(one) == np.asarray(right.mask, bool)).all() and pixels(one).any()
    assert not (pixels(found[0]) == pixels(found[2])).all(), "a box is another question than a point"


def test_points_lie_where_they_are_in_the_picture(folders, tmp_path) -> None:
    """SAM's own processor, given the picture's pixels, comes to the same."""
    model = models_of(tmp_path, segment=folders["sam"]).get("segment", Reporter())
    image = tiny.picture(90, 50, seed=3)
    points = ((20.0, 10.0, 1), (33.0, 41.0, 0))
    given = model.processor(
        images=image,
        input_points=[[[[x, y] for x, y, _ in points]]],
        input_labels=[[[label for *_, label in points]]],
        return_tensors="pt",
    )
    with torch.no_grad():
        right = model.model(
            pixel_values=given["pixel_values"],
            input_points=given["input_points"],
            input_labels=given["input_labels"],
            multimask_output=False,
        )
    masks = model.processor.image_processor.post_process_masks(
        right.pred_masks, given["original_sizes"], given["reshaped_input_sizes"]
    )
    assert (np.asarray(model.pick(image, points).mask, bool) == masks[0][0, 0].numpy()).all()


def test_features_of_few_pictures_are_kept(folders, tmp_path) -> None:
    model = models_of(tmp_path, segment=folders["sam"]).get("segment", Reporter())
    for number in range(SEEN + 3):
        model.see(tiny.picture(32, 32, seed=number), f"picture {number}")
    assert len(model._seen) == SEEN and "picture 0" not in model._seen


def test_without_sam_points_are_refused_with_a_sentence_and_words_go_by_clip(folders, tmp_path, path) -> None:
    models = models_of(tmp_path, clip=folders["clip"])
    refused = answered(models, Select("q", path, points=((20, 10, 1),))).answer
    assert "no model for objects that are pointed at" in refused.refused
    assert (refused.points, refused.words, refused.rows) == (False, True, b"")
    found = answered(models, Select("q", path, words="a red boat")).answer
    assert found.refused or (found.by == "clip" and pixels(found).any())


def test_words_go_by_clipseg_where_it_is_set(folders, tmp_path, path) -> None:
    models = models_of(tmp_path, segment=folders["clipseg"])
    model = models.get("segment", Reporter())
    with Image.open(path) as image:
        model.threshold = float(model.probabilities(image, "a cat").quantile(0.8))
        right = np.asarray(model.mask(image.convert("RGB"), "a cat"), bool)
    found = answered(models, Select("q", path, words="a cat")).answer
    assert (found.by, found.points, found.words) == ("segment", False, True)
    assert (pixels(found) == right).all()


def test_sam_outlines_the_place_that_clip_finds(folders, tmp_path, monkeypatch) -> None:
    models = models_of(tmp_path, segment=folders["sam"], clip=folders["clip"])
    rough = Image.new("L", (90, 50))
    rough.paste(255, (10, 5, 40, 35))
    monkeypatch.setattr(attribution, "find_by_occlusion", lambda *_: rough)
    image = tiny.picture(90, 50, seed=3)
    right = models.get("segment", Reporter()).pick(image, box=(10, 5, 40, 35)).mask
    assert inpaint.find_mask_by_words(image, "a boat", models, Reporter()).mask.tobytes() == right.tobytes()


def test_the_demo_models_find_an_object_by_words_and_by_a_click_on_it(tmp_path) -> None:
    group, other = Group(1, "red", "boat", "medium"), Group(1, "yellow", "star", "medium")
    placed = [Placed("boat", "red", 0.27, 0.6, 0.2, 0), Placed("star", "yellow", 0.75, 0.3, 0.2, 1)]
    scene = Scene((group, other), "left", "blue", "flat")
    picture, owner = draw_apart(scene, random.Random(3), (512, 512), placed)
    picture.save(path := str(tmp_path / "scene.png"))
    models = models_of(tmp_path, segment=DEMO / "segmenter", clip=DEMO / "clip")

    assert answered(models, Select("q", path)).answer == Selected(points=True, words=True)
    for question, obj in (
        (Select("q", path, words="a red boat"), 0),
        (Select("q", path, words="the yellow star"), 1),
        (Select("q", path, points=((0.75 * 512, 0.3 * 512, 1),)), 1),
    ):
        found = answered(models, question).answer
        assert (found.by, found.size, found.points, found.words) == ("segment", (512, 512), True, True)
        truth = owner == obj
        assert (pixels(found) & truth).sum() / (pixels(found) | truth).sum() > 0.88

    nothing = answered(models, Select("q", path, points=((256, 500, 1),))).answer
    assert "No object was found there" in nothing.refused and nothing.points


def test_a_region_takes_a_rim_around_the_object_that_words_name(tmp_path) -> None:
    placed = [Placed("boat", "red", 0.5, 0.5, 0.25, 0)]
    scene = Scene((Group(1, "red", "boat", "medium"),), "center", "blue", "flat")
    picture, _ = draw_apart(scene, random.Random(3), (256, 256), placed)
    models = models_of(tmp_path, segment=DEMO / "segmenter", clip=DEMO / "clip")
    exact = inpaint.find_mask_by_words(picture, "a red boat", models, Reporter(), rim=False).mask
    wide = inpaint.find_mask_by_words(picture, "a red boat", models, Reporter()).mask
    assert wide.tobytes() == segmentation.widened(exact).tobytes() != exact.tobytes()


def test_words_for_the_ground_are_left_to_clip(tmp_path) -> None:
    placed = [Placed("boat", "red", 0.35, 0.25, 0.15, 0)]
    scene = Scene((Group(1, "red", "boat", "medium"),), "top", "grass", "flat")
    picture, owner = draw_apart(scene, random.Random(19), (256, 256), placed)
    models = models_of(tmp_path, segment=DEMO / "segmenter", clip=DEMO / "clip")
    named = inpaint.find_mask_by_words(picture, "grass", models, Reporter(), rim=False)
    assert named.by == "clip" and not (np.asarray(named.mask, bool) & (owner == 0)).all()


def test_a_picture_that_is_gone_is_declined(folders, tmp_path) -> None:
    models = models_of(tmp_path, segment=folders["sam"])
    answer = answered(models, Select("q", str(tmp_path / "none.png"), points=((1, 1, 1),)))
    assert isinstance(answer, Declined) and "can't be read" in answer.reason


def test_other_models_than_these_two_are_refused(folders, tmp_path) -> None:
    with pytest.raises(ModelError, match="SEGMENT_MODEL takes CLIPSeg, SAM, UPerNet or SegFormer"):
        segmentation.load_segmenter(folders["vit"], "vit", {}, "cpu", torch.float32)
