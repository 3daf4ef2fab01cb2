"""What the way through Discord, queue, worker, files and database costs, in throughput."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.bot import RealBot, answered, finished_at, imagine, picture
from benchmarks.measure import ROUNDED, Chart, Figure, Goal, Result, check, mean_apart
from benchmarks.models import DEMO
from benchmarks.rows import Options
from core.settings import ROOT
from tests.wire.discord import Discord
from vision.images import encode
from vision.weights import card as cards

TITLE = "Serving tax: the bot's throughput on the demo model"
AGAINST = (
    "the diffusers pipeline in a bare loop, one request of four pictures after another, the pictures neither"
    " saved nor shown to anybody"
)
JOBS, STEPS = 8, 12
ACROSS = {
    "bare loop": "requests a minute, bare loop",
    "with PNG": "… that saves its pictures as PNG",
    "bot": "requests a minute, bot",
}


def measure(options: Options) -> Result:
    """One bot and one loop, taking turns on the same requests; the grids that Discord got must be the loop's
    pictures."""
    return asyncio.run(_measure(options))


async def _measure(options: Options) -> Result:
    jobs = max(2, round(JOBS * options.scale))
    rates: dict[str, list[float]] = {name: [] for name in ACROSS}
    differences = []
    loop = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bare_loop",
        str(options.folder),
        cwd=ROOT,
        limit=2**20,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _line(loop)
        async with Discord() as discord, RealBot(discord, options.folder):
            await discord.until(lambda: "imagine" in discord.commands)
            await answered(
                discord, [imagine(discord, 0, "a blue star --steps 1 --seed 0")]
            )  # the model is loaded
            for repeat in range(options.repeats):
                asks = [
                    {"prompt": f"a red house {repeat} {i}", "seed": 100 * repeat + 4 * i, "steps": STEPS}
                    for i in range(jobs)
                ]
                bare = await _ask_loop(loop, asks)
                seconds, grids = await _ask_bot(discord, asks)
                rates["bare loop"].append(60 * jobs / bare["seconds"])
                rates["with PNG"].append(60 * jobs / bare["with PNG"])
                rates["bot"].append(60 * jobs / seconds)
                differences += [
                    mean_apart(grid, _sheet(images))
                    for grid, images in zip(grids, np.load(bare["pictures"]), strict=True)
                ]
    finally:
        loop.kill()
        await loop.wait()
    share = {
        name: tuple(ours / theirs for ours, theirs in zip(rates["bot"], rates[name], strict=True))
        for name in ("bare loop", "with PNG")
    }
    figures = (
        Figure("throughput of the bot, of the bare loop's", share["bare loop"], "×", "wall", Goal(0.97)),
        Figure("… of a loop's that saves PNG files", share["with PNG"], "×", "wall"),
        *(Figure(words, tuple(rates[name]), "a minute", "wall") for name, words in ACROSS.items()),
    )
    checks = (
        check("grids in Discord and the loop's pictures, mean difference of 255", differences, ROUNDED),
    )
    return Result(
        figures,
        checks,
        Chart("bars", TITLE, "requests a minute", {words: rates[name] for name, words in ACROSS.items()}),
    )


async def _ask_loop(loop: Any, asks: list[dict[str, Any]]) -> dict[str, Any]:
    loop.stdin.write(json.dumps(asks).encode() + b"\n")
    await loop.stdin.drain()
    return await _line(loop)


async def _line(loop: Any) -> dict[str, Any]:
    while line := await loop.stdout.readline():
        if line.startswith(b"{"):
            return json.loads(line)
    raise RuntimeError("the bare loop has ended")


async def _ask_bot(discord: Discord, asks: list[dict[str, Any]]) -> tuple[float, list[np.ndarray]]:
    """Seconds from the first command typed to the last picture shown, and the grids."""
    asked = [
        imagine(discord, i, f"{ask['prompt']} --steps {ask['steps']} --seed {ask['seed']}")
        for i, ask in enumerate(asks)
    ]
    messages = await answered(discord, asked)
    return max(finished_at(message) for message in messages) - asked[0].sent, [
        picture(message) for message in messages
    ]


def _sheet(images: np.ndarray) -> np.ndarray:
    """The loop's pictures as the bot shows them: enlarged, side by side."""
    scale = cards.read_card(DEMO).get("output_scale", 1)
    return np.asarray(encode.draw_sheet([encode.enlarge(Image.fromarray(image), scale) for image in images]))
