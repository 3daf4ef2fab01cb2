"""From nothing to the first picture, and where the time goes."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

from benchmarks.bot import RealBot, answered, finished_at, imagine
from benchmarks.measure import Chart, Figure, Result, check
from benchmarks.rows import Options
from core.settings import ROOT
from tests.wire.discord import Discord

TITLE = "Start: the bot's process to its first picture, a worker to ready"
AGAINST = "nothing; stated, with where the time goes"
PARTS = {  # what a worker does before it is ready, in its order
    "Python, our modules": "import vision.worker.main",
    "torch": "import torch",
    "diffusers, transformers": "import diffusers.utils.torch_utils, transformers, vision.store",
    "the model family's pipelines": (
        "from diffusers import StableDiffusionPipeline, StableDiffusionImg2ImgPipeline,"
        " StableDiffusionInpaintPipeline"
    ),
}


def measure(options: Options) -> Result:
    """The bot connects to a Discord on loopback; somebody types /imagine at once, with one step."""
    times: dict[str, list[float]] = {}
    for repeat in range(options.repeats):
        folder = options.folder / str(repeat)
        folder.mkdir()
        for name, seconds in {**asyncio.run(_first_picture(folder)), **_page(folder), **_parts()}.items():
            times.setdefault(name, []).append(seconds)
    figures = tuple(
        Figure(name, tuple(values), "s", "CPU" if name.startswith("import") else "wall")
        for name, values in times.items()
    )
    series = {name: values for name, values in times.items()}
    slow = statistics.median(times["worker: ready"])
    notes = (
        (
            f"Of a worker's {slow:.1f} s nearly all are imports; models are read at the first job, in 0.2 s"
            " for the demo model."
        ),
    )
    return Result(
        figures,
        (check("first pictures missing", [0.0] * options.repeats, 0),),
        Chart("bars", TITLE, "seconds", series),
        notes,
    )


async def _first_picture(folder) -> dict[str, float]:
    """Seconds from the start of the process; a worker's from its own start."""
    async with Discord() as discord, RealBot(discord, folder) as bot:
        await discord.until(lambda: "imagine" in discord.commands)
        connected = time.monotonic() - bot.started
        (message,) = await answered(discord, [imagine(discord, 0, "a red house --steps 1 --seed 1")])
        (ready,) = re.findall(r"worker for cpu .* ready in ([\d.]+) s", bot.log)
        return {
            "bot: connected": connected,
            "bot: first picture": finished_at(message) - bot.started,
            "worker: ready": float(ready),
        }


def _page(folder) -> dict[str, float]:
    """``make run`` of an installed studio without a token: until the sandbox's address is printed."""
    environment = {
        **os.environ,
        "DATA_DIR": str(folder / "sandbox"),
        "OPEN_BROWSER": "off",
        "DISCORD_TOKEN": "",
        "PYTHONUNBUFFERED": "1",
    }
    began = time.monotonic()
    given = {
        "cwd": ROOT,
        "env": environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "text": True,
    }
    with subprocess.Popen([sys.executable, "-m", "bot"], **given) as process:
        try:
            next(line for line in process.stdout if "sandbox: http" in line)
            return {"make run: sandbox page": time.monotonic() - began}
        finally:
            process.kill()


def _parts() -> Mapping[str, float]:
    """CPU seconds of each part of a worker's imports, one process for all, without garbage collection as
    there."""
    script = "import gc, time\ngc.disable()\n" + "".join(
        f"{code}\nprint(time.process_time())\n" for code in PARTS.values()
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    ends = [0.0, *map(float, found)]
    return {f"imports: {name}": end - begin for name, begin, end in zip(PARTS, ends, ends[1:], strict=False)}
