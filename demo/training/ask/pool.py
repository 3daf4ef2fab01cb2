"""Pictures drawn once and kept on disk, for all stages: drawing costs half as much as a step of training."""

import logging
import pickle
import random
import time
from pathlib import Path

import numpy as np

from demo.training.ask.pictures import (
    Picture,
    chart_picture,
    moving,
    random_chart,
    random_scene,
    random_word,
    scene_picture,
    sign_picture,
    single_scene,
)
from demo.training.loop import WORK
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, Group, Scene

logger = logging.getLogger(__name__)

SHARDS = 80
WAYS = ("left", "right", "up", "down")
# of one shard
SCENES, SINGLES, PAIRS, FILMS, SIGNS, CHARTS = 480, 120, 60, 30, 420, 200
EASY = (1, 1, 2, 2, 3, 3, 4, 5, 5)  # longest words of signs, by turns


def folder() -> Path:
    """Where the shards lie."""
    return WORK / "ask-pictures"


def changed(scene: Scene, what: str, rng: random.Random) -> Scene:
    """The same scene of one thing but for its `object`, `colour` or `background`."""
    group = scene.groups[0]
    colour, thing, background = group.colour, group.object, scene.background
    if what == "object":
        thing = rng.choice([o for o in OBJECTS if o != thing])
    elif what == "colour":
        colour = rng.choice([c for c in COLOURS if c not in (colour, background)])
    else:
        background = rng.choice([b for b in BACKGROUNDS if b not in (background, colour)])
    return Scene((Group(1, colour, thing, group.size),), scene.place, background, scene.style)


def pair(rng: random.Random, held: bool) -> tuple[Picture, Picture]:
    """Two pictures that differ in one thing."""
    first = single_scene(rng, held)
    second = changed(first, rng.choice(("object", "colour", "background")), rng)
    return scene_picture(first, rng), scene_picture(second, rng)


def film(rng: random.Random, held: bool) -> tuple[list[Picture], str]:
    """Three frames in which a thing moves, and which way."""
    scene, way = single_scene(rng, held), rng.choice(WAYS)
    return moving(scene, way, rng), way


def draw_shard(number: int, share: float = 1.0) -> dict[str, list]:
    """The pictures of one shard by what they are for."""
    rng = random.Random(f"ask pictures {number}")

    def many(count):
        return range(max(2, round(count * share)))

    drawn = {"scene": [scene_picture(random_scene(rng, False), rng) for _ in many(SCENES)]}
    drawn["single"] = [scene_picture(single_scene(rng, False), rng) for _ in many(SINGLES)]
    drawn["pair"] = [pair(rng, False) for _ in many(PAIRS)]
    drawn["film"] = [film(rng, False) for _ in many(FILMS)]
    drawn["sign"] = [sign_picture(random_word(rng, False, EASY[k % len(EASY)]), rng) for k in many(SIGNS)]
    drawn["chart"] = [chart_picture(random_chart(rng, False), rng) for _ in many(CHARTS)]
    return drawn


def make(shards: int = SHARDS, share: float = 1.0):
    """Draws the shards that are missing; `share`: of the pictures of one."""
    folder().mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        path = folder() / f"{number:03d}.npz"
        if path.exists():
            continue
        started, pictures, index = time.process_time(), [], {}

        def put(picture, pictures=pictures):
            pictures.append(picture)
            return len(pictures) - 1, picture.truth

        for kind, drawn in draw_shard(number, share).items():
            if kind == "film":
                index[kind] = [([put(p) for p in frames], way) for frames, way in drawn]
            elif kind == "pair":
                index[kind] = [tuple(map(put, two)) for two in drawn]
            else:
                index[kind] = [put(picture) for picture in drawn]
        part = folder() / f"{number:03d}.part.npz"
        np.savez(
            part,
            pixels=np.stack([p.pixels for p in pictures]),
            labels=np.stack([p.labels for p in pictures]),
        )
        (folder() / f"{number:03d}.pickle").write_bytes(pickle.dumps(index))
        part.replace(path)
        logger.info("pictures %d: %d in %.0f s", number, len(pictures), time.process_time() - started)


class Pool:
    """The shards that are drawn so far. `index` names pictures by their place in `pixels` and `labels`."""

    def __init__(self):
        self.pixels, self.labels, self.shards = [], [], 0
        self.index: dict[str, list] = {}
        self.look()

    def look(self):
        """Reads shards that came since the last look."""
        new = [p for p in sorted(folder().glob("???.npz"))][self.shards :]
        base = sum(map(len, self.pixels))
        for path in new:
            arrays = np.load(path)
            self.pixels.append(arrays["pixels"])
            self.labels.append(arrays["labels"])
            for kind, entries in pickle.loads(path.with_suffix(".pickle").read_bytes()).items():
                self.index.setdefault(kind, []).extend(_moved(entry, base) for entry in entries)
            base += len(self.pixels[-1])
            self.shards += 1
        self._starts = np.cumsum([0, *map(len, self.pixels)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _at(self, arrays, places):
        shard = np.searchsorted(self._starts, places, "right") - 1
        return np.stack([arrays[s][i - self._starts[s]] for s, i in zip(shard, places, strict=True)])

    def pixels_of(self, places) -> np.ndarray:
        """(B, SIZE, SIZE, 3) uint8."""
        return self._at(self.pixels, np.asarray(places))

    def labels_of(self, places) -> np.ndarray:
        """(B, len(HEADS), GRID * GRID) int8."""
        return self._at(self.labels, np.asarray(places))


def _moved(entry, base):
    """An entry of a shard's index with `base` added to every place."""
    first = entry[0]
    if isinstance(first, int):
        return (first + base, entry[1])
    if isinstance(first, list):  # a film
        return ([_moved(frame, base) for frame in first], entry[1])
    return tuple(_moved(one, base) for one in entry)
