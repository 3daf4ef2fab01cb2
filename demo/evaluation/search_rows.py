"""Rows about pictures that are searched for by what they show: short queries, as people type them."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image

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
Right = Callable[[int, Scene], bool]  # whether a picture of the gallery has the colour and shape of a scene


def query(scene: Scene) -> str:
    """Words such as "red boat at night"."""
    group, background = scene.groups[0], scene.background
    where = PLACE_WORDS[background][0] if background in PLACES else f"on a {background} background"
    return f"{group.colour} {group.object} {where}"


def search_rows(pack: Pack, report: Report, n: int):
    """Ask for drawn pictures by their scenes, among many others; a scene says what it shows."""
    count = min(n, QUERIES)
    shown = held_out((1 + DISTRACTORS) * count, SINGLE, "search")
    scenes = [scene for scene, _ in shown]
    pictures = [draw(scene, rng) for scene, rng in shown]

    def right(index: int, scene: Scene) -> bool:
        return _pair(scenes[index]) == _pair(scene)

    report.share(
        "search: first of drawings has colour and shape", _hits(scenes[:count], pictures, right), 0.95
    )


def made_rows(pack: Pack, report: Report, n: int):
    """Ask for pictures of the studio's own model by their scenes, among many drawn ones; the judge says what
    the first one shows."""
    scenes, _, made = pack.singles(min(n, QUERIES))
    others = held_out(DISTRACTORS * len(made), SINGLE, "search")
    pictures = [*made, *(draw(scene, rng) for scene, rng in others)]

    def right(index: int, scene: Scene) -> bool:
        seen = main_of(pack.judge([pictures[index]])[0])
        return (seen.colour, seen.object) == _pair(scene)

    report.share("search: first of pictures made here, too", _hits(scenes, pictures, right), 0.95)


def _pair(scene: Scene) -> tuple[str, str]:
    return scene.groups[0].colour, scene.groups[0].object


@torch.no_grad()
def _hits(scenes: Sequence[Scene], pictures: Sequence[Image.Image], right: Right) -> list[bool]:
    """Whether the picture nearest to each scene's query is right, compared as the product does."""
    matcher = clip.load(MODELS / "clip", "clip", {}, "cpu", torch.float32)
    parts = [matcher.embed_images(pictures[i : i + 50]) for i in range(0, len(pictures), 50)]
    words = torch.stack(matcher.embed_words([query(scene) for scene in scenes]))
    first = (words @ torch.cat(parts).half().float().T).argmax(1).tolist()
    return [right(index, scene) for index, scene in zip(first, scenes, strict=True)]
