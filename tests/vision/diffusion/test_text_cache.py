"""Words that were encoded lately aren't encoded again, and nothing that differs is taken for the same."""

import pytest
import torch

from core.requests import ImagineRequest
from tests.vision.conftest import ask
from tests.vision.families.test_families import apart
from vision.diffusion.model import TextCache


def counting() -> tuple[list, object]:
    calls: list = []

    def encode(words: str, copies: int = 1, embeds: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        calls.append(words)
        return torch.full((copies, 256), float(len(calls))), None

    return calls, encode


def test_the_same_words_are_encoded_once() -> None:
    calls, encode = counting()
    remembered = TextCache().cached(encode, "a")
    assert torch.equal(remembered("a house")[0], remembered("a house")[0])
    assert calls == ["a house"]


@pytest.mark.parametrize("other", [(("a horse",), {}), (("a house", 2), {}), (("a house",), {"copies": 2})])
def test_other_arguments_are_something_else(other: tuple) -> None:
    calls, encode = counting()
    remembered = TextCache().cached(encode, "a")
    remembered("a house")
    remembered(*other[0], **other[1])
    assert len(calls) == 2


def test_another_encoder_is_something_else() -> None:
    calls, encode = counting()
    texts = TextCache()
    texts.cached(encode, "a")("a house")
    texts.cached(encode, "b")("a house")
    assert len(calls) == 2


def test_embeddings_that_are_given_are_passed_on() -> None:
    calls, encode = counting()
    remembered = TextCache().cached(encode, "a")
    for _ in range(2):
        remembered("a house", embeds=torch.zeros(1))
    assert len(calls) == 2


def test_the_longest_unused_go_first_when_it_gets_too_much() -> None:
    calls, encode = counting()
    remembered = TextCache(max_bytes=3 * 1024).cached(encode, "a")
    for words in ("a", "b", "c", "a", "d", "a", "b"):
        remembered(words)
    assert calls == ["a", "b", "c", "d", "b"]


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-xl", "flux", "z-image"])
def test_a_repeated_prompt_runs_no_encoder_and_draws_the_same(name: str, models_of) -> None:
    models, request = (
        models_of(image=name),
        ImagineRequest(prompt="a house that nobody else draws", seed=3, num_images=1, num_inference_steps=2),
    )
    pipe, runs = models.get("image").pipeline("text-to-image"), []
    hook = pipe.text_encoder.register_forward_hook(lambda *_: runs.append(1))
    first = ask(models, request)
    seen = len(runs)
    again = ask(models, request)
    hook.remove()
    assert seen and len(runs) == seen
    assert apart(first.pictures[0], again.pictures[0]) == 0
