"""Whether a search says that nothing shows what is looked for, and only then: ``python -m
proofs.studio.search_limit FOLDER`` draws 160 pictures with the demo's model into FOLDER, unless they are
there, and asks for 200 things that they show and 200 that they don't, by their looks alone."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.profiles import DEMO
from core.requests import ImagineRequest
from studio.embeddings import UNRELATED
from vision.capabilities import imagine
from vision.protocol import Nearest, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.nearest import nearest

THINGS = {
    "house": ("house", "home", "cottage", "cabin"),
    "tree": ("tree", "pine", "fir tree"),
    "boat": ("boat", "ship", "sailboat"),
    "flower": ("flower", "blossom", "rose"),
    "cat": ("cat", "kitten"),
    "star": ("star",),
    "moon": ("moon", "crescent"),
    "ball": ("ball", "sphere", "balloon"),
}
PLACES = {
    "in the snow": ("snow", "winter"),
    "at night": ("night", "under the stars"),
    "at sea": ("sea", "ocean", "on the water"),
    "on the grass": ("grass", "meadow"),
    "at sunset": ("sunset", "dusk"),
    "on a blue background": ("blue background",),
    "on a white background": ("white background",),
    "on a yellow background": ("yellow background",),
}
COLOURS = "red yellow blue green white purple orange pink black brown".split()
# what the model knows and no picture shows, and what it has never learned
ABSENT = "heart,love heart,diamond,gem,crystal,fish,goldfish,mushroom,toadstool,desert,sand,a beach".split(
    ","
)
STRANGE = """
zzzz dragon dog horse castle car pizza astronaut bicycle qwrtp mountain river bridge guitar keyboard
coffee receipt passport beetle elephant lion tiger airplane spaceship robot chair lamp window clock
shoe dress wedding baby dinner spaghetti strawberry Berlin Schloss voiture perro кошка 城堡 blorp
volcano waterfall rainbow snowman penguin owl butterfly spider skull sword knight wizard mermaid
unicorn pirate treasure map newspaper whiteboard invoice violin piano sofa kitchen supermarket
motorcycle bus skyscraper football hockey giraffe zebra cow sheep pig chicken egg grandmother
birthday dentist
""".split()
Truth = tuple[str, str, str]  # colour, thing, place


@dataclass(frozen=True)
class Query:
    """Words, and which pictures show what they say."""

    words: str
    shows: Callable[[Truth], bool]


def truths() -> list[Truth]:
    """Return what the forty prompts are of; each draws four pictures."""
    found = []
    for number, thing in enumerate(THINGS):
        for turn in range(5):
            place = list(PLACES)[(number + 3 * turn) % len(PLACES)]
            colour = COLOURS[(3 * number + 2 * turn) % len(COLOURS)]
            if colour in place:
                colour = COLOURS[(3 * number + 2 * turn + 1) % len(COLOURS)]
            found.append((colour, thing, place))
    return found


def draw(folder: Path) -> list[tuple[Path, Truth]]:
    """Draw what isn't in the folder; return every picture with what it is of."""
    models = Models(WorkerConfig("cpu", {"image": str(DEMO / "stable-diffusion")}, str(folder / "cache")))
    pictures = []
    for number, truth in enumerate(truths()):
        files = [folder / f"{number:02d}-{index}.png" for index in range(4)]
        if not all(file.exists() for file in files):
            colour, thing, place = truth
            request = ImagineRequest(prompt=f"a {colour} {thing} {place}", seed=1001 + number, num_images=4)
            made = imagine.run(request, {}, models, Reporter())
            for file, picture in zip(files, made.pictures, strict=True):
                file.write_bytes(picture.data)
        pictures += [(file, truth) for file in files]
    return pictures


def shown() -> Iterator[Query]:
    """Yield what some picture shows: things, things with their colours, places, whole scenes."""
    for thing, names in THINGS.items():
        for name in names:
            yield Query(name, lambda truth, thing=thing: truth[1] == thing)
            yield Query(f"a {name}", lambda truth, thing=thing: truth[1] == thing)
    for place, names in PLACES.items():
        for name in names:
            yield Query(name, lambda truth, place=place: truth[2] == place)
    for colour, thing, place in truths():
        for name in THINGS[thing][:3]:
            yield Query(f"{colour} {name}", lambda t, one=(colour, thing): t[:2] == one)
            yield Query(f"{name} {place}", lambda t, one=(thing, place): t[1:] == one)
        scene = f"{colour} {THINGS[thing][-1]} {place}"
        yield Query(scene, lambda t, one=(colour, thing, place): t == one)


def absent(rng: random.Random) -> list[str]:
    """Return words for what no picture shows, half of them known to the model."""
    known = [*ABSENT, *(f"a {name}" for name in ABSENT[:9])]
    known += [f"{colour} {name}" for name in ABSENT[:9] for colour in COLOURS]
    strange = [*STRANGE, *(f"a {rng.choice(COLOURS)} {name}" for name in STRANGE[1:20])]
    return rng.sample(known, 100) + rng.sample(strange, 100)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m proofs.studio.search_limit", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    pictures, rng = draw(folder), random.Random("search")
    models = Models(WorkerConfig("cpu", {"clip": str(DEMO / "clip")}, str(folder / "cache")))
    matcher = models.clip(str(DEMO / "clip"), Reporter())
    vectors = matcher.embed_images([Image.open(file).convert("RGB") for file, _ in pictures]).numpy()
    there, gone = rng.sample(list(shown()), 200), absent(rng)
    texts = [*(query.words for query in there), *gone, *UNRELATED]
    words = dict(zip(texts, matcher.embed_words(texts), strict=True))
    packed = {text: vector.numpy().astype("<f2").tobytes() for text, vector in words.items()}
    unrelated = tuple(packed[text] for text in UNRELATED)
    print("| pictures | shown: found, a right one among the first 8 | not shown: told so |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "vectors"
        vectors.astype("<f4").tofile(file)
        for count in (len(pictures), 60, 24, 12):
            found, told = list[bool](), list[bool]()
            for turn in range(1 if count == len(pictures) else 20):
                some = sorted(random.Random(f"{count} {turn}").sample(range(len(pictures)), count))
                names = sum(1 << at for at in some).to_bytes(len(pictures) // 8 + 1, "little")

                def ask(text: str, names: bytes = names):
                    return nearest(Nearest("q", str(file), (packed[text],), names, b"", 300, True, unrelated))

                for query in there:
                    if any(query.shows(pictures[at][1]) for at in some):
                        answer = ask(query.words)
                        right = [query.shows(pictures[at][1]) for at in answer.others[:8]]
                        found.append(not answer.none_shows and any(right))
                told += [ask(text).none_shows for text in gone]
            print(f"| {count} | {np.mean(found):.1%} of {len(found)} | {np.mean(told):.1%} of {len(told)} |")


if __name__ == "__main__":
    main()
