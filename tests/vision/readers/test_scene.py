"""Drawings by other hands than the demo's painter, measured by the demo's readers and asked about by /ask."""

import io
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from core.profiles import DEMO
from core.requests import AskRequest
from core.requests.chat import Form
from demo.evaluate.drawings import HANDS, Drawing, Thing
from tests.vision.conftest import cpu_models
from vision.capabilities import ask
from vision.protocol import Talk, Turn
from vision.reporter import Reporter
from vision.store import Models

CLIP_ART, FLAT = HANDS[0], HANDS[1]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    torch.set_num_threads(1)
    roles = {"ask": DEMO / "ask", "segment": DEMO / "segmenter", "clip": DEMO / "clip"}
    return cpu_models(roles, tmp_path_factory.mktemp("cache"))


def stored(image: Image.Image, folder: Path) -> dict[str, str]:
    image.save(kept := io.BytesIO(), "PNG")
    sha = sha256(kept.getvalue()).hexdigest()
    (folder / sha).write_bytes(kept.getvalue())
    return {sha: str(folder / sha)}


def said(
    models: Models,
    paths: dict[str, str],
    question: str,
    *before: Turn,
    form: Form = "free",
    gif: bool = False,
) -> str:
    times = tuple(0.2 * at for at in range(len(paths))) if gif else ()
    request = AskRequest(
        question=question, images=tuple(paths), times=times, form=form, film_seconds=2.0 * gif
    )
    turn = Turn("user", question, () if before else tuple(paths), "", () if before else times)
    made = ask.run(request, paths, models, Reporter(), Talk((*before, turn), form))
    assert made.answer is not None
    return made.answer.text


def test_objects_colours_and_places_are_measured_whoever_drew_them(models: Models, tmp_path: Path) -> None:
    things = (Thing("house", "blue", 0.25, 0.5, 0.2), Thing("star", "red", 0.75, 0.5, 0.18))
    paths = stored(Drawing(things, "yellow", (640, 480), CLIP_ART, "two").paint(), tmp_path)
    seen = "A blue house to the left of a red star, on a yellow background."
    assert said(models, paths, "What is this?") == seen
    assert said(models, paths, "What colour is the star?", form="short") == "red"
    first = (Turn("user", "What's left of the star?", tuple(paths)), Turn("assistant", "A blue house."))
    assert said(models, paths, "and its colour?", *first) == "The house is blue."
    taught = (Turn("user", "What is that?", tuple(paths)), Turn("assistant", "our flag"))
    assert said(models, paths, "What is this?", *taught) == "our flag"
    boxes = ask.run(
        AskRequest(question="Where is the house?", images=tuple(paths), form="boxes"),
        paths,
        models,
        Reporter(),
    )
    assert boxes.grid is not None and boxes.answer is not None and len(boxes.answer.boxes) == 1
    assert 0 < boxes.answer.boxes[0].left < 0.25 < boxes.answer.boxes[0].right < 0.5


def test_what_a_deleted_picture_showed_is_forgotten(models: Models, tmp_path: Path) -> None:
    paths = stored(
        Drawing((Thing("cat", "black", 0.5, 0.5, 0.3),), "pink", (200, 200), FLAT, "cat").paint(), tmp_path
    )
    assert said(models, paths, "What is it?").startswith("A black cat")
    talker = models.get("ask", Reporter())
    assert set(paths) <= set(talker.scenes)
    talker.forget(list(paths))
    assert not set(paths) & set(talker.scenes)


def test_equal_objects_close_to_each_other_are_counted(models: Models, tmp_path: Path) -> None:
    things = tuple(Thing("tree", "green", x, 0.5, 0.13) for x in (0.2, 0.5, 0.8))
    paths = stored(Drawing(things, "white", (480, 720), CLIP_ART, "trees").paint(), tmp_path)
    assert said(models, paths, "How many trees are there?") == "I count three trees."


def test_what_the_pack_does_not_know_is_told_as_that(models: Models, tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 300), "white")
    pen = ImageDraw.Draw(image)
    for x in (110, 190):
        pen.line((x, 40, x, 260), "brown", 14)
    for y in range(60, 260, 40):
        pen.line((110, y, 190, y), "brown", 12)
    paths = stored(image, tmp_path)
    assert "I'm not sure: I only know drawings of twelve objects" in said(models, paths, "What is this?")
    assert said(models, paths, "Is there a dragon?").startswith("I don't know “dragon”, so I can't tell.")


@pytest.mark.parametrize(
    ("step", "told"),
    [((0.15, 0), "moves to the right."), ((0, -0.15), "moves up."), ((0.012, 0), "stands still.")],
)
def test_a_thing_is_followed_through_a_video(
    models: Models, tmp_path: Path, step: tuple[float, float], told: str
) -> None:
    drawn = Drawing((Thing("ball", "red", 0.5, 0.5, 0.15),), "white", (128, 128), FLAT, "ball")
    paths = dict[str, str]()
    for at in (-1, 0, 1):
        paths |= stored(drawn.moved(step[0] * at, step[1] * at).paint(), tmp_path)
    assert len(paths) == 3
    assert said(models, paths, "Which way does the ball go?", gif=True) == f"The ball {told}"


def test_a_style_is_left_to_the_chat_model_that_learned_it(models: Models, tmp_path: Path) -> None:
    paths = stored(
        Drawing((Thing("cat", "black", 0.5, 0.5, 0.3),), "pink", (200, 200), FLAT, "cat").paint(), tmp_path
    )
    assert "know" not in said(models, paths, "Which style is it?")
