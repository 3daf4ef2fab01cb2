"""One connection to Discord after the other, until it is enough."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.discord_api.session import KeptSessions
from bot.gateway import AT_ONCE, BudgetSpent, Connections, Serving
from core.errors import AtelierError
from core.settings import load_settings
from tests.wire.discord import TOKEN


class _Client:
    """As much of a client as serving needs. ``start`` runs ``ending`` for how it ends."""

    def __init__(self, ending: Callable[[], Any], steps: list[str]) -> None:
        self._ending, self._steps = ending, steps
        self._closed = asyncio.Event()
        self.delivery = self
        self.is_connected = True

    async def __aenter__(self) -> _Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def start(self, token: str) -> None:
        assert token == TOKEN
        self._steps.append("start")
        self._ending()
        await self._closed.wait()

    async def close(self) -> None:
        self._steps.append("close")
        self._closed.set()

    async def stop(self, grace: float) -> None:
        self._steps.append("stop the queue")


class _Serving:
    """``endings``: how one connection after the other ends."""

    def __init__(self, folder: Path, *endings: Callable[[], Any]) -> None:
        self.steps: list[str] = []
        clients = iter([_Client(ending, self.steps) for ending in endings])
        queue: Any = _Client(lambda: None, self.steps)
        settings = load_settings({"DISCORD_TOKEN": TOKEN}, folder / "none.env")
        self.connections = Connections(folder / "connections.json")
        self.serving = Serving(
            lambda: next(clients),  # type: ignore[arg-type,return-value]
            lambda client: nullcontext(),
            self.connections,
            KeptSessions(folder / "gateway-session", TOKEN, 1),
            queue,
            settings,
        )


def _raise(error: Exception) -> Callable[[], None]:
    def ending() -> None:
        raise error

    return ending


async def test_a_connection_that_fails_is_followed_by_another_until_stopped(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    unreadable = json.JSONDecodeError("Expecting value", "", 0)
    failing = map(_raise, (OSError("no route"), AttributeError("sequence"), unreadable))
    made = _Serving(tmp_path, *failing, stopping.set)
    async with asyncio.timeout(20):
        await made.serving.until(stopping)
    assert made.steps == [*4 * ["start"], "stop the queue", "close", "close"]


async def test_it_is_connected_as_long_as_its_client_is(tmp_path: Path) -> None:
    stopping, seen = asyncio.Event(), list[bool]()

    def ending() -> None:
        seen.append(made.serving.connected)
        stopping.set()

    made = _Serving(tmp_path, ending)
    assert not made.serving.connected
    async with asyncio.timeout(20):
        await made.serving.until(stopping)
    assert seen == [True] and not made.serving.connected


@pytest.mark.parametrize(
    ("error", "said"),
    [(discord.LoginFailure("x"), "DISCORD_TOKEN"), (discord.PrivilegedIntentsRequired(None), "intents")],
)
async def test_what_discord_refuses_for_good_ends_it(tmp_path: Path, error: Exception, said: str) -> None:
    made = _Serving(tmp_path, _raise(error))
    with pytest.raises(AtelierError, match=said):
        await made.serving.until(asyncio.Event())


async def test_a_stop_during_a_pause_is_not_waited_for(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    made = _Serving(tmp_path)
    times = [time.time()] * AT_ONCE
    (tmp_path / "connections.json").write_text(json.dumps(times))
    assert made.connections.pause() > 60
    asyncio.get_running_loop().call_later(0.05, stopping.set)
    async with asyncio.timeout(5):
        await made.serving.until(stopping)
    assert made.steps == []


async def test_a_session_to_resume_is_not_kept_waiting_by_the_budget_of_identifies(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    made = _Serving(tmp_path, stopping.set)
    (tmp_path / "connections.json").write_text(json.dumps([time.time()] * AT_ONCE))
    session = KeptSessions(tmp_path / "gateway-session", TOKEN, 1)
    ready = {"session_id": "s", "resume_gateway_url": "wss://x", "user": {"id": "1"}, "shard": [0, 1]}
    session.receive(0, 1, "READY", ready, lambda ready: None)
    async with asyncio.timeout(5):
        await made.serving.until(stopping)
    assert made.steps[0] == "start"


async def test_an_identify_that_has_to_wait_is_made_by_a_later_connection(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    made = _Serving(tmp_path, _raise(BudgetSpent("x")), stopping.set)
    async with asyncio.timeout(10):
        await made.serving.until(stopping)
    assert made.steps[:2] == ["start", "start"]
