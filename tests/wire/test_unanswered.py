"""In a crowd everybody is acknowledged before the first job is queued."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from bot.discord_api.interactions import DUE, Unanswered
from bot.submit import Answers


class Response:
    """What an interaction's first answer goes through: held until it is let go."""

    def __init__(self, order: list[str], name: str) -> None:
        self.order, self.name = order, name
        self.go, self.done = asyncio.Event(), False

    def is_done(self) -> bool:
        return self.done

    async def defer(self, **_: Any) -> None:
        await self.go.wait()
        self.done = True
        self.order.append(f"{self.name} acknowledged")


@dataclass(eq=False)
class Pressed:
    response: Response
    id: int = 1
    application_id: int = 2
    token: str = "t"
    extras: dict[str, Any] = field(default_factory=dict)


def _answers() -> Answers:
    pending = SimpleNamespace(kept=lambda note: nullcontext())
    return Answers(SimpleNamespace(), pending, lambda job: None)


async def test_jobs_are_built_when_the_whole_crowd_is_acknowledged() -> None:
    answers, order = _answers(), list[str]()
    crowd = [Pressed(Response(order, name), number) for number, name in enumerate("abc")]

    async def build(name: str) -> Any:
        order.append(f"{name} built")
        raise asyncio.CancelledError  # that was all

    tasks = []
    for pressed in crowd:
        answers.note(pressed)
        tasks.append(asyncio.create_task(answers.ask(pressed, lambda p=pressed: build(p.response.name))))
    for pressed in crowd:
        pressed.response.go.set()
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks, return_exceptions=True)
    acknowledged = [order.index(f"{name} acknowledged") for name in "abc"]
    assert max(acknowledged) < min(order.index(f"{name} built") for name in "abc")


async def test_nobody_waits_long_for_one_who_is_never_answered() -> None:
    now = [0.0]
    unanswered = Unanswered(lambda: now[0])
    unanswered.add(Pressed(Response([], "a")))
    await asyncio.wait_for(unanswered.none_left(patience=0.01), 5)
    assert len(unanswered) == 1
    now[0] = DUE
    await unanswered.none_left(patience=60)
    assert not len(unanswered)


async def test_who_is_answered_elsewhere_is_waited_for_no_more() -> None:
    unanswered = Unanswered()
    pressed = Pressed(Response([], "a"))
    unanswered.add(pressed)
    waiting = asyncio.create_task(unanswered.none_left(patience=60))
    await asyncio.sleep(0)
    pressed.response.done = True
    unanswered.add(Pressed(pressed.response))  # it is answered already
    await asyncio.wait_for(waiting, 5)
    assert not len(unanswered)


async def test_those_who_stood_back_go_on_one_in_a_turn_of_the_loop() -> None:
    unanswered, turn, gone = Unanswered(), 0, list[int]()
    pressed = Pressed(Response([], "a"))
    unanswered.add(pressed)

    async def go_on() -> None:
        await unanswered.none_left(patience=60)
        gone.append(turn)

    tasks = [asyncio.create_task(go_on()) for _ in range(20)]
    await asyncio.sleep(0.01)
    unanswered.answered(pressed)
    while len(gone) < len(tasks):
        await asyncio.sleep(0)
        turn += 1
    assert len(set(gone)) == len(gone), "several in one turn"


async def test_a_press_comes_before_those_who_still_stand_back() -> None:
    unanswered, gone, moved = Unanswered(), list[str](), asyncio.Event()
    first, second = Pressed(Response([], "a")), Pressed(Response([], "b"))
    unanswered.add(first)

    async def go_on() -> None:
        await unanswered.none_left(patience=60)
        gone.append("queued")
        moved.set()

    tasks = [asyncio.create_task(go_on()) for _ in range(3)]
    await asyncio.sleep(0.01)
    unanswered.answered(first)
    await moved.wait()
    unanswered.add(second)
    await asyncio.sleep(0.05)
    assert len(gone) < len(tasks)
    unanswered.answered(second)
    await asyncio.gather(*tasks)
