"""The bot as a process of its own with its real worker, in a Discord on loopback: how long its event loop
stands still, what its way costs in throughput, and how long it takes to its first picture."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.measure import ROUNDED, Chart, Figure, Goal, Result, check, mean_apart, quantile, times_less
from benchmarks.models import DEMO
from benchmarks.rows import Options, Row
from core.settings import ROOT
from tests.support.messages import items_of, text_of
from tests.wire.discord import GUILD, Discord, Interaction, Message
from tests.wire.process import BotProcess
from vision.images import encode
from vision.weights import card as cards

PATIENCE = 600.0  # seconds; on a quiet machine nothing takes a tenth of it


class RealBot(BotProcess):
    """``async with RealBot(discord, folder, …)``; options are of ``benchmarks.launch``."""

    async def spawn(self, *options: str) -> None:
        """Start the bot's process against the simulated Discord. options: of ``benchmarks.launch``."""
        (self.folder / "connections.json").unlink(missing_ok=True)
        command = (sys.executable, "-m", "benchmarks.launch", self.discord.url, *self.options, *options)
        with self.log_file.open("ab") as log:
            self.started = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=self._env, stdout=log, stderr=log, start_new_session=True
            )


def imagine(discord: Discord, user: int, prompt: str) -> Interaction:
    """One member types /imagine."""
    return discord.slash("imagine", GUILD + 1 + user % 20, 50_000 + user, prompt=prompt)


async def answered(discord: Discord, asked: list[Interaction]) -> list[Message]:
    """Each one's message once it shows a finished picture."""
    await discord.until(lambda: all(_finished(made) for made in asked), PATIENCE)
    return [made.message for made in asked]


def finished_at(message: Message) -> float:
    """Monotonic seconds."""
    return next(at for at, text in message.versions if _tells_the_end(text))


def picture(message: Message) -> np.ndarray:
    """(H, W, 3) of the file that stands in the message."""
    with Image.open(io.BytesIO(message.files[0][1])) as image:
        return np.asarray(image.convert("RGB"))


def _finished(made: Interaction) -> bool:
    return made.message is not None and bool(made.message.files) and _tells_the_end(text_of(made.message))


def _tells_the_end(text: str) -> bool:
    return "job " in text


def stalls(path: Path) -> list[float]:
    """ms by which each look of the event loop at the clock was late."""
    return [float(line) for line in path.read_text().splitlines() if "." in line]


INTERACTIONS, JOBS, RATE = 100, 4, 40.0  # RATE: interactions a second
PAUSE = 2.0  # seconds from the start until the worker is started
WAYS = {"process": (), "thread": ("--thread",)}


def measure_event_loop(options: Options) -> Result:
    """A cold bot for each value."""
    late: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    differences = []
    for repeat in range(options.repeats):
        pictures = {}
        for name in sorted(WAYS, reverse=repeat % 2 == 1):
            folder = options.folder / f"{name}{repeat}"
            folder.mkdir()
            found, pictures[name] = asyncio.run(_run(folder, *WAYS[name]))
            late[name].append(found)
        differences += [
            mean_apart(a, b) for a, b in zip(pictures["process"], pictures["thread"], strict=True)
        ]
    longest = {name: tuple(max(found) for found in each) for name, each in late.items()}
    figures = (
        Figure("longest stall", longest["process"], "ms", "wall", Goal(at_most=25)),
        Figure(
            "longest stall, against a thread",
            times_less(longest["thread"], longest["process"]),
            "× less",
            "wall",
            Goal(at_least=10),
        ),
        Figure("longest stall in a thread", longest["thread"], "ms", "wall"),
        Figure("99th percentile", tuple(quantile(found, 0.99) for found in late["process"]), "ms", "wall"),
        Figure(
            "99th percentile in a thread",
            tuple(quantile(found, 0.99) for found in late["thread"]),
            "ms",
            "wall",
        ),
    )
    series = {f"longest, {name}": longest[name] for name in WAYS} | {
        f"99th percentile, {name}": [quantile(found, 0.99) for found in late[name]] for name in WAYS
    }
    checks = (check("grids of process and thread, mean difference of 255", differences, ROUNDED),)
    return Result(figures, checks, Chart("ms late", series, log=True))


