"""`--think`: what a prompt asks for, what is done where a picture lacks it, and what is told."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from core.errors import JobCancelled
from core.events import Output
from core.requests import ImagineRequest
from tests.vision.conftest import ask
from vision.capabilities import imagine
from vision.capabilities.imagine import Part, parts_of
from vision.images.encode import png
from vision.readers.scene import Scene, Thing
from vision.reporter import Reporter
from vision.store import Models

NAMES = ("house", "boat", "fish", "cat")
BOX = (0.1, 0.1, 0.4, 0.4)
REQUEST = ImagineRequest(prompt="a red house and a blue boat", seed=5, num_inference_steps=1, think=True)


def scene(*things: str) -> Scene:
    """A scene of "red house" and the like."""
    named = (one.split() for one in things)
    return Scene(tuple(Thing(name, 1.0, colour, BOX, 0.1) for colour, name in named), "white")


WHOLE, HALF = scene("red house", "blue boat"), scene("red house", "green boat")


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a red house", [Part("house", "red", 1)]),
        ("two blue boats at sea, a cat", [Part("boat", "blue", 2), Part("cat", "", 1)]),
        ("3 fishes", [Part("fish", "", 3)]),
        ("a pair of red boats", [Part("boat", "red", 2)]),
        ("under the blue sky a house and two cats", [Part("house", "", 1), Part("cat", "", 2)]),
        ("a green dragon", []),
        ("", []),
    ],
)
def test_parts_are_read_from_the_words(prompt: str, parts: list[Part]) -> None:
    assert parts_of(prompt, NAMES) == tuple(parts)


def test_a_part_is_there_in_its_number() -> None:
    two = Part("boat", "blue", 2)
    assert not two.is_in(WHOLE) and two.is_in(scene("blue boat", "blue boat", "red house"))
    assert Part("boat", "", 1).is_in(HALF) and not Part("boat", "blue", 1).is_in(HALF)


@pytest.mark.parametrize(
    ("part", "seen", "wish"),
    [
        (Part("boat", "blue", 1), HALF, "make the boat blue"),
        (Part("boat", "blue", 1), scene("red house"), "add a blue boat"),
        (Part("boat", "blue", 1), scene("red house", "red cat"), "replace the red cat with a blue boat"),
        (Part("boat", "blue", 2), HALF, ""),
        (Part("boat", "blue", 1), scene("blue boat", "blue boat"), ""),
    ],
)
def test_an_editor_is_asked_for_what_is_missing_and_leaves_the_rest(
    part: Part, seen: Scene, wish: str
) -> None:
    assert part.wish(seen, [Part("house", "red", 1)]) == wish


class Readers:
    """What is seen in one picture after the other, and what editors were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seen: list[Scene]) -> None:
        self.seen: Iterator[Scene] = iter(seen)
        self.wishes: list[str] = []
        monkeypatch.setattr(imagine, "can_read", lambda *given: True)
        monkeypatch.setattr(imagine, "read_scene", lambda *given: next(self.seen))
        monkeypatch.setattr(imagine.edit, "run", self.edit)

    def edit(self, request, images, models, reporter) -> Output:
        reporter.check()
        self.wishes.append(request.prompt)
        [picture] = images.values()
        return Output((png(Image.new("RGB", picture.size, "red"), {}, request.seed),), None)


@pytest.fixture
def models(models_of: Callable[..., Models], monkeypatch) -> Models:
    models = models_of(image="stable-diffusion")
    get = models.get
    segmenter = SimpleNamespace(labels=("ground", *NAMES))
    monkeypatch.setattr(
        models, "get", lambda role, *given: segmenter if role == "segment" else get(role, *given)
    )
    monkeypatch.setitem(models.config.models, "edit", "an editor")
    return models


def seeds(output: Output) -> list[int | None]:
    return [picture.seed for picture in output.pictures]


def test_pictures_that_have_all_parts_are_kept_as_they_are(models, monkeypatch) -> None:
    readers = Readers(monkeypatch, [WHOLE] * 4)
    thought, plain = ask(models, REQUEST), ask(models, replace(REQUEST, think=None))
    assert [opened(one).tobytes() for one in thought.pictures] == [
        opened(one).tobytes() for one in plain.pictures
    ]
    assert thought.parameters["notes"][-1] == "`--think` saw a red house and a blue boat in 4 of 4 pictures."
    assert readers.wishes == [] and seeds(thought) == [5, 6, 7, 8]


def test_a_missing_part_is_mended_by_an_edit_and_nothing_else_is_drawn(models, monkeypatch) -> None:
    readers = Readers(monkeypatch, [WHOLE, HALF, WHOLE, WHOLE, WHOLE])
    output = ask(models, REQUEST)
    assert readers.wishes == ["make the boat blue"] and next(readers.seen, None) is None
    assert opened(output.pictures[1]).getpixel((0, 0)) == (255, 0, 0)
    assert output.parameters["notes"][-1].endswith("in 4 of 4 pictures; 1 of them changed for it.")


def test_where_no_edit_helps_more_are_drawn_and_the_best_are_kept(models, monkeypatch) -> None:
    readers = Readers(monkeypatch, [HALF, WHOLE, HALF, WHOLE, HALF, HALF, HALF, WHOLE, WHOLE, HALF])
    output = ask(models, REQUEST)
    assert len(readers.wishes) == 2, "what is seen no better isn't tried again"
    assert len(output.pictures) == 4 and seeds(output) == [6, 8, 10, 11]
    assert output.parameters["notes"][-1] == "`--think` saw a red house and a blue boat in 4 of 4 pictures."


def test_without_readers_it_says_so(models_of: Callable[..., Models]) -> None:
    output = ask(models_of(image="stable-diffusion"), REQUEST)
    assert len(output.pictures) == 4 and "`--think` had no effect" in output.parameters["notes"][-1]


def test_it_stops_between_two_pictures_where_somebody_stops_it(models, monkeypatch) -> None:
    class Stopped(Reporter):
        def check(self) -> None:
            if readers.wishes:
                raise JobCancelled

    readers = Readers(monkeypatch, [HALF] * 9)
    with pytest.raises(JobCancelled):
        imagine.run(REQUEST, {}, models, Stopped())
    assert len(readers.wishes) == 1


def test_it_takes_its_own_place_among_times() -> None:
    assert REQUEST.size() == replace(REQUEST, think=None).size() + "t"


def opened(picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data)).convert("RGB")
