"""The measure of the blind choice: what was asked first, then the narrower edges."""

import json
import random
import shutil

import pytest
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file

from demo.drawing import Placed, draw
from demo.evaluate.choose import Look, _older, look, prefers_second
from demo.judge import Judge
from demo.train.loop import MODELS
from demo.world import Group, Scene

pytestmark = pytest.mark.training

SCENE = Scene((Group(1, "red", "house", "large"),), "center", "yellow", "flat")


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def drawn(*things: tuple[str, str], side: int = 512) -> Image.Image:
    """One or two things, side by side, on SCENE's background."""
    at = (0.5,) if len(things) == 1 else (0.25, 0.75)
    placed = [Placed(thing, colour, x, 0.5, 0.22, 0) for x, (colour, thing) in zip(at, things, strict=True)]
    return draw(SCENE, random.Random(0), (side, side), placed)


def seen(judge: Judge, picture: Image.Image) -> Look:
    return look(judge([picture])[0], SCENE, picture)


def test_the_judge_is_sure_of_a_drawing_of_what_was_asked(judge):
    assert seen(judge, drawn(("red", "house"))).sure > 0.5


@pytest.mark.parametrize(
    "things", [(("red", "boat"),), (("blue", "house"),), (("red", "house"), ("red", "house"))]
)
def test_another_thing_colour_or_number_is_not_what_was_asked(judge, things):
    assert seen(judge, drawn(*things)).sure == 0


def test_another_background_is_not_what_was_asked(judge):
    other = Scene(SCENE.groups, "center", "night", "flat")
    picture = drawn(("red", "house"))
    assert look(judge([picture])[0], other, picture).sure == 0


def test_the_right_thing_is_preferred_to_the_sharper_one(judge):
    right = drawn(("red", "house")).filter(ImageFilter.GaussianBlur(2))
    wrong = drawn(("red", "boat"))
    first, second = seen(judge, wrong), seen(judge, right)
    assert second.width > first.width
    assert prefers_second(first, second) is True
    assert prefers_second(second, first) is False


def test_of_two_right_pictures_the_sharper_one_is_preferred(judge):
    sharp = drawn(("red", "house"))
    first, second = seen(judge, sharp.filter(ImageFilter.GaussianBlur(2))), seen(judge, sharp)
    assert prefers_second(first, second) is True
    assert prefers_second(second, first) is False


def test_equal_pictures_and_pictures_without_edges_are_not_told_apart(judge):
    one = seen(judge, drawn(("red", "house")))
    assert prefers_second(one, one) is None
    empty = seen(judge, Image.new("RGB", (512, 512), "yellow"))
    assert prefers_second(empty, empty) is None


def test_the_older_pack_is_drawn_with_its_own_networks(tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(MODELS / "stable-diffusion", folder)
    files = ("unet/diffusion_pytorch_model", "text_encoder/model", "vae/diffusion_pytorch_model")
    for path in (folder / f"{name}.safetensors" for name in files):
        save_file({key: tensor * 0 for key, tensor in load_file(path).items()}, path, {"format": "pt"})
    card = folder / "atelier.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "merged_lora": ""}))
    parts = _older(folder).text_to_image
    for model in (parts.unet, parts.text_encoder, parts.vae):
        assert not any(parameter.any() for parameter in model.parameters())