async def _run(folder: Path, *options: str) -> tuple[list[float], list]:
    """ms late, and the grids."""
    probe = folder / "stalls"
    async with (
        Discord() as discord,
        RealBot(discord, folder, f"--probe={probe}", f"--pause={PAUSE}", *options) as bot,
    ):
        await discord.until(lambda: "imagine" in discord.commands)
        asked = []
        for number in range(INTERACTIONS):
            if number % (INTERACTIONS // JOBS) == 0:
                asked.append(imagine(discord, number, f"a red house --steps 2 --seed {number}"))
            else:
                discord.slash("help", GUILD + 1 + number % 20, 60_000 + number)
            await asyncio.sleep(1 / RATE)
        messages = await answered(discord, asked)
        found = stalls(probe)
        if "libtorch" not in bot.libraries() and options:
            raise RuntimeError("the worker was no thread of the bot")
        return found, [picture(message) for message in messages]


CROWD, PACE, LONG = 100, 50.0, 20.0  # people, interactions a second, seconds
NEVER = 30.0  # seconds; an acknowledgement that came later counts as that


def measure_interactions(options: Options) -> Result:
    """A bot for each value, whose worker draws all the time."""
    found: dict[str, list[float]] = {}
    missing = []
    for repeat in range(options.repeats):
        folder = options.folder / f"{repeat}"
        folder.mkdir()
        values, late = asyncio.run(_crowd(folder, LONG * options.scale))
        missing.append(float(late))
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    goals = {"median": Goal(at_most=100), "99.9th percentile": Goal(at_most=500)}
    units = {"bot, of a core": ("ms", "CPU"), "jobs drawn meanwhile": ("", "count")}
    figures = tuple(
        Figure(name, tuple(values), *units.get(name, ("ms", "wall")), goals.get(name))
        for name, values in found.items()
    )
    series = {name: values for name, values in found.items() if name not in units}
    checks = (check(f"interactions not acknowledged within {NEVER:.0f} s", missing, 0),)
    return Result(figures, checks, Chart("ms until acknowledged", series, log=True))


async def _crowd(folder: Path, seconds: float) -> tuple[dict[str, float], int]:
    """What people waited and what it cost, and how many were never acknowledged."""
    limits = {"USER_WAITING": "10000", "GUILD_WAITING": "100000"}
    async with Discord() as discord, RealBot(discord, folder, **limits) as bot:
        await discord.until(lambda: "imagine" in discord.commands)
        first = imagine(discord, 0, "a red house --steps 2")
        [shown] = await answered(discord, [first])
        buttons = [one.custom_id for one in items_of(shown) if one.custom_id and not one.is_menu]
        asked, before, began = list[Interaction](), bot.cpu_seconds, time.monotonic()
        for number in range(round(PACE * seconds)):  # each when its time has come, whatever the bot does
            await asyncio.sleep(max(0.0, began + number / PACE - time.monotonic()))
            user = number // 3 % CROWD
            if number % 3 == 0:
                asked.append(imagine(discord, user, f"a red house {number}"))
            elif number % 3 == 1:
                asked.append(discord.slash("queue mine", GUILD + 1 + user % 20, 50_000 + user))
            else:
                asked.append(discord.press(shown, buttons[number % len(buttons)], 50_000 + user))
        with suppress(TimeoutError):
            await discord.until(lambda: all(made.acknowledged for made in asked), NEVER)
        cost = 1000 * (bot.cpu_seconds - before) / len(asked)
        drawn = sum(1 for made in asked if made.kind == 2 and _finished(made))
    waited = [1000 * (made.acknowledged - made.sent if made.acknowledged else NEVER) for made in asked]
    values = {
        "median": statistics.median(waited),
        "99th percentile": quantile(waited, 0.99),
        "99.9th percentile": quantile(waited, 0.999),
        "longest": max(waited),
        "bot, of a core": cost,
        "jobs drawn meanwhile": float(drawn),
    }
    return values, sum(made.acknowledged is None for made in asked)


SERVING_TAX_JOBS, STEPS = 8, 12
ACROSS = {
    "bare loop": "requests a minute, bare loop",
    "with PNG": "… that saves its pictures as PNG",
    "bot": "requests a minute, bot",
}


def measure_serving_tax(options: Options) -> Result:
    """One bot and one loop, taking turns on the same requests; the grids that Discord got must be the loop's
    pictures."""
    return asyncio.run(_measure(options))


async def _measure(options: Options) -> Result:
    jobs = max(2, round(SERVING_TAX_JOBS * options.scale))
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
        Chart("requests a minute", {words: rates[name] for name, words in ACROSS.items()}),
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


PARTS = {  # what a worker does before it is ready, in its order
    "Python, our modules": "import vision.worker.main",
    "torch": "import torch",
    "diffusers, transformers": "import diffusers.utils.torch_utils, transformers, vision.store",
    "the model family's pipelines": (
        "from diffusers import StableDiffusionPipeline, StableDiffusionImg2ImgPipeline,"
        " StableDiffusionInpaintPipeline"
    ),
}


def measure_start(options: Options) -> Result:
    """The bot connects to a Discord on loopback; somebody types /imagine at once, as a newcomer does."""
    times: dict[str, list[float]] = {}
    for repeat in range(options.repeats):
        folder = options.folder / str(repeat)
        folder.mkdir()
        for name, seconds in {**asyncio.run(_first_picture(folder)), **_page(folder), **_parts()}.items():
            times.setdefault(name, []).append(seconds)
    counted = {
        "first picture: all processes": ("s", "CPU", Goal(at_most=11)),
        "memory: bot": ("MB", "count", Goal(at_most=160)),
        "memory: worker, readers of pictures": ("MB", "count", Goal(at_most=900)),
    }
    usual = {name: ("s", "CPU" if name.startswith("import") else "wall", None) for name in times}
    figures = tuple(Figure(name, tuple(times[name]), *how) for name, how in {**usual, **counted}.items())
    times = {name: values for name, values in times.items() if not name.startswith("memory")}
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
        Chart("seconds", series),
        notes,
    )


