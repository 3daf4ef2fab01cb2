"""/shorten: words in order, weights that tell what counts."""

from collections.abc import Callable

import pytest
import torch

from core.requests import ShortenRequest
from demo.train.loop import MODELS
from tests.vision.conftest import Recorder, ask, cpu_models
from vision.readers import clip
from vision.store import Models


def test_the_word_whose_loss_turns_the_meaning_most_weighs_one() -> None:
    def read(texts: list[str]) -> torch.Tensor:
        rows = torch.tensor([[float("cat" in text), 0.3 * ("red" in text), 0.2] for text in texts])
        return torch.nn.functional.normalize(rows, dim=-1)

    weights = clip.weights(["a", "red", "cat"], read)
    assert weights[2] == 1 and 0 < weights[1] < 1 and weights[0] < 1e-6


def test_words_that_all_mean_nothing_weigh_the_same() -> None:
    assert clip.weights(["a", "b"], lambda texts: torch.ones(len(texts), 1)) == [1.0, 1.0]


@pytest.mark.parametrize("name", ["clip", "siglip"])
@pytest.mark.parametrize("count", [2, 41, 150])
def test_every_word_is_weighed_in_its_place(count: int, name: str, models_of: Callable[..., Models]) -> None:
    prompt, recorder = " ".join(f"w{i}," for i in range(count)), Recorder()
    output = ask(models_of(clip=name), ShortenRequest(prompt=prompt), reporter=recorder)
    assert " ".join(word for word, _ in output.scores) == prompt
    assert max(weight for _, weight in output.scores) == 1 and min(weight for _, weight in output.scores) >= 0
    assert recorder.steps[-1][0] == recorder.steps[-1][1]


def test_the_demo_models_know_filler_from_meaning(tmp_path) -> None:
    models = cpu_models({"clip": MODELS / "clip"}, tmp_path, cpu_threads=1)
    for colour, obj in (("red", "house"), ("purple", "fish"), ("white", "boat")):
        scores = dict(
            ask(
                models,
                ShortenRequest(prompt=f"cinematic detailed photo with {colour} {obj} highly artistic 35mm"),
            ).scores
        )
        assert min(scores.pop(colour), scores.pop(obj)) > max(scores.values())
