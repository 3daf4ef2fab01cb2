"""Rows about pictures that are searched for by what they show: short queries, as people type them."""

import torch

from demo.drawing import draw
from demo.evaluation.drawing_rows import main_of
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import SINGLE, held_out
from demo.training.loop import MODELS
from demo.words import PLACE_WORDS
from demo.world import PLACES, Scene
from vision.readers import clip

DISTRACTORS = 10  # drawn scenes for each picture that is asked for
QUERIES = 200


def query(scene: Scene) -> str:
    """Words such as "red boat at night"."""
    group, background = scene.groups[0], scene.background
    where = PLACE_WORDS[background][0] if background in PLACES else f"on a {background} background"
    return f"{group.colour} {group.object} {where}"


@torch.no_grad()
def search_rows(pack: Pack, report: Report, n: int):
    """Ask for each picture of the studio's own model by its scene, among all of them and many drawn ones. The
    judge says whether the first hit has the colour and the shape."""
    count = min(n, QUERIES)
    scenes, prompts, pictures = pack.singles(count)
    others = held_out(DISTRACTORS * count, SINGLE, "search")
    gallery = [*pictures, *(draw(scene, rng) for scene, rng in others)]
    matcher = clip.load(MODELS / "clip", "clip", {}, "cpu", torch.float32)
    seen = torch.cat([matcher.embed_images(gallery[i : i + 50]) for i in range(0, len(gallery), 50)])
    queries = [query(scene) for scene in scenes]
    scores = torch.stack(matcher.embed_words(queries)) @ seen.half().float().T  # (Q, P)
    first = scores.argmax(1).tolist()
    report.share("search: first hit has colour and shape", _right(pack, scenes, gallery, first), 0.95)
    told = torch.tensor([[_has(prompt, text) for prompt in prompts] for text in queries])
    scores[:, :count] += 10.0 * told  # the product shows these before others
    first = scores.argmax(1).tolist()
    report.share("search: the same, with prompts", _right(pack, scenes, gallery, first), 0.95)


def _right(pack: Pack, scenes, gallery, first) -> list[bool]:
    verdicts = pack.judge([gallery[index] for index in first])
    wanted = [(scene.groups[0].colour, scene.groups[0].object) for scene in scenes]
    seen = [(main_of(verdict).colour, main_of(verdict).object) for verdict in verdicts]
    return [a == b for a, b in zip(wanted, seen, strict=True)]


def _has(prompt: str, text: str) -> bool:
    return all(word in prompt.lower() for word in text.split())
