"""Lists of four changes with one of them taken out, by the demo's models: how much of what is
kept is true when the rest is made again in one job, and when it is made one by one from the same picture.

python -m proofs.talk.taken_out --lists 100
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from core.job import Job
from core.profiles import PROFILES
from core.settings import load_settings
from core.talk import Decision, State
from demo.drawing import draw_steady, layout
from demo.evaluate import wilson
from demo.evaluate.edits import Turn, dialogue
from demo.evaluate.images import Pack
from demo.judge import CENTRE
from demo.world import Scene
from host.services import services
from studio.authority import Action, Actor
from studio.media.uploads import InMemory
from studio.studio import Studio
from vision.images.encode import enlarge

Seen = tuple[tuple[tuple[str, str], ...], str]  # objects as (colour, name), and the ground


async def decide(actor: Actor, said: str, state: State) -> Decision:
    """Every sentence is a change here: what is measured is what is made of it."""
    return Decision(kind="change", changes=(said,))


def done(turn: Turn, before: Turn | Scene, seen: Seen) -> Seen | None:
    """Return what is to be seen when a change of a dialogue is made of something else than there; None where
    that has nothing of what the change is about."""
    was = before.things if isinstance(before, Turn) else tuple(before.pairs)
    things, ground = seen
    gone = [one for one in was if one not in turn.things]
    new = [one for one in turn.things if one not in was]
    if turn.kind == "ground":
        return things, turn.ground
    if turn.kind == "add":
        return None if new[0][1] in {name for _, name in things} else ((*things, new[0]), ground)
    at = next((n for n, (_, name) in enumerate(things) if name == gone[0][1]), None)
    if at is None:
        return None
    if turn.kind == "remove":
        rest = (*things[:at], *things[at + 1 :])
    elif turn.kind == "thing":
        rest = (*things[:at], (things[at][0], new[0][1]), *things[at + 1 :])
    else:
        rest = (*things[:at], new[0], *things[at + 1 :])
    return (rest, ground) if rest else None


def without(scene: Scene, turns: Sequence[Turn], number: int) -> Seen | None:
    """Return what is to be seen in the end without change ``number`` (from 0); None where a later one is
    about what that has made."""
    seen: Seen | None = (tuple(scene.pairs), scene.background)
    for at, turn in enumerate(turns):
        if at != number and seen is not None:
            seen = done(turn, turns[at - 1] if at else scene, seen)
    return seen


class Lists:
    """Makes lists of changes in a studio with the demo's models, and judges what comes of them."""

    def __init__(self, studio: Studio, pack: Pack, read: object) -> None:
        self.studio, self.pack, self.read = studio, pack, read
        studio.dialogues.decide = decide

    async def end(self, actor: Actor, job: Job) -> Image.Image:
        """Wait for a job, and return its picture."""
        async for _ in await self.studio.watch(actor, job.id):
            pass
        _, stored = await self.studio.rights.picture(actor, job.id, 0, Action.SHOW)
        return Image.open(io.BytesIO(await self.read(stored.sha256))).convert("RGB")  # type: ignore[operator]

    async def changed(self, actor: Actor, words: str, **where: object) -> tuple[Job, Image.Image]:
        turn = await self.studio.dialogues.say(actor, words, **where)  # type: ignore[arg-type]
        job = await self.studio.dialogues.submit(actor, turn)
        assert job is not None, turn.reply
        return job, await self.end(actor, job)

    def true(self, picture: Image.Image, wanted: Seen) -> list[bool]:
        """Return of each object that is wanted, and of the ground, whether it is there, and last whether
        nothing else is."""
        verdict = self.pack.judge([picture])[0]
        found = [(one.colour, one.object) for one in verdict.found if one.score > CENTRE]
        things, ground = wanted
        return [*(one in found for one in things), verdict.background == ground, len(found) == len(things)]


async def measure(folder: Path, count: int, begin: int) -> None:
    """Print the figures of so many lists, from dialogue ``begin`` on."""
    pack = Pack()
    given = {**PROFILES["demo"], "DATA_DIR": str(folder), "DISK_FLOOR_MB": "0", "MODERATION": "off"}
    settings = load_settings(given, folder / "none.env")
    rows: dict[str, list[list[bool]]] = {"four changes": [], "one job": [], "one by one": []}
    seconds: dict[str, float] = {"one job": 0.0, "one by one": 0.0}
    async with services(settings) as built:
        lists = Lists(Studio(built), pack, built.files.get)
        index = begin - 1
        while len(rows["one job"]) < count:
            index += 1
            scene, turns = dialogue(f"dialogue {index}", plain=True)
            dice, actor = random.Random(f"start {index}"), Actor(index + 1, None, index + 1)
            fits = [number for number in range(4) if without(scene, turns, number) is not None]
            if not fits:
                continue
            number = dice.choice(fits)
            wanted = without(scene, turns, number)
            assert wanted is not None
            start = enlarge(
                draw_steady(scene, f"{index}", (128, 128), layout(scene, dice)), pack.settings["output_scale"]
            )
            file = io.BytesIO()
            start.save(file, "PNG")
            sent = InMemory("drawing.png", file.getvalue())
            # 1. All four; 2. without one, in one job; 3. the kept ones after it one by one
            where: dict[str, object] = {"after": None, "given": [sent]}
            jobs = list[Job]()
            for turn in turns:
                job, picture = await lists.changed(actor, turn.words, **where)
                jobs.append(job)
                where = {"after": "newest"}
            rows["four changes"].append(lists.true(picture, (turns[-1].things, turns[-1].ground)))
            began = time.monotonic()
            remade = await lists.studio.dialogues.without(actor, jobs[-1].id, 0, number + 2)
            if number < 3:
                job_ = await lists.studio.dialogues.submit(actor, remade)
                assert job_ is not None, remade.reply
                made = await lists.end(actor, job_)
                assert len(job_.request.then) == 2 - number  # type: ignore[attr-defined]
            else:
                made = await lists.end(actor, jobs[2])
            seconds["one job"] += time.monotonic() - began
            rows["one job"].append(lists.true(made, wanted))
            began = time.monotonic()
            if number:
                one = await lists.end(actor, jobs[number - 1])
                where = {"after": None, "given": [f"{jobs[number - 1].id} 1"]}
            else:
                one, where = start, {"after": None, "given": [sent]}
            for turn in turns[number + 1 :]:
                _, one = await lists.changed(actor, turn.words, **where)
                where = {"after": "newest"}
            seconds["one by one"] += time.monotonic() - began
            rows["one by one"].append(lists.true(one, wanted))
            told = {name: f"{sum(found[-1])}/{len(found[-1])}" for name, found in rows.items()}
            print(index, [turn.words for turn in turns], f"without {number + 1}", told, flush=True)
    for name, found in rows.items():
        flat, whole = [one for each in found for one in each], [all(each) for each in found]
        for what, ones in (("true of what is wanted", flat), ("all of it true", whole)):
            low, high = wilson(sum(ones), len(ones))
            print(
                f"{name}: {what} {sum(ones)}/{len(ones)} = {sum(ones) / len(ones):.1%} ({low:.1%}-{high:.1%})"
            )
    print(", ".join(f"{name} {spent / count:.1f} s a list" for name, spent in seconds.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lists", type=int, default=100)
    parser.add_argument("--begin", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="taken-out-") as folder:
        asyncio.run(measure(Path(folder), options.lists, options.begin))


if __name__ == "__main__":
    main()
