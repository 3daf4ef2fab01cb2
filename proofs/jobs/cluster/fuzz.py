"""Random and changed messages to a bot and an agent, each with a run in hand:
``python -m proofs.jobs.cluster.fuzz --count 1000000``.

No server is between them: what it would hand over is handed over here. Counted are messages, those that could
be read, and those that made something raise, which none may.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from core.errors import BusAway, WireError
from core.events import Output, Picture
from jobs.cluster import protocol
from jobs.cluster.executor import BusExecutor
from jobs.cluster.file_transfer import FileFetcher
from jobs.cluster.nats import MESSAGE_MOST, VERSION, Message, decode_message, encode_message
from jobs.cluster.protocol import Timing
from jobs.cluster.remote_worker import Identity, RemoteWorker
from jobs.executors.base import Device
from storage.blobs.local import Cache
from tests.jobs.hand_executor import HandExecutor
from vision.protocol import Broke, Embed, Fault, LoadingModel, Run, Step, Talk, Turn

TOKEN, SHA = "0a" * 16, "5c" * 32


@dataclass
class Figures:
    """crashes: what handlers raised."""

    sent: int = 0
    read: int = 0
    crashes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.sent:,} messages, {self.read:,} could be read, {len(self.crashes)} crashes"


class Line:
    """A bus without a server: notes who listens."""

    is_up, most = True, MESSAGE_MOST

    def __init__(self) -> None:
        self.takers: dict[str, tuple[Any, Callable[..., Any], int, Any]] = {}
        self.answers: dict[str, Message] = {}

    def watch(self, changed: Callable[[], None]) -> None:
        pass

    async def publish(self, subject: str, message: Message) -> bool:
        encode_message(message)
        return True

    async def answers_within(self, patience: float) -> bool:
        return True

    async def request(self, subject: str, message: Message, kind: Any, *, patience: float) -> Any:
        encode_message(message)
        await asyncio.sleep(0)
        if isinstance(message, protocol.Order):
            return protocol.Taken(True)
        if isinstance(message, protocol.Fetch):
            return protocol.Piece(-1)
        raise BusAway("nobody")

    async def listen(
        self, subject: str, kind: Any, hear: Any, *, most: int = MESSAGE_MOST, unread: Any = None
    ) -> Any:
        self.takers[subject] = kind, hear, most, unread
        return self.end

    async def serve(
        self, subject: str, kind: Any, answer: Any, *, most: int = MESSAGE_MOST, at_once: int = 0
    ) -> Any:
        self.takers[subject] = kind, answer, most, None
        return self.end

    async def end(self) -> None:
        pass


def samples() -> dict[str, list[Message]]:
    """Good messages by subject, for the run that both have and for others."""
    picture = Picture(b"png", "image/png", 2, 2, 7)
    device = Device("cpu", "ready", "a card", 2**30, 4, 1)
    done = Output((picture,) * 2, picture, ("a",), (("cat", 0.5),), {"model": "m", "notes": []})
    turn = Turn("user", "what is it", (SHA,), "job", (1.0,), 2.0)
    order = protocol.Order(
        TOKEN, "0b" * 16, "another", "cpu", "imagine", '{"prompt":"x"}', {}, "d", "k", Talk((turn,))
    )
    with_files = msgspec.structs.replace(order, token="0c" * 16, files={SHA: "png"}, folder={"a.json": SHA})
    return {
        "beat.h1": [
            protocol.Beat(TOKEN, (device,), (protocol.Holding("job", TOKEN, "cpu", "d", 1, 2),), "", "1", 1.5)
        ],
        "job.job": [
            protocol.News(TOKEN, step=Step("job", 1, 3, b"jpeg", (0, 0, 1, 1), "text")),
            protocol.News(TOKEN, loading=LoadingModel("job", "m", 0.5)),
        ],
        "done.h1": [
            protocol.Final(TOKEN, "job", broke=Broke("job", Fault.ERROR, "no")),
            protocol.Final("0d" * 16, "job", done=done, sent=("", "", SHA)),
        ],
        "file.h1": [protocol.Fetch(TOKEN, SHA, 0)],
        "put.h1": [protocol.Put(TOKEN, SHA, 100, 0, b"some"), protocol.Put(TOKEN, SHA, 100, 4, b"more")],
        "run.h1": [order, with_files],
        "stop.h1": [protocol.StopRun(TOKEN)],
        "hold.h1": [protocol.Hold(TOKEN, (TOKEN,), ()), protocol.Hold(TOKEN, (), (TOKEN,))],
        "ask.h1": [
            protocol.Ask(TOKEN, {SHA: "png"}, embed=Embed("q", "m", ("words",), (SHA,))),
            protocol.Ask(TOKEN, {}),
        ],
        "forget": [protocol.ForgetAll(("job", SHA, "../../etc"))],
    }


def changed(chance: random.Random, message: Message) -> bytes:
    """A message of random bytes, or a good one that was changed in bytes or in fields."""
    way = chance.random()
    if way < 0.15:
        return bytes((VERSION,)) * (way < 0.1) + chance.randbytes(chance.randrange(0, 200))
    data = encode_message(message)
    if way < 0.6:
        spoilt = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        return bytes(spoilt[: chance.randrange(len(spoilt)) if way < 0.25 else len(spoilt)])
    fields = msgspec.msgpack.decode(data[1:])
    for _ in range(chance.randrange(0, 3)):
        name = chance.choice([*fields, "more"])
        fields[name] = chance.choice(
            (
                None,
                -1,
                2**63,
                1e308,
                float("nan"),
                "",
                "x" * 300,
                "../x",
                [],
                {},
                [[]] * 3,
                TOKEN,
                SHA,
                True,
                b"b",
            )
        )
    return bytes((VERSION,)) + msgspec.msgpack.encode(fields)


async def measure(count: int, seed: int = 0) -> Figures:
    """Send so many messages."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        return await _measure(count, random.Random(seed), Path(name))


