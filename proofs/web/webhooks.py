"""What webhooks hear: all events reach a server that fails in twelve ways, each once; no forbidden
address is connected to; and kills of the process that sends lose nothing. ``python -m proofs.web.webhooks
[--events 5000] [--tries 500] [--kills 20]``. Exit status 1 when something is lost, doubled or let through."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from core.errors import UserError
from core.outside import Hosts, Unanswered
from host.outside_client import Outgoing
from storage.schema import audit, events, webhooks
from studio import webhooks as sending
from studio.authority import Actor
from tests.studio.conftest import Opened, open_studio

SETTINGS = {"WEBHOOK_HOSTS": "127.0.0.1", "WEB_PORT": "8080"}
YOU = Actor(7, None, name="somebody")
KINDS = ("queue.paused", "queue.resumed")
WAYS = (
    "500",
    "429",
    "410",
    "no answer",
    "slow drip",
    "reset",
    "redirect",
    "endless body",
    "bad TLS",
    "not HTTP",
    "closed before headers",
    "never reads",
)
NEVER = {"410", "bad TLS"}  # ways that don't pass by themselves
OFTEN = 0.4  # of the tries fail
PATIENCE = 0.3  # seconds for a call in this proof
QUICK = dict(EVERY=0.02, PAUSES=10 * (timedelta(milliseconds=10),))


class Receiver:
    """A server that fails. took: how often it said 200 to each event, by way."""

    def __init__(self) -> None:
        self.took: dict[str, Counter[str]] = {way: Counter() for way in WAYS}
        self.failed, self.elsewhere, self.well = Counter[str](), 0, False
        self._random = random.Random(50)
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == b"\x16":  # TLS is spoken to a server that has none
            self.failed["bad TLS"] += 1
            writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
            return
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        if " /elsewhere" in head:
            self.elsewhere += 1
            return
        way = WAYS[int(head.split()[1].strip("/"))]
        named = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        if not self.well and (way in NEVER or self._random.random() < OFTEN):
            self.failed[way] += 1
            await self._fail(way, writer)
            return
        await reader.readexactly(int(named["content-length"]))
        self.took[way][named["webhook-id"]] += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def _fail(self, way: str, writer: asyncio.StreamWriter) -> None:
        match way:
            case "500" | "410":
                writer.write(f"HTTP/1.1 {way} No\r\nContent-Length: 0\r\n\r\n".encode())
            case "429":
                writer.write(b"HTTP/1.1 429 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
            case "redirect":
                writer.write(b"HTTP/1.1 307 There\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
            case "endless body":
                writer.write(b"HTTP/1.1 500 No\r\n\r\n")
                while not writer.is_closing():
                    writer.write(bytes(65536))
                    await writer.drain()
            case "slow drip":
                for letter in b"HTTP/1.1 200 OK\r\n":
                    writer.write(bytes([letter]))
                    await writer.drain()
                    await asyncio.sleep(PATIENCE / 5)
            case "not HTTP":
                writer.write(b"\x00\xff hello\r\n\r\n")
            case "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            case "no answer" | "never reads":
                if way == "never reads":
                    writer.transport.pause_reading()
                await asyncio.sleep(3 * PATIENCE)


async def make(opened: Opened, url: str) -> str:
    token, _secret = await opened.studio.programs.create(YOU, "a script", ["look"])
    return (await opened.studio.webhooks.create(YOU, url, KINDS, token=token.id)).id


async def change(opened: Opened) -> None:
    """Pause the queue, or let it go on."""
    queue = opened.services.queue
    await (queue.resume(7) if queue.dispatcher.waitlist.paused else queue.pause(7))


async def read(opened: Opened, what: sa.Select[Any]) -> list[Any]:
    return list(await opened.services.database.read(lambda connection: connection.execute(what).all()))


async def drained(opened: Opened, ids: list[str]) -> None:
    """Wait until these webhooks have been sent all; continue those that rested too long."""
    left = sa.select(sa.func.count()).where(events.c.webhook_id.in_(ids))
    while (await read(opened, sa.select(left.scalar_subquery())))[0][0]:
        paused = sa.select(webhooks.c.id).where(webhooks.c.id.in_(ids), webhooks.c.paused_at.is_not(None))
        for (one,) in await read(opened, paused):
            await opened.studio.webhooks.resume(YOU, one)
        await asyncio.sleep(0.1)


async def deliver(folder: Path, count: int) -> list[str]:
    """Tell of ``count`` events and return what went wrong."""
    receiver, each = Receiver(), -(-count // len(WAYS))
    began = time.monotonic()
    async with open_studio(folder, **SETTINGS) as opened, receiver.listening():
        posting = Outgoing(Hosts.of(("127.0.0.1",)), PATIENCE)
        opened.studio.webhooks._sending._posting = posting
        ids = {}
        for number, way in enumerate(WAYS):
            scheme = "https" if way == "bad TLS" else "http"
            ids[way] = await make(opened, f"{scheme}://127.0.0.1:{receiver.port}/{number}")
        async with opened.studio.webhooks.running():
            for _ in range(each):
                await change(opened)
            await drained(opened, [ids[way] for way in WAYS if way not in NEVER])
            never = {ids[way] for way in NEVER}
            while not all(one.paused_at for one in await told(opened) if one.id in never):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            kept = {way: one for one in await told(opened) for way in NEVER if one.id == ids[way]}
            receiver.well = True
            await drained(opened, [ids["410"]])
    wrong = []
    for way in WAYS:
        took = receiver.took[way]
        if way == "bad TLS":
            one = kept[way]
            fine = one.waiting + one.lost == each and one.answer == "certificate"
            said = f"{one.waiting + one.lost} kept, none delivered; paused, told as: {one.answer}"
        else:
            fine = len(took) == each and set(took.values()) == {1}
            said = f"{len(took)} delivered, {sum(took.values()) - len(took)} doubled"
        if way == "410":
            fine = (
                fine
                and kept[way].waiting + kept[way].lost == each
                and receiver.failed[way] <= sending.AT_ONCE
            )
            said += f" after Continue; {receiver.failed[way]} calls before"
        print(f"{way:>22}: {said}; {receiver.failed[way]} failed calls", flush=True)
        wrong += [] if fine else [f"{way}: {said}"]
    wrong += ["a redirect was followed"] if receiver.elsewhere else []
    print(f"{each * len(WAYS):,} events in {time.monotonic() - began:.0f} s, {len(wrong)} wrong")
    return wrong


async def told(opened: Opened) -> list[Any]:
    """The webhooks as their person sees them."""
    return await opened.studio.webhooks.all(YOU)


def forbidden(chance: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Addresses that may not be connected to: a URL, and what its name leads to."""

    def inside() -> str:
        start, bits = chance.choice(
            [
                ("10.0.0.0", 24),
                ("127.0.0.0", 24),
                ("169.254.0.0", 16),
                ("172.16.0.0", 20),
                ("192.168.0.0", 16),
                ("100.64.0.0", 22),
                ("0.0.0.0", 24),
                ("224.0.0.0", 28),
                ("240.0.0.0", 28),
                ("198.18.0.0", 17),
            ]
        )
        return str(IPv4Address(int(IPv4Address(start)) + chance.getrandbits(bits)))

    while True:
        four, port = inside(), chance.choice(("", ":8443"))
        number = int(IPv4Address(four))
        six = chance.choice(
            (
                IPv6Address(0xFFFF << 32 | number),
                IPv6Address(0x64FF9B << 96 | number),
                IPv6Address(0x2002 << 112 | number << 80),
                IPv6Address(0xFE80 << 112 | number),
                IPv6Address(0xFC00 << 112 | number),
                IPv6Address(1),
                IPv6Address(0x20010000 << 96 | number),
            )
        )
        way = chance.randrange(9)
        if way < 3:  # a name that leads inside, alone or beside another
            yield f"https://hooks.example.org{port}/", [[four], [str(six)], [str(six), four]][way]
        else:
            host = (four, f"[{six}]", str(number), hex(number), f"user@{four}", f"0{four}")[way - 3]
            yield f"{chance.choice(('https', 'http'))}://{host}{port}/", [four]


