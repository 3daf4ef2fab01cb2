"""Apps in a message's menu: Describe, Ask, Add as example, Add to project, Inspect, Classify, Vary, Cancel,
Read text, Check, DM results, Details."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import discord
from discord import app_commands

from bot.client import Atelier, AtelierCog
from bot.cogs.read import Read, pictures_of_message
from bot.discord_api.interactions import actor_of
from bot.projects.views import MENU_ADD, MENU_TRY
from bot.ui import messages
from bot.ui.messages import quote
from bot.ui.replies import add_whisper, answers_privately
from core.errors import ImageError, UserError
from core.job import Job, new_seed
from core.requests import ClassifyRequest, DescribeRequest
from studio.admin import Judged, Report
from studio.authority import Action, Actor
from studio.moderation.rules import Rule
from studio.new_job import NewJob, Source
from studio.requests import actions
from studio.texts import code, counted

MANY = 20  # files of a message, forwarded ones included
HEAD = "**Check** by the rules of this server (level {level}). Nothing was done, and nothing is kept."
FOOT = "-# Scores and yes or no are a model's guesses. What to do is yours to decide."


class Menus(AtelierCog):
    def __init__(self, bot: Atelier) -> None:
        super().__init__(bot)
        self.menus = [
            app_commands.ContextMenu(name=name, callback=work)
            for name, work in (
                ("Describe", self.describe),
                ("Ask", self.ask),
                ("Add as example", self.add_example),
                ("Classify", self.classify),
                ("Vary", self.vary),
                ("Cancel", self.cancel),
                ("Read text", self.read),
                ("Check", self.check),
                ("DM results", self.dm_results),
                ("Details", self.details),
                ("Add to project", self.add_to_project),
                ("Inspect", self.inspect),
            )
        ]

    async def cog_load(self) -> None:
        for menu in self.menus:
            self.bot.tree.add_menu(menu)  # type: ignore[attr-defined]

    async def cog_unload(self) -> None:
        for menu in self.menus:
            self.bot.tree.remove_command(menu.name, type=menu.type)

    async def describe(self, interaction: discord.Interaction, message: discord.Message) -> None:
        def build(source: Source) -> NewJob:
            return NewJob(DescribeRequest(image=source.sha256, seed=new_seed()))

        await self._about(interaction, message, Action.DESCRIBE, build)

    async def ask(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.questions.open_menu(interaction, message)

    async def add_example(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.teaching.open_menu(interaction, message)

    async def add_to_project(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.projects.open_menu(interaction, message, MENU_ADD)

    async def inspect(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.projects.open_menu(interaction, message, MENU_TRY)

    async def classify(self, interaction: discord.Interaction, message: discord.Message) -> None:
        def build(source: Source) -> NewJob:
            return NewJob(ClassifyRequest(image=source.sha256))

        await self._about(interaction, message, Action.CLASSIFY, build)

    async def vary(self, interaction: discord.Interaction, message: discord.Message) -> None:
        chosen = await self.bot.asking.preferences(actor_of(interaction))
        amount = "strong" if chosen.strong else "subtle"

        def build(source: Source) -> NewJob:
            return actions.variation(source, amount, None, seed=new_seed())

        await self._about(interaction, message, Action.VARY, build)

    async def read(self, interaction: discord.Interaction, message: discord.Message) -> None:
        reading = self.bot.get_cog("Read")
        assert isinstance(reading, Read)
        await reading.read_message(interaction, message)

    @answers_privately
    async def check(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Tell the one who pressed how a message stands to the rules. Raises UserError, NotAllowedError."""
        files = self.bot.links.attached(pictures_of_message(message, MANY))
        report = await self.bot.studio.checks.check(actor_of(interaction), text_of(message), files)
        for page in messages.pages(list(lines_of(report))):
            await add_whisper(interaction, page)

    @answers_privately
    async def cancel(self, interaction: discord.Interaction, message: discord.Message) -> None:
        job, _ = await self._job(interaction, message, Action.CANCEL)
        await self.bot.answers.cancel(interaction, job.id)

    @answers_privately
    async def dm_results(self, interaction: discord.Interaction, message: discord.Message) -> None:
        job, index = await self._job(interaction, message, Action.DM)
        await self.bot.job_buttons.send_dm(interaction, job.id, None if index is None else [index])

    @answers_privately
    async def details(self, interaction: discord.Interaction, message: discord.Message) -> None:
        job, index = await self._job(interaction, message, Action.DETAILS)
        await self.bot.job_buttons.tell_details(interaction, job.id, index or 0)

    async def _job(
        self, interaction: discord.Interaction, message: discord.Message, right: Action
    ) -> tuple[Job, int | None]:
        found = await self.bot.studio.job_of_message(actor_of(interaction), message.id, right)
        if found is None:
            raise UserError("That message doesn't show one of my jobs.")
        return found

    async def _about(
        self,
        interaction: discord.Interaction,
        message: discord.Message,
        right: Action,
        build: Callable[[Source], NewJob],
    ) -> None:
        """Queue something about the message's picture: of ours the stored one, else its first attachment."""
        actor = actor_of(interaction)
        chosen = await self.bot.asking.preferences(actor)
        found = await self.bot.studio.job_of_message(actor, message.id, right)
        private = chosen.private or (found is not None and found[0].origin.private)

        async def built() -> NewJob:
            source = await self._source(actor, message, found, right)
            new = build(source)
            new = replace(new, parent=new.parent or source.parent)
            return new.chosen(chosen.lane, private=source.private)

        await self.bot.answers.ask(interaction, built, private=private)

    async def _source(
        self, actor: Actor, message: discord.Message, found: tuple[Job, int | None] | None, right: Action
    ) -> Source:
        if found is not None:
            job, index = found
            result = await self.bot.studio.rights.result(actor, job.id, right)
            if result.pictures:
                return await self.bot.studio.picture_of(actor, job.id, index or 0, right)
        await self.bot.studio.rights.check(actor, Action.ASK)
        for file in self.bot.links.attached(pictures_of_message(message, 1)):
            return await self.bot.studio.sources.meant(actor, file)
        raise ImageError("That message has no picture.")


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


async def setup(bot: Atelier) -> None:
    await bot.add_cog(Menus(bot))
