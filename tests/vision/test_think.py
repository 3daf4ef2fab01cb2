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
from vision.images.encode import png
from vision.readers.captioner import Captioner
from vision.readers.scene import Scene, Thing
from vision.readers.wants import Part
from vision.reporter import Reporter
from vision.store import Models

NAMES = ("house", "boat", "fish", "cat")
REQUEST = ImagineRequest(prompt="a red house and a blue boat", seed=5, num_inference_steps=1, think=True)


def scene(*things: str) -> Scene:
    """A scene of "red house" and the like, from the left to the right."""
    named = enumerate(one.split() for one in things)
    at = [(Thing(name, 1.0, colour, (0.2 * n, 0.1, 0.2 * n + 0.1, 0.4), 0.1)) for n, (colour, name) in named]
    return Scene(tuple(at), "white")


WHOLE, HALF = scene("red house", "blue boat"), scene("red house", "green boat")


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
        (Part("boat", "blue", 1), scene("blue boat", "blue boat"), "remove the boat on the left"),
        (
            Part("boat", "blue", 1),
            scene("red boat", "blue boat", "blue boat"),
            "remove the boat on the right",
        ),
        (Part("boat", "blue", 1), scene("red boat", "blue boat", "blue boat", "red boat"), ""),
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
        monkeypatch.setattr(imagine, "read_scene", self.read)
        monkeypatch.setattr(imagine.edit, "run", self.edit)

    def read(self, *given, closely: bool) -> Scene:
        if not closely:
            self.last = next(self.seen)
        return self.last

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
    readers = Readers(monkeypatch, [HALF, WHOLE, HALF, WHOLE, HALF, HALF, HALF, WHOLE, WHOLE])
    output = ask(models, REQUEST)
    assert readers.wishes == ["make the boat blue"], "what brought nothing isn't tried on another picture"
    assert next(readers.seen, None) is None, "twice as many are drawn as were missing"
    assert len(output.pictures) == 4 and seeds(output) == [6, 8, 11, 12]
    assert output.parameters["notes"][-1] == "`--think` saw a red house and a blue boat in 4 of 4 pictures."


class Teller(Captioner):
    """Says one sentence after the other."""

    def __init__(self, *said: str) -> None:
        self.starts, self.said = ("a picture of",), iter(said)

    def write(self, *given, **how) -> tuple[str]:
        return (next(self.said),)


@pytest.mark.parametrize(
    ("seen", "said", "sorted_out"),
    [
        (HALF, "a red house and a blue boat", False),  # a caption sees what the glance doesn't
        (WHOLE, "a red house and a green boat", False),
        (HALF, "a red house and a green boat", True),
        (HALF, "a nice picture", True),  # names nothing
        (scene("red house", "blue boat", "blue boat"), "a red house and a blue boat", True),  # too many
    ],
)
def test_a_picture_is_sorted_out_where_both_readers_miss_something(
    models, monkeypatch, seen: Scene, said: str, sorted_out: bool
) -> None:
    right = "a red house and a blue boat"
    Readers(monkeypatch, [seen, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE])
    monkeypatch.setitem(models.config.models, "edit", "")
    monkeypatch.setitem(models.config.models, "caption", "a captioner")
    get, teller = models.get, Teller(said, *[right] * 5)
    monkeypatch.setattr(
        models, "get", lambda role, *given: teller if role == "caption" else get(role, *given)
    )
    assert seeds(ask(models, REQUEST)) == ([6, 7, 8, 9] if sorted_out else [5, 6, 7, 8])


def test_of_those_drawn_again_what_fails_halfway_leaves(models, monkeypatch) -> None:
    one = scene("red house")
    Readers(monkeypatch, [one, WHOLE, WHOLE, WHOLE, one, HALF, WHOLE])  # halfway colours don't count yet
    monkeypatch.setitem(models.config.models, "edit", "")
    assert seeds(ask(models, replace(REQUEST, num_inference_steps=4))) == [6, 7, 8, 10]


def test_words_in_quotes_are_read_where_there_is_a_reader(models_of, monkeypatch) -> None:
    models = models_of(image="stable-diffusion")
    request = replace(REQUEST, prompt="a sign that says “Open now”", num_images=1)
    assert "no effect" in ask(models, request).parameters["notes"][-1]
    lines = iter([[], [SimpleNamespace(text="OPEN"), SimpleNamespace(text="now!")], []])
    reader, get = SimpleNamespace(read=lambda *given: next(lines)), models.get
    monkeypatch.setitem(models.config.models, "ocr", "a reader of text")
    monkeypatch.setattr(models, "get", lambda role, *given: reader if role == "ocr" else get(role, *given))
    output = ask(models, request)
    assert (
        seeds(output) == [6]
        and output.parameters["notes"][-1] == "`--think` saw “Open now” in 1 of 1 pictures."
    )


def test_without_readers_it_says_so(models_of: Callable[..., Models]) -> None:
    output = ask(models_of(image="stable-diffusion"), REQUEST)
    assert len(output.pictures) == 4 and "`--think` had no effect" in output.parameters["notes"][-1]


def test_where_drawing_brings_nothing_it_ends(models, monkeypatch) -> None:
    readers = Readers(monkeypatch, [HALF, WHOLE, WHOLE, WHOLE, HALF, HALF, HALF])
    assert seeds(ask(models, REQUEST)) == [6, 7, 8, 5] and next(readers.seen, None) is None


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
