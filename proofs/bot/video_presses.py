"""``python -m proofs.bot.video_presses [--presses 200] [--seed 1]``: presses random buttons in a tree of
videos,
with restarts in between, and holds each to what it promises. Exit status 1 when one doesn't keep it.

The worker is the pretended one; videos are cut, fitted, laid side by side and made into GIFs for real.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bot.conftest import Studio, open_studio
from tests.support.messages import items_of, text_of

DEEPEST = 6  # videos that come from videos
RESTART_EVERY = 20  # presses
MADE = {  # button → what the title of the answer says
    "Extend (High)": " - Extended by ",
    "Extend (Low)": " - Extended by ",
    "Extend back": " - Extended back by ",
    "Loop": " - Loop by ",
    "Remix": " - Remix (",
    "Blend…": " - Blend of 2 by ",
    "🔄": " by ",
    "Cut": " - Cut by ",
    "Last frame": " - Last frame by ",
    "GIF": "GIF of video",
    **{f"U{n}": f"Video #{n}" for n in range(1, 5)},
    "Animate": " - Video by ",
}


@dataclass
class Presses:
    """A walk through videos. deep: message id → how many videos lie above its own. seen: what was pressed."""

    studio: Studio
    rng: random.Random
    deep: dict[int, int] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def begin(self) -> None:
        """Make two videos to start from."""
        for prompt in ("a red boat sails to the left --bs 1", "a ball rises"):
            await self.studio.alice.slash(self.studio.channel, "video", prompt=prompt)
            await self._note(0)

    async def press(self, number: int) -> None:
        """Press a button at random, and note whether what it promises came."""
        studio, rng = self.studio, self.rng
        messages = [one for one in studio.channel.history() if one.id in self.deep]
        known = [one for one in messages if self.deep[one.id] < DEEPEST]
        [message] = rng.choices(known, [2 ** self.deep[one.id] for one in known])
        offered = {item.name: item for item in items_of(message)}
        label = rng.choice([label for label in offered if label in MADE])
        who, before = rng.choice((studio.alice, studio.bob, studio.mira)), studio.last().id
        result = await who.click(message, custom_id=offered[label].custom_id)
        if result.modal is not None:
            result = await who.submit_modal(result, self._filled(label, is_video="GIF" in offered))
        self.seen[label] += 1
        last = studio.last()
        problem = _problem(last, before, MADE[label])
        if problem:
            told = text_of(result.response)[:120] if result.response else ""
            self.wrong.append(f"press {number}, {label} under {text_of(message)[:60]!r}: {problem} {told}")
        elif label != "GIF":
            await self._note(self.deep[message.id] + (not label.startswith("U")))

    def _filled(self, label: str, *, is_video: bool) -> dict[str, Any]:
        if label == "Remix" and not is_video:
            return {"prompt": "the same at night"}
        if label == "Remix":
            strength = self.rng.choice(("subtle", "mild", "strong"))
            return {"prompt": "the same at night", "strength": strength}
        if label == "Blend…":
            return {"source": f"{self.rng.choice(self.jobs)} 1", "prompt": ""}
        return {"start": "0.25", "end": "0.75"}

    async def _note(self, deep: int) -> None:
        last = self.studio.last()
        job, _ = await self.studio.built.queue.job_of_message(last.id)
        self.deep[last.id] = deep
        if last.attachments[0].filename.endswith(".mp4"):
            self.jobs.append(job.id)


def _problem(last: Any, before: int, title: str) -> str:
    """Return what is wrong with the answer to a press, or ""."""
    if last.id == before:
        return "nothing came"
    if title not in text_of(last):
        return f"{title!r} isn't in {text_of(last)[:100]!r}"
    if not last.attachments:
        return f"nothing is attached to {text_of(last)[:100]!r}"
    return ""


async def walk(studio: Studio, presses: int, seed: int) -> Presses:
    """Press that many buttons and return what was seen."""
    found = Presses(studio, random.Random(seed))
    await found.begin()
    for number in range(presses):
        if number and number % RESTART_EVERY == 0:
            await studio.restart()
        await found.press(number)
    return found


async def _main(presses: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with open_studio(Path(folder), USER_WAITING="50") as studio:
            found = await walk(studio, presses, seed)
    print(*found.wrong, sep="\n")
    print(f"{found.seen.total()} presses, {presses // RESTART_EVERY} restarts, {len(found.wrong)} wrong")
    print(f"deepest: {max(found.deep.values())}; {dict(found.seen.most_common())}")
    return int(bool(found.wrong))


def main() -> int:
    """Read the command line, walk, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m proofs.bot.video_presses")
    parser.add_argument("--presses", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return asyncio.run(_main(arguments.presses, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
