"""Secrets in logs: ``python -m proofs.security.canaries`` sends 1,000 canaries through the bot, its
errors and
its metrics, and looks for them."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import logging
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import sqlalchemy as sa
from prometheus_client import generate_latest
from sqlalchemy.ext.asyncio import create_async_engine

from core.errors import StorageError
from core.redact import RedactingFormatter, Redactor
from core.settings import Settings
from host.metrics import Metrics
from host.process import redactor

log = logging.getLogger("proofs.security.canaries")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(count))


# A secret, and a text that something in the program or its libraries would say with it
SHAPES: tuple[Callable[[random.Random], tuple[str, str]], ...] = (
    lambda r: _with(
        f"{_letters(r, 24)}.{_letters(r, 6)}.{_letters(r, 38)}", "Improper token {} has been passed."
    ),
    lambda r: _with(
        f"aW50ZXJhY3Rpb246{_letters(r, 120)}",
        "PATCH https://discord.com/api/v10/webhooks/1234/{}/messages/@original: 500",
    ),
    lambda r: _with(_letters(r, 68), "POST with {{}} to /webhooks/99887766/{} has returned 429"),
    lambda r: _with(
        _letters(r, 90), "Interaction POST https://discord.com/api/v10/interactions/42/{}/callback failed"
    ),
    lambda r: _with(
        r.randbytes(32).hex(),
        "Unclosed <ClientResponse(https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=2&hm={}) [404]>",
    ),
    lambda r: _with(f"hf_{_letters(r, 34)}", "401 Client Error. Invalid user token {} (Request ID: Root=1)"),
    lambda r: _with(_letters(r, 20), "could not connect to postgresql+asyncpg://atelier:{}@db:5432/atelier"),
    lambda r: _with(_letters(r, 60), "headers: {{'Authorization': 'Bot {}'}}"),
)


def _with(secret: str, text: str) -> tuple[str, str]:
    return secret, text.format(secret)


def said(rng: random.Random, count: int) -> Iterator[str]:
    """Log ``count`` texts with secrets in them, as messages, arguments, exceptions and their causes; the
    secrets."""
    for index in range(count):
        secret, text = SHAPES[index % len(SHAPES)](rng)
        match index % 3:
            case 0:
                log.warning(text)
            case 1:
                log.error("a call failed: %s", text)
            case 2:
                try:
                    try:
                        raise OSError(text)
                    except OSError as cause:
                        raise RuntimeError("outer") from cause
                except RuntimeError:
                    log.exception("something failed")
        yield secret


async def used(folder: Path, count: int) -> tuple[list[str], bytes]:
    """People use the bot with canaries as prompts, labels, names of files, of themselves and of servers, well
    and badly; (canaries, metrics)."""
    from tests.bot.conftest import open_studio, png

    planted: list[str] = []

    def new(kind: str) -> str:
        planted.append(f"{kind}canary{len(planted):05d}")
        return planted[-1]

    async with open_studio(folder, MODERATION="standard") as studio:
        with studio.env.time_context():
            metrics = Metrics(studio.built.queue)
            studio.hooks.delivered.append(metrics.delivered)
            person = studio.guild.add_member(studio.env.create_user(new("name")))
            studio.env.create_guild(new("server")).add_member(studio.env.create_user(new("name")))
            channel = studio.channel
            while len(planted) < count:
                word = ("a boat", "a broken boat", "nude", "--sede 5")[len(planted) % 4]
                await person.slash(channel, "imagine", prompt=f"{new('prompt')} {word}")
                await person.slash(
                    channel, "classify", image=(f"{new('file')}.png", png()), labels=f"boat, {new('label')}"
                )
                await person.slash(channel, "describe", image=(f"{new('file')}.png", b"nothing"))
                await person.slash(channel, "show", job=new("id"))
                await studio.mira.slash(channel, "moderation add", word=new("word"))
            await _broken_database(studio, new)
            await _broken_code(studio, person, new)
            return planted, generate_latest(metrics.registry)


async def _broken_database(studio, new) -> None:
    """SQL errors carry their parameters unless they are told not to."""
    database = studio.built.queue.database
    for _ in range(20):
        text = new("row")
        with contextlib.suppress(StorageError):
            try:
                await database.write(
                    lambda c, text=text: c.execute(sa.text("INSERT INTO nowhere VALUES (:p)"), {"p": text})
                )
            except StorageError:
                log.exception("the database failed")
                raise


async def _broken_code(studio, person, new) -> None:
    """An unexpected error in the middle of a command, with the prompt in local variables."""

    async def broken(*_, **__) -> None:
        raise RuntimeError("unexpected")

    with mock.patch.object(studio.built.queue, "submit", broken):
        for _ in range(20):
            await person.slash(studio.channel, "imagine", prompt=new("prompt"))


def written(handlers: list[io.StringIO]) -> str:
    return "".join(handler.getvalue() for handler in handlers)


@contextlib.contextmanager
def listening(redact: Redactor | None) -> Iterator[io.StringIO]:
    """What our own log would hold, at level debug for our own modules."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(RedactingFormatter(form, redact) if redact else logging.Formatter(form))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for noisy in ("discord", "aiosqlite", "alembic", "asyncio", "PIL", "simcord"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        yield out
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def leaks(canaries: list[str], *places: str) -> list[str]:
    return [canary for canary in canaries if any(canary in place for place in places)]


async def measure(count: int, folder: Path) -> tuple[int, list[str], int]:
    """(canaries, those found, those found without the filter and with SQL's parameters shown: the negative
    control)."""
    rng = random.Random(7)
    with listening(redactor(_settings(rng))) as out:
        secrets = list(said(rng, count - count * 2 // 5))
        planted, metrics = await used(folder / "a", count * 2 // 5)
        found = leaks(secrets + planted, out.getvalue(), metrics.decode())
    with listening(None) as out:
        control = leaks(list(said(rng, 40)), out.getvalue())
    return len(secrets) + len(planted), found, len(control) + len(await unfiltered(folder / "b", 5))


async def unfiltered(folder: Path, count: int) -> list[str]:
    """What a log would hold of people's words without the filter, and with the parameters of SQL shown."""
    loose = mock.patch("storage.engines.base.create_async_engine", _loose(create_async_engine))
    with listening(None) as out, loose:
        planted, _ = await used(folder, count)
        return leaks(planted, out.getvalue())


def _loose(create: Callable[..., object]) -> Callable[..., object]:
    return lambda url, **options: create(url, **{**options, "hide_parameters": False})


def _settings(rng: random.Random) -> Settings:
    from core.settings import load_settings

    token = base64.b64encode(rng.randbytes(30)).decode()
    return replace(load_settings({}, Path("none.env")), discord_token=token)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    with tempfile.TemporaryDirectory() as folder:
        count, found, control = asyncio.run(measure(parser.parse_args(argv).count, Path(folder)))
    print(f"canaries: {len(found)} of {count:,} in logs, tracebacks and metrics {found[:5] or ''}")
    print(
        f"  negative control: without the filter, and with the parameters of SQL shown, {control} of 70 are"
        " found"
    )
    return 1 if found or control < 40 or count < 1000 else 0


if __name__ == "__main__":
    raise SystemExit(main())
