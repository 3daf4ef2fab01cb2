"""Random walks through conversations, with restarts between: undo, back and redo show the very file that was
shown before.

python -m proofs.talk.walks --walks 1000
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from core.talk import Decision, State
from studio.authority import Action, Actor
from studio.talk.dialogues import Turn
from tests.studio.conftest import Opened, open_studio

TURNS, AT_ONCE = 6, 25  # of a walk; walks between two restarts
MOVES = ("change", "change", "undo", "undo", "redo", "redo", "back", "pick", "branch")


@dataclass
class Walk:
    """One conversation, and what it should show: files as they were first seen, by the numbers of pictures;
    steps and at: what was shown one after another."""

    actor: Actor
    turn: Turn | None = None
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    steps: list[tuple[str, int]] = field(default_factory=list)
    at: int = -1
    stands: dict[str, tuple[list[tuple[str, int]], int]] = field(default_factory=dict)  # turn → steps, at


async def decide(actor: Actor, said: str, state: State) -> Decision:
    """Every sentence is plain here: what is measured is where it leads."""
    return (
        Decision(kind="draw", words=said) if state.shown is None else Decision(kind="change", changes=(said,))
    )


async def shown(opened: Opened, walk: Walk) -> str:
    """Return the SHA-256 of the stored file that the conversation shows."""
    assert walk.turn is not None and walk.turn.shows is not None
    job_id, index = walk.turn.shows
    result, picture = await opened.studio.rights.picture(walk.actor, job_id, index, Action.SHOW)
    assert await opened.services.files.has(picture.sha256)
    return picture.sha256


async def move(opened: Opened, walk: Walk, choice: str, dice: random.Random, done: Counter[str]) -> None:
    """Make one turn, and compare what it shows with what it should."""
    dialogues, actor = opened.studio.dialogues, walk.actor
    assert walk.turn is not None
    expected: tuple[str, int] | None = None
    match choice:
        case "undo" if walk.at > 0:
            walk.turn = await dialogues.step(actor, walk.turn.id, -1)
            walk.at -= 1
            expected = walk.steps[walk.at]
        case "redo" if walk.at + 1 < len(walk.steps):
            walk.turn = await dialogues.step(actor, walk.turn.id, 1)
            walk.at += 1
            expected = walk.steps[walk.at]
        case "back" | "pick" if walk.seen:
            expected = dice.choice(list(walk.seen))
            if choice == "pick":  # another of a grid that may not have been looked at yet
                drawn = [one for one in walk.seen if one[0] == next(iter(walk.seen))[0]]
                expected = (drawn[0][0], dice.randrange(4))
            walk.turn = await dialogues.show(actor, walk.turn.id, *expected)
            walk.steps = [*walk.steps[: walk.at + 1], expected]
            walk.at += 1
        case "branch" if walk.stands:
            turn_id = dice.choice(list(walk.stands))
            walk.steps, walk.at = list(walk.stands[turn_id][0]), walk.stands[turn_id][1]
            await say(opened, walk, f"make it branch {done.total()}", turn_id)
        case _:
            choice = "change"
            await say(opened, walk, f"make it {done.total()}", walk.turn.id)
    done[choice] += 1
    found = await shown(opened, walk)
    assert walk.turn.shows is not None
    if expected is not None:
        assert walk.turn.shows == expected, (choice, walk.turn.shows, expected)
        assert walk.seen.setdefault(expected, found) == found, f"{choice}: another file"
    walk.seen.setdefault(walk.turn.shows, found)
    walk.stands[walk.turn.id] = (list(walk.steps), walk.at)


async def say(opened: Opened, walk: Walk, said: str, after: str | None) -> None:
    """Say something that makes a picture, and wait for it."""
    dialogues = opened.studio.dialogues
    turn = await dialogues.say(walk.actor, said, after=after)
    job = await dialogues.submit(walk.actor, turn)
    assert job is not None, turn
    async for _ in await opened.studio.watch(walk.actor, job.id):
        pass
    walk.turn = await dialogues.turn(walk.actor, turn.id)
    assert walk.turn.shows is not None
    walk.steps = [*walk.steps[: walk.at + 1], walk.turn.shows]
    walk.at += 1


async def measure(folder: Path, walks: int, seed: int) -> Counter[str]:
    """Go so many walks, a batch of them turn by turn with a restart of the studio after each round."""
    dice, done = random.Random(seed), Counter[str]()
    for begin in range(0, walks, AT_ONCE):
        batch = [Walk(Actor(1 + n % 50, None, 1000 + n)) for n in range(begin, min(walks, begin + AT_ONCE))]
        for round_ in range(TURNS):
            async with open_studio(folder, EDIT_MODEL="tiny/edit", USER_WAITING="1000") as opened:
                opened.studio.dialogues.decide = decide
                async with opened.studio.dialogues.running():
                    done["restarts"] += 1
                    for walk in batch:
                        if round_ == 0:
                            await say(opened, walk, f"a house {done.total()}", None)
                            walk.seen[walk.steps[0]] = await shown(opened, walk)
                            assert walk.turn is not None
                            walk.stands[walk.turn.id] = (list(walk.steps), walk.at)
                            done["draw"] += 1
                        else:
                            walk.turn = await opened.studio.dialogues.turn(walk.actor, walk.turn.id)
                            await move(opened, walk, dice.choice(MOVES), dice, done)
                    for walk in batch:  # and every picture of it is still the same file
                        for (job_id, index), sha256 in walk.seen.items():
                            _, picture = await opened.studio.rights.picture(
                                walk.actor, job_id, index, Action.SHOW
                            )
                            assert picture.sha256 == sha256
                            done["compared"] += 1
        done["walks"] += len(batch)
        print(f"{done['walks']} walks, {done['compared']} files compared, 0 wrong", flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="walks-") as folder:
        done = asyncio.run(measure(Path(folder), options.walks, options.seed))
    print(", ".join(f"{name} {count}" for name, count in sorted(done.items())))
    print(f"0 wrong, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
