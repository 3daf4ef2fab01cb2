"""What commands and windows with a prompt have in common: acknowledge, ask whether so many jobs are meant,
and hand words and pictures to the studio."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import discord

from bot.answers import Answers
from bot.ui import buttons, messages
from bot.ui.replies import SILENT, add_whisper
from bot.wire.attachments import Links
from bot.wire.interactions import actor_of
from core.errors import UserError
from core.grammar.prompt import Prompt, format_prompt
from core.job import Job
from core.preferences import Preferences
from studio.actor import Actor
from studio.asking.new_job import NewJob, PromptWithPictures, Source
from studio.asking.prompts import attached, jobs_of, pictures_of
from studio.asking.sources import Given
from studio.studio import Studio

log = logging.getLogger(__name__)
# Seconds for a member's rows, before the answer to an interaction is due; then it is kept private
PATIENCE = 1.0
Build = Callable[[Source, PromptWithPictures | None], Awaitable[NewJob]]


class Asking:
    """Asks the studio on behalf of an interaction. ``links``: makes of attachments what the studio takes.
    ``shown_once``: waits until a job's message says something, and returns whether it does."""

    def __init__(
        self, studio: Studio, answers: Answers, links: Links, shown_once: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._studio, self._answers, self.links = studio, answers, links
        self._shown_once = shown_once

    async def preferences(self, actor: Actor) -> Preferences:
        """Return the actor's settings, or private ones when that takes too long: an answer to an interaction
        is due within 3 s, and whether others see it has to be said then."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._studio.own.preferences(actor)
        except TimeoutError:
            log.warning("the preferences of user %d came too late", actor.user_id)
            return Preferences(private=True)

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
        prompts = await self._studio.read(actor, text, chosen, attached=len(files))
        if parent and parent[0].origin.private:
            prompts = [replace(prompt, private=True) for prompt in prompts]
        if sum(prompt.repeat or 1 for prompt in prompts) > 1:
            await self._offer(interaction, prompts, files)
            return None

        async def build() -> NewJob:
            given = await self._given(actor, prompts, files)
            came_from = (parent[0].id, parent[1]) if parent else None
            return await self._studio.imagine(actor, prompts[0], given, came_from)

        return await self._answers.ask(interaction, build, private=bool(prompts[0].private))

    async def _given(
        self, actor: Actor, prompts: Sequence[Prompt], files: Sequence[discord.Attachment] = ()
    ) -> dict[str, Given]:
        """Return the pictures that came along and those that the prompts link to, by what they are called."""
        names = (name for prompt in prompts for name in prompt.pictures)
        return {**attached(self.links.attached(files)), **await self.links.resolve(actor, names)}

    async def words(
        self, actor: Actor, text: str, job: Job | None = None, *, film: bool = False
    ) -> PromptWithPictures:
        """Return a single prompt with its pictures found; ``job``: whose pictures its numbers mean. film: it
        is for one.

        Raises PromptError, ImageError or NotAllowedError.
        """
        prompt = await self._studio.single(actor, text, film=film)
        known = pictures_of(job) if job else {}
        return await self._studio.words(actor, prompt, await self._given(actor, [prompt]), known)

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
        chosen = await self.preferences(actor)
        prompt = await self._studio.single(actor, text) if text else None
        private = chosen.private if prompt is None or prompt.private is None else prompt.private

        taken: list[Source] = []

        async def built() -> NewJob:
            [picture] = self.links.attached([image]) if image else [None]
            name = await self.links.name_of(actor, named) if named else None
            source = await self._studio.sources.find(actor, picture, name)
            taken.append(source)
            words = None
            if prompt is not None:
                words = await self._studio.words(actor, prompt, await self._given(actor, [prompt]))
            new = await build(source, words)
            typed = prompt is not None and prompt.lane is not None
            return replace(new, lane=new.lane if typed else chosen.lane or new.lane)

        job = await self._answers.ask(interaction, built, private=private)
        if job is not None and image is None and named is None:
            await self._say_which(interaction, job, taken[0])
        return job

    async def _say_which(self, interaction: discord.Interaction, job: Job, source: Source) -> None:
        """Say that the asker's last picture was taken, once the job's message says something: the first word
        after an acknowledgement would take that message's place."""
        if source.job is not None and await self._shown_once(job.id):
            text = f"No picture was named, so this is your last one: `{source.job.id} {source.index + 1}`."
            await add_whisper(interaction, text)

    async def picture(self, actor: Actor, image: discord.Attachment | None, link: str | None) -> Source:
        """Return an attached picture, or the one that ``link`` leads to or names. Raises UserError."""
        if link and link.strip("<> ").lower().startswith("http"):
            return await self._studio.sources.meant(actor, await self.links.given(actor, link.strip("<> ")))
        [picture] = self.links.attached([image]) if image else [None]
        return await self._studio.sources.find(actor, picture, link)

    # Several jobs

    async def _offer(
        self, interaction: discord.Interaction, prompts: Sequence[Prompt], files: Sequence[discord.Attachment]
    ) -> None:
        """Ask whether so many jobs are meant. Pictures are taken in now: their links don't live long."""
        if not await self._answers.acknowledge(interaction, ephemeral=True):
            return
        actor = actor_of(interaction)
        given = await self._given(actor, prompts, files)
        prompts, found = await self._studio.with_pictures(actor, prompts, given)
        draft = await self._studio.draft(actor, prompts, found)
        times: Counter[str] = Counter()
        for prompt in prompts:
            times[format_prompt(replace(prompt, repeat=None))] += prompt.repeat or 1
        await interaction.edit_original_response(
            content=messages.offer(times),
            view=buttons.for_draft(draft, times.total()),
            allowed_mentions=SILENT,
        )

    async def each(self, actor: Actor, texts: Sequence[str]) -> list[NewJob]:
        """Return what single prompts ask for, with the member's own settings. Raises PromptError, ImageError
        or NotAllowedError."""
        chosen = await self.preferences(actor)
        read = [(await self._studio.read(actor, text, chosen))[0] for text in texts]
        prompts = [replace(prompt, repeat=None) for prompt in read]
        given = await self._given(actor, prompts)
        return jobs_of(*await self._studio.with_pictures(actor, prompts, given))

    async def on_draft(self, interaction: discord.Interaction, draft_id: str, yes: bool) -> None:
        """A confirm button was pressed. Pressing it again while its jobs wait makes none twice.

        Raises UserError when the draft is gone, NotAllowedError when it is somebody else's.
        """
        jobs = await self._studio.drafted(actor_of(interaction), draft_id)
        if not yes:
            await interaction.response.edit_message(content="Nothing was queued.", view=None)
            return
        await interaction.response.edit_message(content=f"{len(jobs)} jobs are on their way.", view=None)
        await self.queue_all(interaction, jobs, key=f"draft:{draft_id}")

    async def queue_all(
        self, interaction: discord.Interaction, jobs: Sequence[NewJob], *, key: str, before: int = 0
    ) -> None:
        """Queue each job in a message of its own, which nobody else sees if it is private; say where a limit
        ended it. before: how many were queued already."""
        for number, new in enumerate(jobs):
            try:
                press_key = f"{key}:{number}:{interaction.user.id}"
                await self._answers.submit_beside(interaction, new, press_key=press_key)
            except UserError as error:
                await add_whisper(
                    interaction, f"{before + number} of {before + len(jobs)} are queued. {error}"
                )
                return