async def try_forbidden(count: int) -> list[str]:
    """Try ``count`` addresses with every host of the internet allowed, and return connections made."""
    made, active = list[str](), True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event == "socket.connect":
            made.append(str(arguments[1]))

    sys.addaudithook(hear)
    with contextlib.suppress(Unanswered):  # an address that is allowed, so that a blind hook is noticed
        await Outgoing(Hosts.of(("127.0.0.1",)), PATIENCE).post("http://127.0.0.1:9/", b"{}", {})
    if not made:
        return ["a connection wasn't noticed"]
    made.clear()
    why, posting = Counter[str](), Outgoing(Hosts.of(("public", "hooks.example.org")), PATIENCE)
    for _, (url, leads) in zip(range(count), forbidden(random.Random(49)), strict=False):

        def found(_host: Any, port: Any, *_: Any, leads: list[str] = leads, **__: Any) -> list[Any]:
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
                if ":" in one
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
                for one in leads
            ]

        with mock.patch.object(socket, "getaddrinfo", found):
            try:
                why[f"answer {(await posting.post(url, b'{}', {})).status}"] += 1
                made.append(url)
            except UserError:
                why["refused by its text"] += 1
            except Unanswered as nothing:
                why[f"stopped as the socket was made ({nothing.why})"] += 1
    active = False
    print(f"{count} forbidden addresses: {len(made)} connections; {dict(why)}")
    return made


