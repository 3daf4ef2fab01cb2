"""How right the demo answers questions about drawings by other hands: ``python -m demo.evaluate.answers``.

Two hundred drawings of ``demo.evaluate.drawings``, half of whose hands the readers were never tuned on, are
asked in ways that people put such questions (``questions.json``): "tried" were known while these were built,
"held out" weren't. ``--chat`` asks the chat model alone, as before things were measured. The hands that use
scikit-image need that package: pip install scikit-image==0.26.0.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from core.profiles import PROFILES
from core.requests import AskRequest
from demo.drawing import Placed, draw, layout
from demo.evaluate import wilson
from demo.evaluate.drawings import HANDS, KNOWN, PAINTS, SPOTS, TUNED, Drawing, Thing, drawing
from demo.world import OBJECTS, Scene, held_out_scene, plural
from vision.capabilities import ask
from vision.images.ops import place
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

FORMS = json.loads((Path(__file__).parent / "questions.json").read_text())
KINDS = ("one", "one", "one", "several", "several", "two", "two", "other", "other", "one")
WAYS = {"to the right": (1, 0), "to the left": (-1, 0), "down": (0, 1), "up": (0, -1)}
FRAMES, STEP = 8, 0.05
NUMBERS = ("no", "one", "two", "three", "four", "five")
SIDES = {"left": "left of", "right": "right of", "above": "above", "below": "below"}
DOUBT = re.compile(
    r"perhaps|can't name|not sure|don't know|can't tell|never learned|can't say", re.IGNORECASE
)
OBJECT = re.compile(rf"\b(?:{'|'.join(f'{plural(one)}|{one}' for one in OBJECTS)})\b", re.IGNORECASE)
COLOUR = re.compile(rf"\b(?:{'|'.join(PAINTS)})\b", re.IGNORECASE)
SINGULAR = {plural(one): one for one in OBJECTS}


@dataclass(frozen=True)
class Case:
    """A question. kind: its row. truth: what a right answer says. frames: of a video, () for a picture."""

    kind: str
    held_out: bool
    question: str
    truth: str
    drawn: Drawing
    frames: tuple[Drawing, ...] = ()


@dataclass(frozen=True)
class PackDrawing(Drawing):
    """A held-out drawing of the pack's own painter."""

    scene: Scene = Scene((), "any", "white", "flat")

    def paint(self) -> Image.Image:
        placed = [Placed(one.name, one.colour, one.x, one.y, one.half, 0) for one in self.things]
        return draw(self.scene, random.Random(self.seed), placed=placed)


def of_the_pack(rng: random.Random, seed: str) -> tuple[PackDrawing, str]:
    """Return a drawing of the pack's own painter, and its kind."""
    kind = rng.choice(("large", "single", "several", "pair"))
    scene = held_out_scene(rng, kind)
    while any(group.count > 1 for group in scene.groups) and kind == "pair":
        scene = held_out_scene(rng, kind)
    placed = layout(scene, rng)
    things = tuple(Thing(one.object, one.colour, one.x, one.y, one.half) for one in placed)
    called = {"several": "several", "pair": "two"}.get(kind, "one")
    return PackDrawing(things, scene.background, (128, 128), HANDS[0], seed, scene), called


