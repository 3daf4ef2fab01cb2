"""How much there is to do, told to a launcher of workers that asks over the bus. Whoever starts the jobs
answers; what waits is counted, never named."""

from __future__ import annotations

import asyncio

from bus.connection import Bus
from bus.messages import Message
from jobs.agents.wire import SMALL
from jobs.executor import SEPARATOR
from jobs.queue import Queue

SUBJECT = "queue.load"


class AskLoad(Message, frozen=True):
    """Asks for a Load."""


class Machine(Message, frozen=True):
    """A machine with an agent. ready: a device of it takes jobs. running: jobs."""

    name: str
    ready: bool
    running: int


class Load(Message, frozen=True):
    """The queue now. waiting: jobs that no device has yet. paused: none is started."""

    waiting: int
    paused: bool
    machines: tuple[Machine, ...]


async def answer_for_ever(bus: Bus, queue: Queue) -> None:
    """Answer whoever asks, until this is cancelled."""

    async def answer(asked: AskLoad, subject: str) -> Load:
        return load_of(queue)

    end = await bus.serve(SUBJECT, AskLoad, answer, most=SMALL)
    try:
        await asyncio.Event().wait()
    finally:
        await end()


def load_of(queue: Queue) -> Load:
    """Return how the queue stands, and the machines that the bus tells of."""
    ready, running = dict[str, bool](), dict[str, int]()
    for device in queue.executor.devices:
        name, elsewhere, _ = device.name.partition(SEPARATOR)
        if elsewhere:
            ready[name] = ready.get(name, False) or device.state == "ready"
            running[name] = running.get(name, 0) + device.running
    machines = tuple(Machine(name, ready[name], running[name]) for name in ready)
    return Load(queue.health().waiting, queue.paused, machines)
