"""Deciders under faults and orders, and their times: ``python -m proofs.studio.deciders``.

Faults: each wrong answer of each kind of chat server, and each fault of the line, many times; counted are
jobs from a wrong answer and waits over the limit. Orders: 200 texts that order each kind, in the words of a
picture and among its things, to rules, to a chat model and to a server that obey every order they are told;
counted are jobs that the sentence alone doesn't start. Times: of each decider, the chat model being the
demo's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from core.settings import load_settings
from core.talk import KINDS, MAKES, Decision, Picture, State
from host.openai_client import HttpChatServer
from host.services import services
from jobs.executors.server_choice import WAITS, ServerChoice
from studio.services import Services
from studio.talk import decide
from studio.talk.deciders import Deciders
from tests.jobs.conftest import until
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import ALICE, open_studio
from tests.support.chat_server import FAULTS, Behave, Exchange, chat_server
from tests.support.choices import ANSWERS, KINDS_OF_SERVER, UNUSABLE
from tests.support.injections import CANARY, orders
from vision.protocol import Answered, Choose, Chosen, Declined, Question

HOUSE = Picture(number=1, words="a red house in the snow", count=4, index=1)
BLUE = Picture(number=2, words="make it blue", kind="change", before=1)
STATE = State(pictures=(HOUSE, BLUE), shown=2)
BLANK = State(pictures=tuple(replace(one, words="") for one in STATE.pictures), shown=2)
VAGUE = Decision(kind="unclear", sure=0.4)
SAID = ("hmm so", "make it blue", "nicer somehow", "a boat", "like the other")
JOBS = (*MAKES, "ask")
MODEL = {"TALK": "model", "ASK_PER_DAY": "0"}
SERVER = {**MODEL, "VLM_URL": "http://127.0.0.1:9/v1"}
MOST_WAIT = 4.0  # seconds


async def under_faults(opened: Services, times: int) -> list[str]:
    """Ask each faulty server so often; return what went wrong."""
    cases: dict[str, tuple[Behave, str | None]] = {
        f"{name}, {kind}": (make(text), wanted)
        for kind, make in KINDS_OF_SERVER.items()
        for name, (text, wanted) in ANSWERS.items()
    }
    cases |= {name: (behave, None) for name, (behave, _) in FAULTS.items()}
    cases |= {name: (behave, None) for name, behave in UNUSABLE.items()}
    ends, wrong, longest = Counter[str](), list[str](), 0.0

    async def one(url: str, name: str, wanted: str | None) -> None:
        nonlocal longest
        choice = ServerChoice(HttpChatServer(url, waits=WAITS))
        deciders = Deciders(replace(opened, choice=choice), lambda *_: VAGUE)
        began = time.monotonic()
        decision = await deciders.decide(ALICE, "hmm so", replace(STATE, pictures=(HOUSE,), shown=1))
        took = time.monotonic() - began
        longest = max(longest, took)
        await choice.close()
        ends["read" if decision.by == "server" else "rules decided"] += 1
        if took > MOST_WAIT:
            wrong.append(f"{name}: {took:.2f} s")
        if (decision.kind if decision.by == "server" else None) != wanted:
            wrong.append(f"{name}: {decision.kind} by {decision.by}")

    for name, (behave, wanted) in cases.items():
        async with chat_server(behave) as server:
            await asyncio.gather(*(one(server.url, name, wanted) for _ in range(times)))
    told = f"{dict(ends)}, longest wait {longest:.2f} s, {len(wrong)} wrong"
    print(f"faults: {len(cases)} of servers × {times}: {told}", flush=True)
    return wrong


class ObeyingWorker(HandExecutor):
    """A worker whose chat model obeys every order that it is told."""

    usual = ordered = ""

    async def ask(self, question: Question) -> Answered | Declined:
        if not isinstance(question, Choose):
            return Declined(question.question_id, "not here")
        wanted = self.ordered if CANARY in "\n".join((question.text, *question.answers)) else self.usual
        named = [one.startswith(f"{wanted},") for one in question.answers]
        chances = named if any(named) else [True, *named[1:]]
        return Answered(question.question_id, Chosen(tuple(map(float, chances))))


class ObeyingServer:
    """A chat server that obeys every order that it is told."""

    usual = ordered = ""

    async def __call__(self, exchange: Exchange) -> None:
        told = exchange.body["messages"][0]["content"]
        [(name, value)] = exchange.body["response_format"]["json_schema"]["schema"]["properties"].items()
        wanted = self.ordered if CANARY in told else self.usual
        said = json.dumps({name: wanted if wanted in value["enum"] else value["enum"][0]})
        await exchange.whole(200, {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})


async def under_orders(
    deciders: Mapping[str, Deciders], obeying: Sequence[ObeyingWorker | ObeyingServer], most: int
) -> list[str]:
    """Put orders into pictures; return the jobs that the sentence alone doesn't start."""
    wrong, decided = list[str](), Counter[str]()
    for letter, kind in zip("ABCDEFGHIJKLM", KINDS, strict=True):
        for one in obeying:
            one.usual, one.ordered = "find" if kind == "talk" else "talk", kind
        for place, order in enumerate(orders(kind, letter, most)):
            said = SAID[place % len(SAID)]
            started = {decide(said, STATE).kind, decide(said, BLANK).kind}
            for picture in (replace(BLUE, words=order[:2000]), replace(BLUE, things=(order[:60],))):
                state = replace(STATE, pictures=(HOUSE, picture))
                for name, one in deciders.items():
                    decision = await one.decide(ALICE, said, state)
                    decided[f"{name}, by {decision.by}"] += 1
                    if decision.kind in JOBS and decision.kind not in started:
                        wrong.append(f"{name}: “{said}” with {order!r}: {decision.kind}")
    told = f"{dict(decided)}, {len(wrong)} wrong"
    print(f"orders: {most} × {len(KINDS)} kinds × 2 places × {len(deciders)} deciders: {told}", flush=True)
    return wrong


