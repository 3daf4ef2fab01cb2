"""Drawings of the demo's world with what is true of them, as the demo's CLIP sees them, and twenty simulated
people with a taste each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from core.settings import ROOT
from demo.drawing import draw
from demo.world import COLOURS, FAINT, OBJECTS, PLACES, POSITIONS, STYLES, Group, Scene, compose
from vision.readers import clip

EVEN, USUAL = 420, 900  # drawings that show everything alike, and as they come
ROUND = {"ball", "moon", "heart", "flower", "mushroom"}
ANIMALS, ANGULAR = {"cat", "fish"}, {"star", "diamond", "house", "boat"}
SLOPE, SLIP = (
    6.0,
    0.05,
)  # of a person's choice: of a logistic in 0..1 of liking, and how often it is by chance
BLIND = ("symmetry", "large things")  # what the demo's CLIP doesn't see
OFTEN = ("shape round", "shape animals", "shape angular")  # what drawings of one prompt don't differ in


@dataclass(frozen=True)
class Drawing:
    """What is true of a drawing. symmetry, light, warmth: measured."""

    thing: str
    colour: str
    ground: str
    style: str
    size: str
    symmetry: float
    light: float
    warmth: float


Liking = Callable[[Drawing], float]


def _scaled(measure: Liking, low: float, high: float) -> Liking:
    return lambda drawing: float(np.clip((measure(drawing) - low) / (high - low), 0, 1))


def _colour(name: str) -> Liking:
    return lambda drawing: 0.7 * (drawing.colour == name) + 0.3 * (drawing.ground == name)


def _is(field: str, *values: str) -> Liking:
    return lambda drawing: float(getattr(drawing, field) in values)


TASTES: Mapping[str, Liking] = {
    **{f"colour {name}": _colour(name) for name in ("blue", "red", "purple", "yellow")},
    "style watercolor": _is("style", "watercolor"),
    "style pixel": _is("style", "pixel"),
    "style line art": _is("style", "outline"),
    **{f"place {name}": _is("ground", name) for name in ("night", "sea", "snow", "sunset")},
    "shape round": _is("thing", *ROUND),
    "shape animals": _is("thing", *ANIMALS),
    "shape angular": _is("thing", *ANGULAR),
    "symmetry": _scaled(lambda drawing: drawing.symmetry, 0.80, 0.98),
    "large things": lambda drawing: {"small": 0.0, "medium": 0.4, "large": 1.0}[drawing.size],
    "warm": _scaled(lambda drawing: drawing.warmth, -0.4, 0.4),
    "dark": _scaled(lambda drawing: -drawing.light, -0.85, -0.2),
    "watercolor or night": lambda d: 0.6 * (d.style == "watercolor") + 0.4 * (d.ground == "night"),
    "blue, never line art": lambda d: 0.6 * (d.colour == "blue") + 0.4 * (d.style != "outline"),
}


@dataclass(frozen=True)
class Pool:
    """vectors: (N, D) of unit length. likings: of each taste, (N,) in 0..1. even, seen, fresh: places of
    those that show everything alike, of those that are hearted, and of those that are asked about."""

    drawings: Sequence[Drawing]
    vectors: np.ndarray
    likings: Mapping[str, np.ndarray]
    even: np.ndarray
    seen: np.ndarray
    fresh: np.ndarray

    def of(self, thing: str, places: np.ndarray) -> np.ndarray:
        """Return those of ``places`` whose drawings are of one thing, as those of one prompt are."""
        return np.array([place for place in places if self.drawings[place].thing == thing])

    def liked(self, taste: str) -> np.ndarray:
        """Return which drawings fit a taste."""
        liking = self.likings[taste]
        usual = liking[self.even[-1] + 1 :]
        limit = np.quantile(usual, 0.75) if len(set(liking.round(3))) > 6 else 0.35
        return liking >= max(limit, 1e-9)


def make_pool() -> Pool:
    """Return the pool: the same each time."""
    scenes = [*_even_scenes(), *_usual_scenes()]
    pictures = [draw(scene, random.Random(number)) for number, scene in enumerate(scenes)]
    drawings = [_truth(scene, picture) for scene, picture in zip(scenes, pictures, strict=True)]
    folder = ROOT / "demo" / "models" / "clip"
    card = json.loads((folder / "atelier.json").read_text()) if (folder / "atelier.json").exists() else {}
    matcher = clip.load_clip(folder, "demo", card, "cpu", torch.float32)
    [seen] = matcher.embed_image_lists([pictures], lambda: None)
    vectors = seen.numpy().astype("<f2").astype(np.float32)  # as rows keep them
    likings = {name: np.array([like(one) for one in drawings]) for name, like in TASTES.items()}
    places = np.arange(len(drawings))
    return Pool(drawings, vectors, likings, places[:EVEN], places[EVEN : EVEN + 500], places[EVEN + 500 :])


def _usual_scenes() -> list[Scene]:
    rng, kinds = random.Random("taste"), ("large", "single", "several")
    return [compose(rng, rng.choices(kinds, (0.4, 0.4, 0.2))[0]) for _ in range(USUAL)]


def _even_scenes() -> list[Scene]:
    """Return scenes in which each style, place, colour and thing comes up alike."""
    rng, found = random.Random("even"), list[Scene]()
    while len(found) < EVEN:
        style = STYLES[len(found) % len(STYLES)]
        ground = rng.choice(PLACES) if rng.random() < 0.6 else rng.choice(COLOURS)
        faint = FAINT[ground] if style == "outline" else ()
        colour = rng.choice([one for one in COLOURS if one != ground and one not in faint])
        kind = "large" if style == "outline" else rng.choice(("large", "single", "several"))
        smallest = "medium" if style == "pixel" else rng.choice(("small", "medium"))
        size = {"large": "large", "single": smallest, "several": "medium"}[kind]
        thing = OBJECTS[len(found) // len(STYLES) % len(OBJECTS)]
        group = Group(rng.choice((2, 3, 4)) if kind == "several" else 1, colour, thing, size)
        place = "center" if kind == "large" else "any" if kind == "several" else rng.choice(POSITIONS)
        found.append(Scene((group,), place, ground, style))
    return found


def _truth(scene: Scene, picture: Image.Image) -> Drawing:
    [group] = scene.groups
    small = np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BOX)) / 255
    red, _, blue = small.reshape(-1, 3).mean(0)
    light = float((small @ [0.299, 0.587, 0.114]).mean())
    mirrored = 1 - float(np.abs(small - small[:, ::-1]).mean())
    truth = group.object, group.colour, scene.background, scene.style, group.size
    return Drawing(*truth, mirrored, light, float(red - blue))


def pick(likings: np.ndarray, rng: np.random.Generator) -> int:
    """Return which of some drawings a person picks."""
    if rng.random() < SLIP:
        return int(rng.integers(len(likings)))
    chances = np.exp(SLOPE * (likings - likings.max()))
    return int(rng.choice(len(likings), p=chances / chances.sum()))
