"""/describe: different captions, each from the model."""

from collections.abc import Callable

import pytest

from core.errors import JobCancelled
from core.requests import DescribeRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from vision.readers.captioner import Captioner, content, tidy
from vision.store import Models


@pytest.mark.parametrize("name", ["blip", "llava", "idefics3", "smolvlm", "qwen3-vl"])
def test_four_captions_are_four_different_ones_and_repeat_with_the_seed(name: str, models_of) -> None:
    models, recorder = models_of(caption=name), Recorder()
    first = ask(models, DescribeRequest(image=SHA, seed=1), tiny.picture(), recorder)
    assert len(first.captions) == len({content(caption) for caption in first.captions}) == 4
    assert recorder.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert first.captions == ask(models, DescribeRequest(image=SHA, seed=1), tiny.picture()).captions
    assert first.parameters["model"] == name


def test_a_stopped_description_ends_within_the_caption(models_of: Callable[..., Models]) -> None:
    with pytest.raises(JobCancelled):
        ask(models_of(caption="blip"), DescribeRequest(image=SHA), tiny.picture(), Recorder(stop_after=1))


class Parrot(Captioner):
    """Says what it is told to, in order, whatever it is asked."""

    def __init__(self, *says: str) -> None:
        self.says, self.starts, self.chat, self.name = list(says), ("",), False, "parrot"

    def write_each(self, tasks, before_slice) -> list[list[str]]:
        return [[self.says.pop(0) if len(self.says) > 1 else self.says[0]]]


def test_a_repeated_sentence_is_asked_again_until_it_differs() -> None:
    parrot = Parrot(
        "a red boat",
        "A red boat.",
        "a picture of a red boat",
        "a red boat on the sea",
        "a ship",
        "a small boat",
    )
    assert list(parrot.captions(tiny.picture(), 4, 0)) == [
        "a red boat",
        "a red boat on the sea",
        "a ship",
        "a small boat",
    ]


def test_a_captioner_with_one_sentence_says_it_once_and_why(monkeypatch, models_of) -> None:
    models = models_of(caption="blip")
    monkeypatch.setattr(models, "get", lambda role, reporter: Parrot("a red boat"))
    output = ask(models, DescribeRequest(image=SHA), tiny.picture())
    assert output.captions == ("a red boat",)
    assert "only 1 different" in output.parameters["notes"][0]


def test_a_caption_is_one_line_without_quotes() -> None:
    assert tidy('  "A red\nboat" ') == "A red boat"
