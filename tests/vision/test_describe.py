"""/describe: different captions, each from the model."""

from collections.abc import Callable

import pytest

from core.errors import JobCancelled
from core.requests import DescribeRequest
from tests.support import tiny
from tests.vision.conftest import SHA, Recorder, ask
from vision.chat.prompt import Picture
from vision.protocol import Talk, Turn
from vision.readers.captioner import Captioner, content, tidy, write_captions
from vision.reporter import Reporter
from vision.store import Models

PICTURES = {SHA: Picture(SHA, tiny.picture().size, tiny.picture)}


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


def test_a_chat_model_that_describes_too_is_loaded_once_and_looks_once(models_of) -> None:
    models = models_of(caption="qwen3-vl", ask="qwen3-vl")
    captions = ask(models, DescribeRequest(image=SHA), tiny.picture()).captions
    assert models.get("caption") is models.get("ask") and list(models.held) == [
        f"ask:{models.config.models['ask']}"
    ]
    kept = models.get("ask").decoder.kept
    assert list(kept) == [SHA] and len(captions) == 4
    talk = Talk((Turn("user", "What else?", (SHA,), "later"), Turn("assistant", "It.", (), SHA)))
    assert kept.best(models.get("ask").model.prompts.make(talk, PICTURES, 4096), [SHA])[0] > 20
    models.forget([SHA])
    assert not kept


def test_a_stopped_chat_model_leaves_no_half_caption(models_of: Callable[..., Models]) -> None:
    with pytest.raises(JobCancelled):
        ask(models_of(caption="qwen3-vl"), DescribeRequest(image=SHA), tiny.picture(), Recorder(stop_after=1))


class Parrot(Captioner):
    """Says what it is told to, in order, whatever it is asked."""

    def __init__(self, *says: str) -> None:
        self.says, self.starts, self.name = list(says), ("",), "parrot"

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
    assert list(write_captions(parrot, tiny.picture(), SHA, 4, 0, Reporter())) == [
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