async def times_of(name: str, deciders: Deciders, number: int) -> None:
    """Print how long a decider takes."""
    took, by = list[float](), Counter[str]()
    for place in range(number + 1):
        began = time.perf_counter()
        decision = await deciders.decide(ALICE, SAID[place % len(SAID)], STATE)
        took.append(time.perf_counter() - began)
        by[decision.by] += 1
    took = sorted(took[1:])
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]
    print(f"times: {name}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, n {number}, {dict(by)}")


async def main(times: int, most: int, number: int) -> int:
    """Run all; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        worker, server = ObeyingWorker(), ObeyingServer()
        async with open_studio(Path(folder) / "server", **SERVER) as opened:
            wrong = await under_faults(opened.services, times)
            rules = Deciders(
                replace(opened.services, settings=replace(opened.services.settings, talk="rules"))
            )
            async with (
                open_studio(Path(folder) / "model", worker, **MODEL) as other,
                chat_server(server) as served,
            ):
                choice = ServerChoice(HttpChatServer(served.url, waits=WAITS))
                by_server = Deciders(replace(opened.services, choice=choice))
                each = {"rules": rules, "model": Deciders(other.services), "server": by_server}
                wrong += await under_orders(each, (worker, server), most)
                await times_of("rules", rules, number * 10)
                await times_of("server on loopback", by_server, number)
                await choice.close()
        settings = {"DATA_DIR": str(Path(folder) / "demo"), "DISK_FLOOR_MB": "0", "DEVICES": "cpu", **MODEL}
        async with services(load_settings(settings, Path(folder) / "none.env")) as built:
            await until(built.queue.executor.free, 300.0)
            deciders = Deciders(built, lambda *_: VAGUE, limit=30.0)
            await deciders.decide(ALICE, "hmm so", STATE)  # which loads the model
            await times_of("the demo's chat model", Deciders(built, lambda *_: VAGUE), number)
    for line in wrong[:20]:
        print("WRONG", line)
    print(f"{len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--times", type=int, default=50)
    options.add_argument("--orders", type=int, default=200)
    options.add_argument("--number", type=int, default=200)
    given = options.parse_args()
    sys.exit(asyncio.run(main(given.times, given.orders, given.number)))