async def _first_picture(folder) -> dict[str, float]:
    """Seconds from the start of the process; a worker's from its own start."""
    async with Discord() as discord, RealBot(discord, folder) as bot:
        await discord.until(lambda: "imagine" in discord.commands)
        connected = time.monotonic() - bot.started
        (message,) = await answered(discord, [imagine(discord, 0, "a red house in the snow --seed 1")])
        (ready,) = re.findall(r"worker for cpu .* ready in ([\d.]+) s", bot.log)
        seconds, memory = _used(bot)
        return {
            "bot: connected": connected,
            "bot: first picture": finished_at(message) - bot.started,
            "worker: ready": float(ready),
            "first picture: all processes": seconds,
            "memory: bot": memory[0],
            "memory: worker, readers of pictures": sum(memory[1:]),
        }


def _used(bot: RealBot) -> tuple[float, list[float]]:
    """CPU seconds of the bot and all its processes, those that have ended too, and MB of each that lives, the
    bot first; of pages that several share each has its part."""
    own = psutil.Process(bot.process.pid)
    seconds, memory = 0.0, []
    for one in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:4])
            memory.append(one.memory_full_info().pss / 1e6)
    return seconds, memory


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


ROWS = {
    "event_loop": Row(
        "Event loop: longest stall with cold import, model load, 4 results, 100 interactions",
        "the same bot with its worker in a thread, as many bots have it",
        measure_event_loop,
    ),
    "interactions": Row(
        "Interactions: 50 a second by 100 people (imagine, queue, presses) beside a worker that draws",
        "nothing; stated",
        measure_interactions,
    ),
    "serving_tax": Row(
        "Serving tax: the bot's throughput on the demo model",
        (
            "the diffusers pipeline in a bare loop, one request of four pictures after another, the "
            "pictures neither saved nor shown to anybody"
        ),
        measure_serving_tax,
    ),
    "start": Row(
        "Start: the bot's process to its first picture, a worker to ready",
        "nothing; stated, with where the time goes",
        measure_start,
    ),
}
