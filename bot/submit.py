"""From an interaction to queued jobs: acknowledge in time, hand words and pictures to the studio, ask whether
so many jobs are meant, queue, and say in plain words what went wrong."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

import discord

from bot.discord_api.attachments import Links
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import (
    PendingInteraction,
    PendingInteractions,
    Unanswered,
    acknowledge,
    acknowledged_alone,
    actor_of,
    came_too_late,
    is_away,
    press_key,
    reply_beside,
    reply_to,
)
from bot.discord_api.private_api import installed_by
from bot.ui import messages
from bot.ui.buttons import DraftButton, view_of
from bot.ui.replies import (
    FOLLOW_UPS,
    SILENT,
    add_whisper,
    belongs_to_job,
    follow_up,
    refuse,
    tell_unexpected,
    whisper,
)
from core.convert import Preferences
from core.errors import NotAllowedError, UserError
from core.job import Job, Status
from core.language import N_, _
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.requests.prompts import Build, Question, TypedPrompts, attached
from studio.studio import Studio

log = logging.getLogger(__name__)
NO_MORE_BESIDE = N_("Discord takes few messages where Atelier isn't a member. Ask for fewer, or elsewhere.")
ADD_LINK = N_(
    "[add it to your account](<https://discord.com/oauth2/authorize?client_id={}&integration_type=1"
    "&scope=applications.commands>)"
)
FOR_ALL = N_("The answer is posted below, where everybody here can see it.")


class Answers:
    """Queues what interactions ask for. ``follow``: is given each queued job, to show it to its end."""

    def __init__(self, studio: Studio, pending: PendingInteractions, follow: Callable[[Job], None]) -> None:
        self._studio, self._pending, self._follow = studio, pending, follow
        self._unanswered = Unanswered()

    def note(self, interaction: discord.Interaction) -> None:
        """An interaction came in: jobs are queued when it has its first answer."""
        self._unanswered.add(interaction)

    def noted(self, interaction: discord.Interaction) -> AbstractContextManager[None]:
        """Keep a note of an interaction until the block ends, so that the start after a kill answers it."""
        note = PendingInteraction(interaction.id, interaction.application_id, interaction.token)
        return self._pending.kept(note)

    async def ask(
        self,
        interaction: discord.Interaction,
        build: Callable[[], Awaitable[NewJob]],
        *,
        press_key: str | None = None,
        private: bool | None = False,
    ) -> Job | None:
        """Acknowledge at once (``private``: for the asker alone); then, when others are acknowledged as well,
        build the request, queue and follow it.

        private None: who may see the answer wasn't known in time. It is acknowledged for the asker alone. A
        request that isn't private is answered beside what only its asker sees, for everybody; an earlier
        process may have acknowledged it so. Returns the job, or None when there is none: whatever goes wrong
        is said to the asker.
        """
        with self.noted(interaction):
            if not await self.acknowledge(interaction, ephemeral=private is not False):
                return None
            await self._unanswered.none_left()
            try:
                before = await acknowledged_alone(interaction)
                alone = private is not False if before is None else before
                new = await build()
                new = replace(new, private=new.private or bool(private))
                if (
                    alone and not new.private and not is_away(interaction)
                ):  # an answer for all, though it was acknowledged for one
                    await interaction.edit_original_response(content=_(FOR_ALL), allowed_mentions=SILENT)
                    key = press_key or f"interaction:{interaction.id}"
                    return await self.submit_beside(interaction, new, press_key=key)
                shown = alone or not new.private
                return await self.submit(interaction, new, press_key=press_key, shown=shown)
            except UserError as error:
                await refuse(interaction, error)
            except Exception:
                log.exception("interaction %s failed", interaction.id)
                await tell_unexpected(interaction)
            return None

    async def lets_in(self, interaction: discord.Interaction) -> bool:
        """Return whether an interaction is to be done. Where the bot is by somebody's own installation alone,
        that is theirs, if the host lets them; others are told why not."""
        actor = actor_of(interaction)
        if not actor.away:
            return True
        try:
            if installed_by(interaction).get(1) != actor.user_id:
                link = _(ADD_LINK).format(interaction.application_id)
                raise NotAllowedError(f"This belongs to somebody else. To use Atelier here, {link}.")
            await self._studio.rights.check_away(actor)
        except NotAllowedError as error:
            if interaction.type is not discord.InteractionType.autocomplete:
                await refuse(interaction, error)
            return False
        return True

    async def guarded(self, interaction: discord.Interaction, work: Awaitable[None]) -> None:
        """Await ``work``, and say what goes wrong to the one who pressed."""
        try:
            await work
        except UserError as error:
            await refuse(interaction, error)
        except Exception as error:
            if came_too_late(error):
                log.warning("interaction %s came too late", interaction.id)
                return
            log.exception("interaction %s failed", interaction.id)
            await tell_unexpected(interaction)

    async def submit(
        self,
        interaction: discord.Interaction,
        new: NewJob,
        *,
        press_key: str | None = None,
        shown: bool = True,
    ) -> Job | None:
        """Queue a job and answer in this interaction's own message, or (not ``shown``: others see that
        message) by direct message. A double click gets a whisper, not a second job. Raises UserError."""
        reply = reply_to(interaction) if shown else reply_beside(interaction)
        submitted = await self._studio.submit(actor_of(interaction), new, reply, key=press_key)
        if submitted.duplicate and submitted.job.reply.interaction_id != interaction.id:
            await whisper(interaction, _("That is on its way already."))
            return None
        self._follow(submitted.job)
        if shown:
            belongs_to_job(interaction)
        else:
            await whisper(interaction, _("This is private: the result comes by direct message."))
        return submitted.job

    async def submit_beside(
        self, interaction: discord.Interaction, new: NewJob, *, press_key: str | None = None
    ) -> Job | None:
        """Queue a job with a message of its own as the place of its answer, for the asker alone if it is
        private: that one can be edited with the interaction's token only. Returns the job, None where the
        same was asked before.

        A refused job leaves no message behind, one asked before (``press_key``) makes no second job. Raises
        UserError.
        """
        self._studio.check_kind(new)
        text = messages.placeholder_text(new.request, interaction.user.id)
        message = await follow_up(interaction, text, ephemeral=new.private, wait=True)
        if message is None:
            raise UserError(NO_MORE_BESIDE)
        own = new.private or is_away(interaction)  # only the interaction's token can edit it
        reply = reply_to(interaction) if own else reply_beside(interaction)
        reply = replace(reply, interaction_id=None, message_id=message.id)
        actor = replace(actor_of(interaction), channel_id=message.channel.id)
        is_new = False
        try:
            submitted = await self._studio.submit(actor, new, reply, key=press_key)
            is_new = not submitted.duplicate
        finally:
            if not is_new:
                with suppress(*FAILURES):
                    await message.delete()
        self._follow(submitted.job)
        return submitted.job if is_new else None

    async def acknowledge(self, interaction: discord.Interaction, *, ephemeral: bool = False) -> bool:
        """Defer, as ``bot.discord_api.interactions.acknowledge`` does; return False when nobody would see an
        answer."""
        try:
            return await acknowledge(interaction, ephemeral=ephemeral)
        finally:
            self._unanswered.answered(interaction)

    async def cancel(self, interaction: discord.Interaction, job_id: str) -> None:
        """Stop a job and say so; the interaction was deferred. Raises ImageError or NotAllowedError."""
        actor = actor_of(interaction)
        job, stopped = await self._studio.cancel(actor, job_id)
        if not stopped:
            text = _("Job `{id}` is over already ({status}).", id=job.id, status=job.status)
        else:
            now = await self._studio.rights.job(actor, job.id, Action.CANCEL)
            gone = now.status is Status.CANCELLED
            text = (
                _("Job `{id}` is cancelled.", id=job.id)
                if gone
                else _("It stops. What it has written so far is kept.")
            )
        await whisper(interaction, text)


# Seconds for a member's rows, before the answer to an interaction is due; then it is kept private
PATIENCE = 1.0


class Asking:
    """Asks the studio on behalf of an interaction. ``links``: makes of attachments what the studio takes.
    ``shown_once``: waits until a job's message says something, and returns whether it does."""

    def __init__(
        self, studio: Studio, answers: Answers, links: Links, shown_once: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._studio, self._requests = studio, studio.requests
        self._answers, self.links = answers, links
        self._shown_once = shown_once

    async def preferences(self, actor: Actor) -> Preferences:
        """Return the actor's settings, or private ones when that takes too long: an answer to an interaction
        is due within 3 s, and whether others see it has to be said then."""
        try:
            async with asyncio.timeout(PATIENCE):
                chosen = await self._studio.own.preferences(actor)
        except TimeoutError:
            log.warning("the preferences of user %d came too late", actor.user_id)
            return Preferences(private=True)
        hidden = chosen.private or actor.away and not chosen.shown_away
        return chosen.changed(private=hidden)

    async def is_alone(self, actor: Actor, job: Job) -> bool:
        """Return whether an answer that shows a job is for its asker alone: of a private one, and where the
        bot isn't, unless they want to show it there."""
        return job.origin.private or actor.away and (await self.preferences(actor)).private

    async def queue(
        self,
        interaction: discord.Interaction,
        build: Callable[[], Awaitable[NewJob]],
        *,
        private: bool = False,
        chosen: Preferences | None = None,
    ) -> Job | None:
        """Queue what ``build`` makes, in the asker's own lane, for them alone if they or ``private`` say so.
        A button pressed twice is one job. chosen: the asker's settings, where they are known."""
        chosen = chosen or await self.preferences(actor_of(interaction))
        lane, private = chosen.lane, private or chosen.private

        async def built() -> NewJob:
            return (await build()).chosen(lane, private=private)

        return await self._answers.ask(interaction, built, press_key=press_key(interaction), private=private)

    async def queue_about(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None,
        link: str | None,
        build: Callable[[Source], NewJob],
    ) -> None:
        """Queue what ``build`` makes of an attached picture, of the one that ``link`` leads to or names, or
        else of the member's last. Raises UserError for both."""
        if image is not None and link is not None:
            raise UserError("Give `image` or `link`, not both.")
        taken: list[Source] = []

        async def built() -> NewJob:
            taken.append(await self.picture(actor_of(interaction), image, link))
            return build(taken[0])

        job = await self.queue(interaction, built)
        if image is None and link is None:
            await self.tell_last(interaction, job, taken)

    async def tell_last(
        self, interaction: discord.Interaction, job: Job | None, taken: Sequence[Source]
    ) -> None:
        """Say of a job for which no picture was named which one it took."""
        last = taken[0].job if job is not None and taken else None
        # said once the job's message says something: the first word would take that message's place
        if job is not None and last is not None and await self._shown_once(job.id):
            text = _(
                "No picture was named, so this is your last one: `{id} {index}`.",
                id=last.id,
                index=taken[0].index + 1,
            )
            await add_whisper(interaction, text)

    async def imagine(
        self,
        interaction: discord.Interaction,
        text: str,
        files: Sequence[discord.Attachment] = (),
        *,
        parent: tuple[Job, int] | None = None,
    ) -> Job | None:
        """Queue what ``text`` asks for, at once if it is one job; for several a button has to be pressed.

        parent: the job and number that the words come from; what comes from a private one is private. Raises
        PromptError, or NotAllowedError and ImageError when several are asked for.
        """
        actor = actor_of(interaction)
        chosen = await self.preferences(actor)
        typed = await self._requests.imagine(actor, text, chosen, attached=len(files), came_from=parent)
        if typed.count > 1:
            await self._offer(interaction, typed, files)
            return None

        async def build() -> NewJob:
            new = await typed.job_or_question(await self._given(actor, typed.pictures, files))
            assert isinstance(new, NewJob)
            return new

        return await self._answers.ask(interaction, build, private=typed.private)

    async def _given(
        self, actor: Actor, names: Iterable[str], files: Sequence[discord.Attachment] = ()
    ) -> dict[str, Given]:
        """Return the pictures that came along and those that words link to, by what they are called."""
        return {**attached(self.links.attached(files)), **await self.links.resolve(actor, names)}

    async def words(
        self, actor: Actor, text: str, job: Job | None = None, *, video: bool = False
    ) -> PromptWithPictures:
        """Return a single prompt with its pictures found; ``job``: whose pictures its numbers mean. video: it
        is for one. Raises PromptError, ImageError or NotAllowedError."""
        typed = await self._requests.edit(actor, text, job=job, video=video)
        words = await typed.words(await self._given(actor, typed.pictures))
        assert words is not None
        return words

    async def about_picture(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None,
        named: str | None,
        text: str | None,
        build: Build,
    ) -> Job | None:
        """Queue something about one picture: an attached one, one of ours by link or name, or the member's
        last. text: new words, with flags. Raises PromptError for words that can't be read."""
        actor = actor_of(interaction)
        typed = await self._requests.edit(actor, text or None, await self.preferences(actor))
        taken: list[Source] = []

        async def built() -> NewJob:
            [picture] = self.links.attached([image]) if image else [None]
            name = await self.links.name_of(actor, named) if named else None
            source = await self._studio.sources.find(actor, picture, name)
            taken.append(source)
            return await typed.job(source, build, await self._given(actor, typed.pictures))

        job = await self._answers.ask(interaction, built, private=typed.private)
        if image is None and named is None:
            await self.tell_last(interaction, job, taken)
        return job

    async def picture(self, actor: Actor, image: discord.Attachment | None, link: str | None) -> Source:
        """Return an attached picture, the one that ``link`` leads to or names, or else the actor's last.
        Raises UserError."""
        if link and link.strip("<> ").lower().startswith("http"):
            return await self._studio.sources.meant(actor, await self.links.given(actor, link.strip("<> ")))
        [picture] = self.links.attached([image]) if image else [None]
        return await self._studio.sources.find(actor, picture, link)

    # Several jobs

    async def _offer(
        self, interaction: discord.Interaction, typed: TypedPrompts, files: Sequence[discord.Attachment]
    ) -> None:
        """Ask whether so many jobs are meant. Raises UserError for more than can be answered where the bot
        isn't."""
        if typed.actor.away and typed.count >= FOLLOW_UPS:
            raise UserError(f"{typed.count} jobs at once are too many here: {NO_MORE_BESIDE}")
        if not await self._answers.acknowledge(interaction, ephemeral=True):
            return
        question = await typed.job_or_question(await self._given(typed.actor, typed.pictures, files))
        assert isinstance(question, Question)
        yes = DraftButton(question.draft_id, "yes", _("Yes, {count} jobs", count=typed.count))
        view = view_of(yes, DraftButton(question.draft_id, "no"))
        text = messages.offer(question.times)
        await interaction.edit_original_response(content=text, view=view, allowed_mentions=SILENT)

    async def each(self, actor: Actor, texts: Sequence[str]) -> list[NewJob]:
        """Return what single prompts ask for, with the member's own settings. Raises PromptError, ImageError
        or NotAllowedError."""
        typed = await self._requests.imagine_each(actor, texts, await self.preferences(actor))
        return await typed.jobs(await self._given(actor, typed.pictures))

    async def on_draft(self, interaction: discord.Interaction, draft_id: str, yes: bool) -> None:
        """A confirm button was pressed. Pressing it again while its jobs wait makes none twice. Raises
        UserError when the draft is gone, NotAllowedError when it is somebody else's."""
        jobs = await self._requests.confirmed(actor_of(interaction), draft_id)
        if not yes:
            await interaction.response.edit_message(content=_("Nothing was queued."), view=None)
            return
        await interaction.response.edit_message(
            content=_("{jobs} jobs are on their way.", jobs=len(jobs)), view=None
        )
        await self.queue_all(interaction, jobs, key=f"draft:{draft_id}")

    async def queue_all(
        self, interaction: discord.Interaction, jobs: Sequence[NewJob], *, key: str, before: int = 0
    ) -> None:
        """Queue each job in a message of its own, which nobody else sees if it is private; say where a limit
        ended it. before: how many were queued already."""
        for number, new in enumerate(jobs):
            once = f"{key}:{number}:{interaction.user.id}"
            try:
                await self._answers.submit_beside(interaction, new, press_key=once)
            except UserError as error:
                text = _(
                    "{before} of {before2} are queued. {error}",
                    before=before + number,
                    before2=before + len(jobs),
                    error=error,
                )
                return await add_whisper(interaction, text)
