"""Links that want this machine to fetch something: ``python -m proofs.security.links`` puts each into a
prompt, an option and a message."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from bot.discord_api import http
from core.errors import ImageError

INSIDE = (
    "127.0.0.1",
    "localhost",
    "0.0.0.0",
    "[::1]",
    "169.254.169.254",
    "10.0.0.1",
    "192.168.1.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "127.1",
    "[::ffff:127.0.0.1]",
    "metadata.google.internal",
    "127.0.0.1.nip.io",
    "localtest.me",
    "①②⑦.⓪.⓪.①",
    "[fd00:ec2::254]",
    "printer.local",
)
TRICKS = (
    "https://cdn.discordapp.com@{}/a.png",
    "https://{}#@cdn.discordapp.com/a.png",
    "https://{}/cdn.discordapp.com/a.png",
    "http://{}:22/a.png",
    "https://{}\\@cdn.discordapp.com/a.png",
    "https://cdn.discordapp.com.{}/a.png",
    "//{}/a.png",
    "https:/\\{}/a.png",
    "ftp://{}/a.png",
    "http://user:pass@{}/a.png",
    "https://{}:443/a.png?https://cdn.discordapp.com",
)
PLAIN = (
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "data:image/png;base64,iVBORw0KGgo=",
    "https://cdn.discordapp.com.evil.example/a.png",
    "https://evil.example/https://cdn.discordapp.com/a.png",
    "http://cdn.discordapp.com/a.png",
    "https://cdn.discordapp.com:8443/a.png",
    "https://CDN.discordapp.com.@evil.example/",
    "https://media.discordapp.net.evil.example/a.png",
    "https://cdn。discordapp。com.evil.example/",
)


def corpus() -> list[str]:
    """200 links or more, each to somewhere that isn't Discord's file servers."""
    return [*PLAIN, *(trick.format(inside) for trick in TRICKS for inside in INSIDE)]


class Watch:
    """An audit hook that counts where this process connects or looks up a name. It can't be taken away, only
    told to look elsewhere."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in (
            "socket.connect",
            "socket.getaddrinfo",
            "socket.gethostbyname",
            "socket.sendto",
        ):
            return
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        if (
            not isinstance(address, (str, bytes)) or event == "socket.getaddrinfo"
        ):  # a path is a socket of this machine's own processes
            self.seen.append(f"{event} {address}")


async def through_the_bot(links: list[str], folder: Path, watch: Watch) -> list[str]:
    """Each link in a prompt, as a source, in a direct message and as the address of an attachment; what was
    connected to."""
    from tests.bot.conftest import open_studio, png

    async with open_studio(folder) as studio:
        with studio.env.time_context():
            dora = studio.newcomer()
            watch.on = True
            for link in links:
                await studio.alice.slash(studio.channel, "imagine", prompt=f"{link} a boat {link}"[:1500])
                for command in ("variation", "outpaint"):
                    await studio.alice.slash(studio.channel, command, source=link)
            await studio.send_dm(dora, " ".join(links)[:1900], ("a.png", png()))
            watch.on = False
    return watch.seen


def let_through(links: list[str]) -> list[str]:
    """Those that the check of an attachment's address would take."""
    taken = []
    for link in links:
        try:
            http.check_attachment(link)
            taken.append(link)
        except ImageError:
            continue
    return taken


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--count", type=int, default=10_000, help="of the corpus, as many through the whole bot"
    )
    arguments = parser.parse_args(argv)
    links, watch = corpus(), Watch()
    taken, count = let_through(links), min(arguments.count, len(links))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(through_the_bot(links[:count], Path(folder), watch))
    seen, watch.on = len(watch.seen), True
    with socket.socket() as probe:
        probe.connect_ex(("127.0.0.1", 9))
    control = len(watch.seen) - seen
    print(
        f"links: {len(links)} in the corpus, {count} of them in prompts, options and messages: {seen}"
        f" connections; {len(taken)} taken as an attachment's address"
    )
    print(f"  negative control: a connection that is really made is seen: {control} of 1")
    return 1 if seen or taken or control != 1 else 0


if __name__ == "__main__":
    raise SystemExit(main())
