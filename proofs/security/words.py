"""Words that want out: ``python -m proofs.security.words [--count N]`` puts random prompts and custom ids
through grammar, messages and buttons."""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import discord

from bot.cogs.account import DeleteButton
from bot.ui import buttons, messages
from bot.ui.modals import Submission
from core.errors import UserError
from core.events import Queued
from core.job import Job, Lane, Origin, Status
from core.prompt.parser import parse_prompt
from core.requests import ClassifyRequest
from studio.requests import actions
from studio.texts import code, visible

PIECES = (
    "@everyone",
    "@here",
    "<@123456789012345678>",
    "<@&1>",
    "<@!1>",
    "<#1>",
    "</imagine:1>",
    "<:a:1>",
    "<t:1>",
    "```",
    "`",
    "``",
    "**",
    "__",
    "||",
    "~~",
    "> ",
    "# ",
    "-# ",
    "[x](https://evil.example)",
    "https://evil.example",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u061c",
    "\U000e0041",
    "\u3164",
    "\x00",
    "\x1b[31m",
    "\r\n",
    "\n",
    "\t",
    "\\",
    "\\\\",
    "--",
    "—",
    "--ar 3:2",
    "--no",
    "--seed",
    "--seed 5",
    "::2",
    "::-1",
    "{a,b}",
    "{{",
    "}",
    "\\,",
    '"',
    "“",
    "é",
    "e\u0301\u0301\u0301",
    "漢字",
    "🦊",
    "👩\u200d👧",
    "a",
    "red house",
    "x" * 50,
    " ",
    "9" * 30,
    "\ud800",
    "%s",
    "{0}",
    "${x}",
    "';--",
    "<script>",
)
PING = re.compile(r"(?<!\\)@(?:everyone|here)|(?<!\\)<(?:@[!&]?|#)\d+>")
UNSEEN = re.compile(
    "[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)
ASKER = "<@42>"


def prompts(count: int, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(count):
        if rng.random() < 0.1:
            yield "".join(
                chr(rng.choice((rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000))))
                for _ in range(rng.randrange(60))
            )
        else:
            yield "".join(
                rng.choice(PIECES)
                for _ in range(rng.choice((1, 2, 5, 12, 40, 400) if rng.random() < 0.05 else (1, 2, 5, 12)))
            )


def trouble(text: str) -> str | None:
    """What is wrong with a message's text, or None. The asker's own mention is ours."""
    if messages.length(text) > messages.MAX_CONTENT:
        return "too long"
    if PING.search(text.replace(ASKER, "")):
        return "a ping"
    return "something unseen" if UNSEEN.search(text) else None


ORIGIN = Origin(user_id=42, channel_id=1, guild_id=2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def texts_of(source: str) -> Iterator[str]:
    """Every text in which the words of ``source`` are said."""
    job = Job("abcdefghjkmn", ClassifyRequest(image="0" * 64), ORIGIN, Status.DELIVERED, Lane.FAST, NOW)
    told = {"model": source, "knows": "drawings", "notes": [source]}
    yield messages.classified(job, [(source[:80] or "x", 0.5)], told)
    yield messages.described(job, [source, source, source, source], None, told)
    yield f"**{messages.quote(source, 300)}**"
    yield _outside_spans(code(source))
    try:
        prompt = parse_prompt(source)
        if not prompt.text:
            return
        request = replace(actions.imagine_prompt(prompt, seed=1).request)
    except UserError as error:
        yield messages.fit_message(visible(_outside_spans(str(error))))
        return
    made = replace(job, request=request)
    values = {"width": 64, "height": 64, "num_inference_steps": 4, "model": source[:60], "notes": []}
    yield from (
        messages.placeholder_text(made.request, 42),
        messages.waiting_text(made, Queued(3, 40.0)),
        messages.finished(made, values),
        messages.single(made, 0, 42),
    )


def _outside_spans(text: str) -> str:
    """In a code span nothing is a mention; what gets out of one is looked at. Errors are whispered with
    allowed_mentions none besides."""
    return re.sub(r"`[^`]*`", "", text)


def words(count: int, seed: int = 0) -> tuple[int, dict[str, int], list[str]]:
    """(texts looked at, trouble → how often, unhandled errors)."""
    looked, found, errors = 0, {}, []
    for source in prompts(count, seed):
        try:
            for text in texts_of(source):
                looked += 1
                if (problem := trouble(text)) is not None:
                    found[problem] = found.get(problem, 0) + 1
                    found.setdefault(f"{problem}, first", ascii(source)[:150])  # type: ignore[arg-type]
        except Exception as error:
            errors.append(f"{type(error).__name__}: {ascii(source)[:150]}")
    return looked, found, errors


ID_PIECES = (
    "at:",
    "up:",
    "pv:",
    "abcdefghjkmn",
    "vary",
    "upscale",
    "delete",
    "0",
    "9",
    ":",
    "::",
    "a" * 64,
    "f" * 64,
    "caption",
    "\n",
    "\u0660",
    "٣",
    "{",
    "' OR 1=1",
    "x" * 90,
)


def ids(count: int, seed: int = 0) -> tuple[int, list[str]]:
    """(custom ids that some button takes, unhandled errors): each goes through the buttons' patterns and the
    windows' reader."""
    rng, taken, errors = random.Random(seed), 0, []
    for _ in range(count):
        custom_id = "".join(rng.choice(ID_PIECES) for _ in range(rng.randrange(1, 8)))[:120]
        if rng.random() < 0.3:
            kind = rng.choice(("at", "at", "mo", "rg", "rw", "fv", "st", "dr"))
            first = f"{kind}:abcdefghjkmn:" if kind in ("at", "mo", "rg", "rw") else f"{kind}:"
            custom_id = f"{first}{rng.choice(('vary', 'nonsense', 'caption'))}:{rng.randrange(10)}"
        try:
            taken += try_id(custom_id, [None, "", "a --seed 5", custom_id, {"x": 1}][rng.randrange(5)])
        except Exception as error:
            errors.append(f"{type(error).__name__} {error}: {ascii(custom_id)}")
    return taken, errors


def try_id(custom_id: str, value: Any) -> int:
    """How many kinds of button take ``custom_id``, each as exactly that one; then a window's answer with
    ``value`` in it."""
    taken = 0
    for item in (*buttons.DYNAMIC_ITEMS, DeleteButton):
        if (match := item.__discord_ui_compiled_template__.fullmatch(custom_id)) is not None:
            taken += 1
            built = _now(item.from_custom_id(None, None, match))
            assert built.custom_id == custom_id, "another id"
    data = {"custom_id": custom_id, "components": [{"components": [{"custom_id": "prompt", "value": value}]}]}
    sent = SimpleNamespace(data=data, type=discord.InteractionType.modal_submit)
    Submission.of(sent)  # type: ignore[arg-type]
    return taken


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine that waits for nothing returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a button's id is read within Discord's 3 s: it must not wait")


def control() -> int:
    """How many of four bad texts are noticed."""
    return sum(
        trouble(text) is not None for text in ("hello @everyone", "x <@123> y", "a\u202eb", "x" * 2001)
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=500_000, help="prompts, and as many custom ids")
    count = parser.parse_args(argv).count
    looked, found, errors = words(count)
    taken, more = ids(count)
    print(
        f"words: {count:,} prompts in {looked:,} texts:"
        f" {found or '0 pings, 0 unseen characters, 0 too long'}; {len(errors)} unhandled errors"
    )
    print(f"ids: {count:,} custom ids, {taken:,} taken by a button; {len(more)} unhandled errors")
    print(f"  negative control: {control()} of 4 bad texts are noticed")
    print(*errors[:5], *more[:5], sep="\n", end="")
    return 1 if found or errors or more or control() != 4 else 0


if __name__ == "__main__":
    raise SystemExit(main())
