"""Sets of examples on the shipped CLIP: what its last layer has forgotten is learned too.

The thresholds lie far under the figures of docs/evidence/questions.md: they fail for a broken reader,
not by chance."""

import random

import pytest
import torch

from demo.evaluate import chat
from demo.train.loop import MODELS
from vision.readers import clip
from vision.readers.few_shot import learn_labels

SHOTS, HELD = 8, 6


@pytest.fixture(scope="module")
def matcher() -> clip.Matcher:
    torch.set_num_threads(1)
    return clip.load_clip(MODELS / "clip", "clip", {}, "cpu", torch.float32)


@pytest.mark.parametrize(("name", "least"), [("places", 0.9), ("counts", 0.55), ("positions", 0.65)])
def test_places_numbers_and_positions_are_learned_from_eight_pictures_of_each(
    matcher: clip.Matcher, name: str, least: float
) -> None:
    task = next(task for task in chat.TASKS if task.name == name)
    rng, labels = random.Random(name), range(4)
    drawn = [[task.draw(label, rng) for _ in range(SHOTS + HELD)] for label in labels]
    seen = [matcher.features.read_lists([images], lambda count=1: None)[0] for images in drawn]
    known = [blocks for found in seen for blocks in found[:SHOTS]]
    asked = [blocks for found in seen for blocks in found[SHOTS:]]
    told = learn_labels(known, [label for label in labels for _ in range(SHOTS)], 4, asked)
    wanted = torch.tensor([label for label in labels for _ in range(HELD)])
    reached = float((told.chances.argmax(1) == wanted).float().mean())
    assert reached >= least and told.expected is not None and abs(told.expected - reached) < 0.3


def test_every_task_draws_what_its_label_says() -> None:
    rng = random.Random(1)
    for task in chat.TASKS:
        assert len(task.labels) == len(task.told)
        assert task.draw(0, rng).size == (128, 128)
        scene = next(s for _ in range(999) if (s := chat._scene(rng, **task.told[-1])) is not None)
        group = scene.groups[0]
        said = {"object": group.object, "background": scene.background, "style": scene.style}
        said |= {"count": group.count, "place": scene.place}
        assert task.told[-1].items() <= said.items()
