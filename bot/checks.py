"""*Check* in a message's menu: what a check found, for the one who asked alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import discord

from bot.readings import pictures_of
from bot.ui import messages
from bot.ui.messages import quote
from bot.ui.replies import add_whisper
from bot.wire.attachments import Links
from bot.wire.interactions import actor_of
from studio.asking.words import code, counted
from studio.message_check import Judged, Report
from studio.moderation.rules import Rule
from studio.studio import Studio

MANY = 20  # files of a message, forwarded ones included
HEAD = "**Check** by the rules of this server (level {level}). Nothing was done, and nothing is kept."
FOOT = "-# Scores and yes or no are a model's guesses. What to do is yours to decide."


class Checks:
    """Asks the studio's ``checks`` about a message."""

    def __init__(self, studio: Studio, links: Links) -> None:
        self._studio, self._links = studio, links

    async def check(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Tell the one who pressed how a message stands to the rules; the interaction was deferred. Raises
        UserError, NotAllowedError."""
        files = self._links.attached(pictures_of(message, MANY))
        report = await self._studio.checks.check(actor_of(interaction), text_of(message), files)
        for page in messages.pages(list(lines_of(report))):
            await add_whisper(interaction, page)


def text_of(message: discord.Message) -> str:
    """Return the words of a message: its own, those of its components and of the pages that it shows, and the
    same of what it forwards."""
    shown: list[discord.Message | discord.MessageSnapshot] = [message, *message.message_snapshots]
    parts = list[str | None]()
    for one in shown:
        parts += [one.content, *_displayed(one.components)]
        parts += [part for embed in one.embeds for part in (embed.title, embed.description)]
    return "\n".join(part for part in parts if part)


def _displayed(components: Sequence[discord.Component]) -> Iterator[str]:
    """Yield the texts among components, those inside of others included."""
    for one in components:
        if isinstance(one, discord.TextDisplay):
            yield one.content
        yield from _displayed(getattr(one, "children", ()))


def lines_of(report: Report) -> Iterator[str]:
    """Yield what a check found, each with where it comes from."""
    found = report.found
    yield HEAD.format(level=report.level)
    for number, picture in enumerate(report.pictures, 1):
        yield f"**Picture {number}** {_judged(picture, report)}"
    if report.left_out:
        yield f"-# {counted(report.left_out, 'more picture')} not looked at."
    if report.has_text:
        yield f"**Words of the message** (word rules) {_rule(report.words)}"
    if report.pictures:
        yield f"**Words in the pictures** {_read(report)}"
    if found.chances:
        yield f"**Own rules** (yes of {quote(found.model, 60)}, asked in both orders)"
        for rule, chance in zip(report.rules, found.chances, strict=True):
            yield f"- {chance:.0%} {quote(rule, 200)}"
    else:
        yield f"**Own rules** not available: {quote(found.unjudged, 300)}"
    yield FOOT


def _judged(picture: Judged, report: Report) -> str:
    if picture.problem:
        return f"not available: {picture.problem}"
    name = code(report.classifier, 60)
    if picture.score is None:
        return f"({name}) not available: the classifier gave no answer"
    limit = report.threshold
    said = "no picture is flagged here" if limit is None else f"flagged from {limit:.2f}"
    flagged = limit is not None and picture.score >= limit
    return f"({name}) {picture.score:.2f} of 1, {said}{': **flagged**' if flagged else ''}"


def _read(report: Report) -> str:
    found = report.found
    if found.unread:
        return f"not available: {quote(found.unread, 300)}"
    if not any(text.strip() for text in found.texts):
        return f"({quote(found.reader, 60)}) none found"
    return f"({quote(found.reader, 60)}, word rules) {_rule(report.read)}"


def _rule(rule: Rule | None) -> str:
    return "allowed" if rule is None else f"**{rule}**"