async def _measure(count: int, chance: random.Random, folder: Path) -> Figures:
    line: Any = Line()
    line.answers = line.answers_within
    bot = BusExecutor(line, folder / "scratch")
    fetching = FileFetcher(line, "h1", Cache(folder / "cache", most=10**8), None)
    worker, timing = HandExecutor({"cpu": 4}), Timing(last_words=0.1)
    agent = RemoteWorker(line, Identity("h1"), worker, fetching, folder / "jobs", timing=timing)
    await bot.start(lambda: None)
    await agent.start()
    known = samples()
    order = msgspec.structs.replace(known["run.h1"][0], token=TOKEN, job_id="job")
    await line.takers["run.h1"][1](order, "run.h1")
    line.takers["beat.*"][1](known["beat.h1"][0], "beat.h1")
    run = asyncio.create_task(
        bot.run("h1/cpu", Run("job", "imagine", "{}", token=TOKEN), lambda message: None)
    )
    await asyncio.sleep(0.05)
    figures, subjects = Figures(), list(known)
    for number in range(count):
        subject = chance.choice(subjects)
        kind, deal, most, unread = line.takers.get(subject) or line.takers[f"{subject.partition('.')[0]}.*"]
        data = changed(chance, chance.choice(known[subject]))
        figures.sent += 1
        try:
            message = decode_message(data, kind, most)
        except WireError as error:
            if unread is not None:
                unread(error, subject)
            continue
        figures.read += 1
        try:
            said: Awaitable[Message | None] | None = deal(message, subject)
            if said is not None and (answer := await said) is not None:
                encode_message(answer)
        except Exception as error:
            figures.crashes.append(f"{subject}: {type(error).__name__}: {error}")
        if number % 200 == 0:
            await asyncio.sleep(0)
            for work in list(agent.runs):  # so many may not gather
                if work.order.token != TOKEN:
                    work.task.cancel()
    run.cancel()
    for job_id in [one for one, held in worker.held.items() if held.outcome.done()]:
        del worker.held[job_id]
    await agent.stop(0)
    await bot.stop()
    await asyncio.gather(run, return_exceptions=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures = asyncio.run(measure(arguments.count, arguments.seed))
    print(figures, *figures.crashes[:10], sep="\n")
    raise SystemExit(bool(figures.crashes))


if __name__ == "__main__":
    main()
