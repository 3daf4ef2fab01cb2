"""/cutout: which of several objects is cut out."""

import io
import random
from pathlib import Path

import numpy as np
from PIL import Image

from core.profiles import DEMO
from core.requests import CutOutRequest
from demo.drawing import Placed, draw_apart
from demo.world import Group, Scene
from tests.vision.conftest import cpu_models
from vision.capabilities import cutout
from vision.reporter import Reporter


def test_the_object_that_words_name_is_cut_out_alone(tmp_path: Path) -> None:
    placed = [Placed("boat", "red", 0.28, 0.6, 0.18, 0), Placed("star", "yellow", 0.75, 0.3, 0.14, 1)]
    groups = (Group(1, "red", "boat", "medium"), Group(1, "yellow", "star", "medium"))
    scene = Scene(groups, "left", "blue", "flat")
    picture, owner = draw_apart(scene, random.Random(3), (256, 256), placed)
    models = cpu_models({"segment": DEMO / "segmenter", "clip": DEMO / "clip"}, tmp_path)

    def cut(named: str) -> tuple[np.ndarray, str]:
        request = CutOutRequest(image="0" * 64, named=named)
        made = cutout.run(request, {"0" * 64: picture}, models, Reporter())
        alpha = Image.open(io.BytesIO(made.pictures[0].data)).getchannel("A")
        return np.asarray(alpha) > 127, " ".join(made.parameters["notes"])

    for named, obj in (("the star", 1), ("boat", 0)):
        found, told = cut(named)
        assert (found & (owner == obj)).sum() / (found | (owner == obj)).sum() > 0.85
        assert told == f"Cut out: what “{named}” seems to be."
    both, told = cut("")
    assert both[owner == 0].mean() > 0.85 < both[owner == 1].mean() and not told
    instead, told = cut("background")
    assert (instead == both).all() and told == cutout.INSTEAD.format("background")