def cases(count: int, *, pack: bool = False) -> Iterator[Case]:
    """Yield the questions about ``count`` drawings, each kind in a form of both halves. pack: of the pack's
    own painter."""
    for number in range(count):
        rng = random.Random(f"answers {number}")
        hand = HANDS[number % len(HANDS)]
        kind = KINDS[number // len(HANDS) % len(KINDS)]
        seed = f"answers {number} {hand.name}"
        drawn = drawing(rng, kind, hand, seed)
        if pack:
            drawn, kind = of_the_pack(rng, seed)
        for held_out in (False, True):
            for row, truth, words in _asked(drawn, kind, rng):
                forms = FORMS["what" if row == "unknown picture" else row][
                    "held out" if held_out else "tried"
                ]
                form = rng.choice(forms)
                frames = _moving(drawn, WAYS[truth]) if row == "direction" else ()
                yield Case(row, held_out, form.format(**words), truth, drawn, frames)


def _asked(drawn: Drawing, kind: str, rng: random.Random) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the rows that a drawing belongs to, with the truth and the words of the question."""
    first = drawn.things[0]
    names = {thing.name for thing in drawn.things}
    words = {"thing": first.name, "things": plural(first.name)}
    other = rng.choice(FORMS["others"])
    others = {"person": "people"}.get(other, other + "s")
    yield "unknown word", "", {"other": other, "others": others}
    if kind == "other":
        yield "unknown picture", "", {}
        return
    yield "what", " ".join(sorted(names)), {}
    yield "ground", drawn.ground, words
    yield "how many", str(sum(thing.name == first.name for thing in drawn.things)), words
    absent = rng.choice([one for one in KNOWN if one not in names])
    asked = rng.choice((first.name, absent))
    yield "is there", "yes" if asked in names else "no", {"thing": asked, "things": plural(asked)}
    if kind == "two":
        a, b = rng.sample(drawn.things, 2)
        across = abs(a.x - b.x) > abs(a.y - b.y)
        side = ("left" if a.x < b.x else "right") if across else ("above" if a.y < b.y else "below")
        yield "beside", a.name, {"thing": b.name, "side": SIDES[side]}
    if kind != "two":
        yield "colour", first.colour, words
    if kind == "one":
        spot = min(SPOTS, key=lambda name: abs(SPOTS[name][0] - first.x) + abs(SPOTS[name][1] - first.y))
        if isinstance(drawn, PackDrawing):
            yield "where", place(first.x, first.y), words
            return
        yield "where", spot, words
        yield "direction", random.Random(drawn.seed).choice(list(WAYS)), words


def _moving(drawn: Drawing, way: tuple[int, int]) -> tuple[Drawing, ...]:
    """Return the frames of a video in which a drawing's thing crosses the picture."""
    half = drawn.things[0].half
    span = min(FRAMES * STEP, 1 - 2 * half - 0.1)
    steps = [span * (at / (FRAMES - 1) - 0.5) for at in range(FRAMES)]
    middle = drawn.moved(0.5 - drawn.things[0].x, 0.5 - drawn.things[0].y)
    return tuple(middle.moved(way[0] * step, way[1] * step) for step in steps)


def right(case: Case, said: str) -> bool:
    """Return whether an answer says the truth, and nothing else of its kind."""
    text = re.sub(r"I(?:'m not sure: i)? only know drawings of.*", "", said)
    named = {SINGULAR.get(one.lower(), one.lower()) for one in OBJECT.findall(text)}
    first = re.split(r"[,;:.]| only ", said)[0].lower()
    match case.kind:
        case "what":
            return named == set(case.truth.split())
        case "colour":
            return set(COLOUR.findall(re.sub(r"on an? \w+ background", "", text.lower()))) == {case.truth}
        case "how many":
            numbers = [
                NUMBERS.index(one)
                for one in re.findall(r"\w+", first.replace("none", "no"))
                if one in NUMBERS
            ]
            return numbers[:1] == [int(case.truth)] or re.findall(r"\d+", first)[:1] == [case.truth]
        case "where":
            found = re.findall(r"\b(?:upper|lower|left|right|top|bottom|middle)\b", text.lower())
            return " ".join(found) == case.truth
        case "is there":
            return (
                first.startswith("yes")
                if case.truth == "yes"
                else bool(re.match(r"no|none|there is no", first))
            )
        case "beside":
            return named - set(OBJECT.findall(case.question)) == {case.truth}
        case "ground":
            return case.truth in text.lower()
        case "direction":
            found = re.findall(r"\b(?:left|right|up|down)\b", text.lower())
            return found == [case.truth.split()[-1]]
        case _:
            return bool(DOUBT.search(said))


class Demo:
    """The demo's models, asked as a worker asks them. folder: for pictures."""

    def __init__(self, folder: Path, chat: bool) -> None:
        roles = ("ASK", "SEGMENT", "CLIP", "VIT", "CAPTION")
        specs = {role.lower(): PROFILES["demo"][f"{role}_MODEL"] for role in roles}
        self.models, self.folder = Models(WorkerConfig("cpu", specs, str(folder))), folder
        if chat:
            self.models.get("ask", Reporter()).model.card["asks"].pop("grounds")

    def ask(self, case: Case) -> str:
        """Return the answer to a question."""
        pictures = [one.paint() for one in case.frames] or [case.drawn.paint()]
        if case.frames:
            pictures = _as_gif(pictures)
        paths = dict[str, str]()
        for picture in pictures:
            picture.save(kept := io.BytesIO(), "PNG")
            sha = sha256(kept.getvalue()).hexdigest()
            (self.folder / sha).write_bytes(kept.getvalue())
            paths[sha] = str(self.folder / sha)
        times = tuple(0.2 * at for at in range(len(paths))) if case.frames else ()
        request = AskRequest(
            question=case.question, images=tuple(paths), times=times, film_seconds=0.2 * len(times)
        )
        made = ask.run(request, paths, self.models, Reporter())
        return made.answer.text if made.answer else ""


def _as_gif(pictures: list[Image.Image]) -> list[Image.Image]:
    pictures[0].save(kept := io.BytesIO(), "GIF", save_all=True, append_images=pictures[1:], duration=200)
    film, found = Image.open(kept), []
    for at in range(getattr(film, "n_frames", 1)):
        film.seek(at)
        found.append(film.convert("RGB"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.evaluate.answers", description=__doc__)
    parser.add_argument("--drawings", type=int, default=200)
    parser.add_argument("--chat", action="store_true", help="ask the chat model alone")
    parser.add_argument("--pack", action="store_true", help="drawings of the pack's own painter")
    parser.add_argument("--wrong", action="store_true", help="print every wrong answer")
    told = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    doubts = defaultdict[str, list[bool]](list)
    with TemporaryDirectory() as folder:
        demo = Demo(Path(folder), told.chat)
        for case in cases(told.drawings, pack=told.pack):
            said = demo.ask(case)
            good = right(case, said)
            rows[case.kind]["held-out forms" if case.held_out else "tried forms"].append(good)
            rows[case.kind]["tried hands" if case.drawn.hand.name in TUNED else "other hands"].append(good)
            rows[case.kind]["all"].append(good)
            if case.kind == "what":
                doubts["right"].append(good and bool(DOUBT.search(said)))
            if told.wrong and not good:
                print(
                    f"{case.kind} [{case.drawn.hand.name}] {case.question!r}: {said!r} ({case.truth})",
                    flush=True,
                )
    for kind, by in rows.items():
        low, high = wilson(sum(by["all"]), len(by["all"]))
        parts = ", ".join(
            f"{name} {sum(hits)}/{len(hits)}" for name, hits in sorted(by.items()) if name != "all"
        )
        share, count = sum(by["all"]) / len(by["all"]), len(by["all"])
        print(f"{kind:<16} {share:6.1%} ({low:.1%}-{high:.1%}, n = {count}): {parts}")
    print(f"what, right but told as perhaps: {sum(doubts['right'])} of {len(doubts['right'])}")


if __name__ == "__main__":
    main()
