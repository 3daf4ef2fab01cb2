"""The text in pictures, on Discord: one job for each picture of a command or of a message.

*Check* in a message's menu: what a check found, for the one who asked alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

import discord

from bot.discord_api.attachments import Links, files_of
from bot.discord_api.interactions import actor_of, press_key
from bot.submit import Answers, Asking
from bot.ui import messages
from bot.ui.messages import quote
from bot.ui.replies import SILENT, add_whisper
from core.errors import ImageError
from core.job import Job
from core.requests import ReadRequest
from studio.actor import Actor
from studio.authority import Action
from studio.message_check import Judged, Report
from studio.moderation.rules import Rule
from studio.new_job import NewJob, Source
from studio.studio import Studio
from studio.texts import code, counted

MOST = 4  # pictures of one message
Find = Callable[[], Awaitable[list[Source]]]


class Readings:
    """Queues what interactions want to have read."""

    def __init__(self, studio: Studio, answers: Answers, asking: Asking) -> None:
        self._studio, self._answers, self._asking = studio, answers, asking

    async def read(
        self, interaction: discord.Interaction, files: Sequence[discord.Attachment], link: str | None
    ) -> None:
        """Read attached pictures, or the one that ``link`` leads to or names. Raises UserError."""
        actor = actor_of(interaction)

        async def find() -> list[Source]:
            if link is not None:
                return [await self._asking.picture(actor, None, link)]
            return await self._sent(actor, files)

        await self._queue(interaction, actor, find, len(files) or 1)

    async def read_message(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Read the pictures of a message: of ours the stored ones. Raises UserError."""
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.READ)
        numbers = await self._numbers(actor, found) if found is not None else []
        files = [] if numbers else pictures_of(message)
        if not numbers and not files:
            raise ImageError("That message has no picture.")

        async def find() -> list[Source]:
            if found is not None and numbers:
                return [
                    await self._studio.picture_of(actor, found[0].id, number, Action.READ)
                    for number in numbers
                ]
            return await self._sent(actor, files)

        private = found is not None and found[0].origin.private
        await self._queue(interaction, actor, find, len(numbers or files), private)

    async def _numbers(self, actor: Actor, found: tuple[Job, int | None]) -> list[int]:
        """Return which pictures (from 0) of a job a message shows."""
        job, index = found
        _, result = await self._studio.made(actor, job.id, Action.READ)
        shown = [picture.index for picture in result.pictures] if result else []
        return shown[:MOST] if index is None else [index] if shown else []

    async def _sent(self, actor: Actor, files: Sequence[discord.Attachment]) -> list[Source]:
        return [await self._studio.sources.meant(actor, file) for file in self._asking.links.attached(files)]

    async def _queue(
        self,
        interaction: discord.Interaction,
        actor: Actor,
        find: Find,
        count: int,
        private: bool = False,
    ) -> None:
        chosen = await self._asking.preferences(actor)
        private = private or chosen.private

        async def found() -> list[NewJob]:
            return [
                NewJob(ReadRequest(image=source.sha256), parent=source.parent, private=source.private).chosen(
                    chosen.lane, private=private
                )
                for source in await find()
            ]

        if count == 1:

            async def first() -> NewJob:
                return (await found())[0]

            await self._answers.ask(interaction, first, press_key=press_key(interaction), private=private)
            return
        if not await self._answers.acknowledge(interaction, ephemeral=private):
            return
        jobs = await found()
        # said at once, else the first follow-up would take its place
        text = messages.asked(jobs[0].request, interaction.user.id)
        await interaction.edit_original_response(content=text, allowed_mentions=SILENT)
        first_job = await self._answers.submit(interaction, jobs[0], press_key=press_key(interaction))
        if first_job is not None:
            await self._asking.queue_all(interaction, jobs[1:], key=f"read:{first_job.id}", before=1)


def pictures_of(message: discord.Message, most: int = MOST) -> list[discord.Attachment]:
    """Return the first pictures among the files of a message, forwarded ones included."""
    files = (a for a in files_of(message) if (a.content_type or "image/").startswith("image/"))
    return list(files)[:most]


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
