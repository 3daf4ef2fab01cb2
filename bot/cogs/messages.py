"""What people do with messages: they send one, react to one, or choose an app in its menu.

An envelope sends a picture to oneself, a cross ends or deletes one's own, a star or heart keeps it; under an
answer ✅ and ❌ say whether it is right. A message that mentions the bot, or a direct one with words, is a
turn of a conversation; each picture in a direct message without words gets a reply with buttons.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot.button_handlers import is_requester_of
from bot.client import Atelier, AtelierCog
from bot.cogs.read import Read, pictures_of_message
from bot.discord_api.attachments import files_of
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of
from bot.projects.views import MENU_ADD, MENU_TRY
from bot.ui import messages
from bot.ui.buttons import UploadButton, view_of
from bot.ui.layout import texts_of
from bot.ui.messages import quote
from bot.ui.replies import add_whispers, answers_privately, reply_to
from core.errors import ImageError, NotAllowedError, PromptError, UserError
from core.job import Job
from core.language import N_, _
from core.prompt.parser import Prompt, parse_prompt
from core.requests import ClassifyRequest, DescribeRequest
from studio.admin import Judged, Report
from studio.authority import Action, Actor
from studio.media.video_decode import may_be_video
from studio.moderation.rules import Rule
from studio.new_job import NewJob, Source, new_seed
from studio.requests import actions
from studio.texts import code, counted

ENVELOPES, CROSSES, STARS = ("✉", "📩", "💌"), ("❌", "✖"), ("⭐", "🌟", "❤", "💖")
RIGHT, WRONG = "✅", "❌"
UPLOAD_ACTIONS = ("describe", "classify", "read", "variation", "outpaint", "cutout")
MAX_PICTURES = 10  # of one message; Discord's own limit
MANY = 20  # files of a message, forwarded ones included
A_VIDEO = N_("Send the video again with a question beside it, such as “What happens?”, or use `/ask`.")
HEAD = N_("**Check** by the rules of this server (level {level}). Nothing was done, and nothing is kept.")
FOOT = N_("-# Scores and yes or no are a model's guesses. You decide what to do.")
log = logging.getLogger(__name__)


class Reactions(AtelierCog):
    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        if self.bot.user and payload.user_id == self.bot.user.id:
            return
        try:
            await self._act(payload)
        except (UserError, *FAILURES) as error:  # there is nowhere to say it
            ids = payload.message_id, payload.user_id
            log.info("message %d: reaction of user %d not followed (%s)", *ids, type(error).__name__)

    @commands.Cog.listener()
    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        """Take feedback back. A star that goes ends no favourite: Discord doesn't say whether its owner or a
        moderator took it away."""
        name = _plain(payload)
        if name in (RIGHT, WRONG):
            actor = _actor(payload)
            await self.bot.studio.feedback.withdraw(actor, payload.message_id, right=name == RIGHT)

    async def _act(self, payload: discord.RawReactionActionEvent) -> None:
        name, actor, message_id = _plain(payload), _actor(payload), payload.message_id
        if name == RIGHT:
            await self.bot.studio.feedback.note(actor, message_id, right=True)
        elif name in CROSSES:
            await self._end(actor, payload)
        elif name in (*ENVELOPES, *STARS):
            right = Action.DM if name in ENVELOPES else Action.FAVOURITE
            found = await self.bot.studio.job_of_message(actor, message_id, right)
            if found is None:
                return
            job, index = found
            indexes = None if index is None else [index]
            if name in STARS:
                await self.bot.studio.own.add_favourites(actor, job.id, indexes)
                return
            result = await self.bot.studio.rights.result(actor, job.id, right)
            await self.bot.sharing.hand_over(await self.bot.fetch_user(actor.user_id), result, indexes)

    async def _end(self, actor: Actor, payload: discord.RawReactionActionEvent) -> None:
        """Cancel a running or waiting job, delete a finished one's message; the job stays for /show. ❌ under
        an answer says that it is wrong."""
        channel = self.bot.get_partial_messageable(payload.channel_id)
        message = channel.get_partial_message(payload.message_id)
        if _plain(payload) == WRONG and await self.bot.studio.feedback.is_about(message.id):
            await self.bot.studio.feedback.note(actor, message.id, right=False)
            return
        try:
            found = await self.bot.studio.job_of_message(actor, message.id, Action.DELETE)
        except NotAllowedError:
            if not is_requester_of(await message.fetch(), actor.user_id, payload.guild_id):
                raise
            await message.delete()  # an answer to their own command, though the job is another's
            return
        if found is None:
            return
        if not found[0].status.over:
            await self.bot.studio.cancel(actor, found[0].id)
        else:
            await message.delete()


def _actor(payload: discord.RawReactionActionEvent) -> Actor:
    return Actor(payload.user_id, payload.guild_id, payload.channel_id)


def _plain(payload: discord.RawReactionActionEvent) -> str:
    return (payload.emoji.name or "").replace("\ufe0f", "")


class Sent(AtelierCog):
    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        if message.author.bot or self.bot.user is None:
            return
        if message.guild is not None:
            await self.bot.turns.in_server(message, self.bot.user)
            return
        if await self.bot.turns.direct(message):
            return
        if not (attachments := files_of(message)):
            await reply_to(message, _("Send me a picture, or type `/imagine`. `/help` shows everything."))
            return
        words, problem = "", ""
        try:
            words = parse_prompt(message.content).text
        except PromptError as error:
            problem = f"\n-# {error}"
        for attachment in attachments[:MAX_PICTURES]:
            is_video = may_be_video(attachment.filename, attachment.content_type or "")
            if is_video and self.bot.studio.talking.is_possible:
                await reply_to(message, _(A_VIDEO))
                continue
            await self._offer(message, attachment, words, problem)

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Take back the words of a deleted message."""
        await self.bot.turns.forget((payload.message_id,))

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Take back the words of deleted messages."""
        await self.bot.turns.forget(payload.message_ids)

    async def _offer(
        self, message: discord.Message, attachment: discord.Attachment, words: str, problem: str
    ) -> None:
        actor = Actor(message.author.id, None, message.channel.id)
        try:
            [file] = self.bot.links.attached([attachment])
            taken = await self.bot.studio.sources.given(actor, file)
        except UserError as error:
            await reply_to(message, f"❌ {error}")
            return
        prompt = f"\n**{messages.quote(words, 300)}**" if words else ""
        text = _(
            "{width}×{height} px. What would you like to do with it?{prompt}{problem}",
            width=taken.width,
            height=taken.height,
            prompt=prompt,
            problem=problem,
        )
        actions = ("ask", *UPLOAD_ACTIONS) if self.bot.studio.talking.is_possible else UPLOAD_ACTIONS
        view = view_of(*(UploadButton(taken.sha256, action) for action in actions))
        await reply_to(message, text, view=view)

    async def job_of(self, interaction: discord.Interaction, sha256: str, action: str) -> NewJob:
        """Return the job that a button stands for. Raises ImageError when the picture is gone."""
        prompt = await self._words_beside(interaction)
        return await self.bot.studio.from_upload(actor_of(interaction), sha256, action, prompt)

    async def _words_beside(self, interaction: discord.Interaction) -> Prompt:
        """Return what was written beside the picture, read from the message that the reply refers to."""
        reference = interaction.message.reference if interaction.message else None
        if reference is None or reference.message_id is None:
            return Prompt()
        try:
            channel = self.bot.get_partial_messageable(reference.channel_id)
            return parse_prompt((await channel.fetch_message(reference.message_id)).content)
        except PromptError:
            return Prompt()
        except discord.HTTPException as error:
            log.info("the message beside a picture can't be read (%s)", error.status)
            return Prompt()


class Menus(AtelierCog):
    async def cog_load(self) -> None:
        for name, work in (
            (_("Describe"), self.describe),
            (_("Ask"), self.bot.questions.open_menu),
            (_("Add as example"), self.bot.teaching.open_menu),
            (_("Classify"), self.classify),
            (_("Vary"), self.vary),
            (_("Cancel"), self.cancel),
            (_("Read text"), self.read),
            (_("Check"), self.check),
            (_("DM results"), self.dm_results),
            (_("Details"), self.details),
            (_("Add to project"), self.add_to_project),
            (_("Inspect"), self.inspect),
        ):
            self.bot.tree.add_menu(app_commands.ContextMenu(name=name, callback=work))  # type: ignore[attr-defined]

    async def describe(self, interaction: discord.Interaction, message: discord.Message) -> None:
        def build(source: Source) -> NewJob:
            return NewJob(DescribeRequest(image=source.sha256, seed=new_seed()))

        await self._about(interaction, message, Action.DESCRIBE, build)

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

    async def add_to_project(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.projects.open_menu(interaction, message, MENU_ADD)

    async def inspect(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.projects.open_menu(interaction, message, MENU_TRY)

    async def read(self, interaction: discord.Interaction, message: discord.Message) -> None:
        reading = self.bot.get_cog("Read")
        assert isinstance(reading, Read)
        await reading.read_message(interaction, message)

    @answers_privately
    async def check(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Say to the one who pressed which rules a message breaks. Raises UserError, NotAllowedError."""
        files = self.bot.links.attached(pictures_of_message(message, MANY))
        report = await self.bot.studio.checks.check(actor_of(interaction), text_of(message), files)
        await add_whispers(interaction, messages.pages(list(lines_of(report))))

    @answers_privately
    async def cancel(self, interaction: discord.Interaction, message: discord.Message) -> None:
        job, _unused = await self._job(interaction, message, Action.CANCEL)
        await self.bot.answers.cancel(interaction, job.id)

    @answers_privately
    async def dm_results(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self.bot.job_buttons.send_dm(interaction, *await self._job(interaction, message, Action.DM))

    @answers_privately
    async def details(self, interaction: discord.Interaction, message: discord.Message) -> None:
        job, index = await self._job(interaction, message, Action.DETAILS)
        await self.bot.job_buttons.details(interaction, job, index or 0)

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
        found = await self.bot.studio.job_of_message(actor, message.id, right)

        async def built() -> NewJob:
            source = await self._source(actor, message, found, right)
            new = build(source)
            return replace(new, parent=new.parent or source.parent).chosen(None, private=source.private)

        private = found is not None and found[0].origin.private
        await self.bot.asking.queue(interaction, built, private=private)

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
        parts += [one.content, *texts_of(one.components)]
        parts += [part for embed in one.embeds for part in (embed.title, embed.description)]
    return "\n".join(part for part in parts if part)


def lines_of(report: Report) -> Iterator[str]:
    """Yield what a check found, each with where it comes from."""
    found = report.found
    yield _(HEAD).format(level=report.level)
    for number, picture in enumerate(report.pictures, 1):
        yield _("**Picture {number}** {picture}", number=number, picture=_judged(picture, report))
    if report.left_out:
        yield _("-# {pictures} not checked.", pictures=counted(report.left_out, "more picture"))
    if report.has_text:
        yield _("**Words of the message** (word rules) {words}", words=_rule(report.words))
    if report.pictures:
        yield _("**Words in the pictures** {report}", report=_read(report))
    if found.chances:
        yield _("**Own rules** (yes of {model}, asked in both orders)", model=quote(found.model, 60))
        for rule, chance in zip(report.rules, found.chances, strict=True):
            yield f"- {chance:.0%} {quote(rule, 200)}"
    else:
        yield _("**Own rules** not available: {unjudged}", unjudged=quote(found.unjudged, 300))
    yield _(FOOT)


def _judged(picture: Judged, report: Report) -> str:
    if picture.problem:
        return _("not available: {problem}", problem=picture.problem)
    name = code(report.classifier, 60)
    if picture.score is None:
        return _("({name}) not available: the classifier gave no answer", name=name)
    limit = report.threshold
    if limit is None:
        said = _("({name}) {score:.2f} of 1, no picture is flagged here")
    elif picture.score >= limit:
        said = _("({name}) {score:.2f} of 1, flagged from {limit:.2f}: **flagged**")
    else:
        said = _("({name}) {score:.2f} of 1, flagged from {limit:.2f}")
    return said.format(name=name, score=picture.score, limit=limit)


def _read(report: Report) -> str:
    found = report.found
    if found.unread:
        return _("not available: {unread}", unread=quote(found.unread, 300))
    if not any(text.strip() for text in found.texts):
        return _("({reader}) none found", reader=quote(found.reader, 60))
    return _("({reader}, word rules) {read}", reader=quote(found.reader, 60), read=_rule(report.read))


def _rule(rule: Rule | None) -> str:
    return "allowed" if rule is None else f"**{rule}**"


async def setup(bot: Atelier) -> None:
    for cog in (Menus, Reactions, Sent):
        await bot.add_cog(cog(bot))