async def live(folder: Path, url: str, drain: bool) -> None:
    """Be a process that changes and sends until it is killed, or only sends until all is taken."""
    async with open_studio(folder, **SETTINGS) as opened:
        found = await told(opened)
        ids = [one.id for one in found] or [await make(opened, url)]
        async with opened.studio.webhooks.running():
            print("open", flush=True)
            if drain:
                await drained(opened, ids)
                rows = await read(opened, sa.select(sa.func.count()).select_from(audit))
                print(json.dumps(rows[0][0]), flush=True)
                return
            while True:
                await change(opened)


async def kill(folder: Path, count: int) -> list[str]:
    """Kill a process ``count`` times, and return what its receiver didn't hear of."""
    receiver, chance = Receiver(), random.Random(47)
    receiver.well = True
    async with receiver.listening():
        life = [sys.executable, "-m", __spec__.name, "--life", str(folder)]
        life.append(f"http://127.0.0.1:{receiver.port}/0")
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(*life, stdout=subprocess.PIPE)
            assert process.stdout is not None
            await process.stdout.readline()
            await asyncio.sleep(chance.uniform(0.02, 0.6))
            process.send_signal(signal.SIGKILL)
            await process.wait()
        process = await asyncio.create_subprocess_exec(*life, "--drain", stdout=subprocess.PIPE)
        said, _ = await process.communicate()
    changes, took = int(said.split()[-1]), receiver.took[WAYS[0]]
    print(
        f"{count} kills: {changes} changes, {len(took)} told, {changes - len(took)} lost; "
        f"{sum(took.values()) - len(took)} told twice by the same id"
    )
    return [] if changes == len(took) and took else [f"{changes - len(took)} lost"]


async def prove(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        wrong = await deliver(Path(first), given.events)
        wrong += await kill(Path(second), given.kills)
        wrong += await try_forbidden(given.tries)
    print("\n".join(wrong) or "nothing wrong")
    return int(bool(wrong))


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, number in (("events", 5000), ("tries", 500), ("kills", 20)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--life", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--drain", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    with mock.patch.multiple(sending, **QUICK):
        if given.life:
            asyncio.run(live(Path(given.life[0]), given.life[1], given.drain))
            return 0
        return asyncio.run(prove(given))


if __name__ == "__main__":
    raise SystemExit(main())
