"""The held-out scenes of the evaluation and how they are put in words."""

import random

from demo.captions import Caption, describe
from demo.world import Scene, held_out_scene

SINGLE = {"large": 0.3, "single": 0.7}
ANY = {"large": 0.15, "single": 0.4, "several": 0.15, "pair": 0.3}


def caption(scene: Scene, rng: random.Random) -> Caption:
    """A freely worded prompt that tells object, colour, background and style of a scene, and what it
    tells."""
    while True:
        made = describe(scene, rng, noise=0.2, drop=0)
        if made.background_told and made.style_told:
            return made


def prompt(scene: Scene, rng: random.Random) -> str:
    """The words of such a prompt."""
    return caption(scene, rng).text


def held_out(
    count: int, kinds: dict[str, float], seed: str, pairs: str = "seen"
) -> list[tuple[Scene, random.Random]]:
    """Held-out scenes in seed order, each with a generator of its own."""
    scenes = []
    for index in range(count):
        rng = random.Random(f"{seed} {index}")
        scenes.append((held_out_scene(rng, rng.choices(list(kinds), list(kinds.values()))[0], pairs), rng))
    return scenes


def two_objects(n: int, seed: str = "two") -> list[tuple[Scene, random.Random]]:
    """Held-out scenes of exactly two objects, each with a generator of its own."""
    scenes, index = [], 0
    while len(scenes) < n:
        rng = random.Random(f"{seed} {index}")
        scene = held_out_scene(rng, "pair")
        if all(group.count == 1 for group in scene.groups):
            scenes.append((scene, rng))
        index += 1
    return scenes
