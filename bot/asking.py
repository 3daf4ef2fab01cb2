"""From typed words to queued jobs: a member's options and settings, sets in braces, pictures, and the
question whether so many are meant."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import discord

from bot.ui import buttons, messages
from bot.ui.replies import SILENT, add_whisper
from bot.wire.attachments import Pictures
from core.errors import NotAllowedError, PromptError, UserError
from core.grammar.permutations import MAX_JOBS
from core.grammar.prompt import Prompt, format_prompt, parse
from core.grammar.spelling import hint
from core.job import Job
from core.preferences import Preferences, prompts_of
from core.requests import ImagineRequest
from core.wording import numbered, prompt_of, references, with_defaults
from storage.members import Members
from studio.asking import actions
from studio.asking.actions import Ask, Source, Words
from studio.authority import Action

if TYPE_CHECKING:
    from bot.client import Atelier

log = logging.getLogger(__name__)
PATIENCE = (
    1.0  # seconds for a member's rows, before the answer to an interaction is due; then it is kept private
)
PROFILE = tuple(f"<{n}>" for n in range(96, 100))  # what the pictures of --p are called inside


class Asking:
    """What commands and windows with a prompt have in common."""

    def __init__(self, client: Atelier, members: Members, pictures: Pictures) -> None:
        self._client, self._members, self.pictures = client, members, pictures

    async def preferences(self, user_id: int) -> Preferences:
        """At once, or private: an answer to an interaction is due within 3 s, and whether others see it has
        to be said then."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._members.preferences(user_id)
        except TimeoutError:
            log.warning("the preferences of user %d came too late", user_id)
            return Preferences(stealth=True)

    async def read(self, user_id: int, source: str, *, defaults: bool = True) -> list[Prompt]:
        """Every prompt that ``source`` stands for, with the member's own options and (``defaults``) settings.
        PromptError says what is wrong."""
        prompts = prompts_of(source, await self._members.options(user_id))
        chosen = await self.preferences(user_id)
        if defaults:
            prompts = [with_defaults(prompt, chosen.defaults) for prompt in prompts]
            if chosen.sticky:
                prompts = await self._sticky(user_id, prompts)
        return [self._known(prompt) for prompt in prompts]

    async def one(self, user_id: int, source: str) -> Prompt:
        """A prompt that must be a single one, for something that has its settings already."""
        prompts = await self.read(user_id, source, defaults=False)
        if len(prompts) > 1 or (prompts[0].repeat or 1) > 1:
            raise PromptError("Only one prompt fits here: leave out sets in braces and `--repeat`.")
        return prompts[0]

    async def words(
        self, interaction: discord.Interaction, source: str, given: Mapping[str, str] | None = None
    ) -> Words:
        """One prompt with its pictures found."""
        prompt = await self.one(interaction.user.id, source)
        prompt, profile = await self._profile(interaction.user.id, prompt)
        return Words(
            prompt,
            await self.pictures.named(
                self._client.actor(interaction), prompt.pictures, {**profile, **(given or {})}
            ),
        )

    async def imagine(
        self,
        interaction: discord.Interaction,
        source: str,
        files: Sequence[discord.Attachment] = (),
        *,
        parent: tuple[Job, int] | None = None,
    ) -> Job | None:
        """Queue what ``source`` asks for, at once if it is one job; for several a button has to be pressed
        first. parent: the job and number that the words come from; what comes from a private one is
        private."""
        prompts = [
            _with_pictures(prompt, len(files)) for prompt in await self.read(interaction.user.id, source)
        ]
        for prompt in prompts:
            _check(prompt)
        if parent and parent[0].origin.private:
            prompts = [replace(prompt, stealth=True) for prompt in prompts]
        if sum(prompt.repeat or 1 for prompt in prompts) > 1:
            await self._offer(interaction, prompts, files)
            return None
        came_from = (parent[0].id, parent[1]) if parent else None
        build = partial(self._build, interaction, prompts[0], files, came_from)
        return await self._client.ask(interaction, build, ephemeral=bool(prompts[0].stealth))

    async def _build(
        self,
        interaction: discord.Interaction,
        prompt: Prompt,
        files: Sequence[discord.Attachment],
        parent: tuple[str, int] | None,
    ) -> Ask:
        [prompt], found = await self._found(interaction, [prompt], files)
        return actions.imagine_prompt(prompt, found, seed=actions.new_seed(), parent=parent)

    async def _found(
        self, interaction: discord.Interaction, prompts: Sequence[Prompt], files: Sequence[discord.Attachment]
    ) -> tuple[list[Prompt], dict[str, str]]:
        """``prompts`` with what --p stands for, and all pictures that they name: name → SHA-256."""
        actor = self._client.actor(interaction)
        if files or any(prompt.pictures for prompt in prompts):  # of words alone, the queue asks the same
            await self._client.check(interaction, Action.ASK)
        pairs = [await self._profile(interaction.user.id, prompt) for prompt in prompts]
        given = {
            name: sha256 for _, profile in pairs for name, sha256 in profile.items()
        } | await self.pictures.attached(actor, files)
        ready = [prompt for prompt, _ in pairs]
        return ready, await self.pictures.named(
            actor, (name for prompt in ready for name in prompt.pictures), given
        )

    async def about_picture(
        self,
        interaction: discord.Interaction,
        image: discord.Attachment | None,
        source: str | None,
        text: str | None,
        build: Callable[[Source, Words | None], Awaitable[Ask]],
    ) -> Job | None:
        """Queue something about one picture: an attached one, one of ours, or the member's last. ``text``:
        new words, with flags."""
        chosen = await self.preferences(interaction.user.id)
        prompt = await self.one(interaction.user.id, text) if text else None
        private = chosen.stealth if prompt is None or prompt.stealth is None else prompt.stealth

        async def built() -> Ask:
            found = await self._client.sources.find(self._client.actor(interaction), image, source)
            ask = await build(found, await self._words_of(interaction, prompt))
            typed = prompt is not None and prompt.lane is not None
            return replace(ask, lane=ask.lane if typed else chosen.lane or ask.lane)

        return await self._client.ask(interaction, built, ephemeral=private)

    async def picture(
        self, interaction: discord.Interaction, image: discord.Attachment | None, link: str | None
    ) -> tuple[str, tuple[str, int] | None, bool]:
        """(SHA-256, job and number that it comes from, whether it is private) of an attached or named
        picture."""
        actor = self._client.actor(interaction)
        if link and link.strip("<> ").lower().startswith("http") and "/channels/" not in link:
            name = link.strip("<> ")
            return (await self.pictures.named(actor, [name], {}))[name], None, False
        source = await self._client.sources.find(actor, image, link)
        return source.sha256, source.parent, source.stealth

    async def _words_of(self, interaction: discord.Interaction, prompt: Prompt | None) -> Words | None:
        if prompt is None:
            return None
        [prompt], found = await self._found(interaction, [prompt], ())
        return Words(prompt, found)

    # Several jobs

    async def _offer(
        self, interaction: discord.Interaction, prompts: Sequence[Prompt], files: Sequence[discord.Attachment]
    ) -> None:
        """Ask whether so many jobs are meant. Pictures are taken in now: their links don't live long."""
        if not await self._client.acknowledge(interaction, ephemeral=True):
            return
        prompts, found = await self._found(interaction, prompts, files)
        count = sum(prompt.repeat or 1 for prompt in prompts)
        draft = await self._members.add_draft(
            interaction.user.id,
            {"prompts": [format_prompt(prompt) for prompt in prompts], "pictures": found, "count": count},
        )
        times: Counter[str] = Counter()
        for prompt in prompts:
            times[format_prompt(replace(prompt, repeat=None))] += prompt.repeat or 1
        text = messages.offer(times)
        await interaction.edit_original_response(
            content=text, view=buttons.for_draft(draft, count), allowed_mentions=SILENT
        )

    async def asks(self, interaction: discord.Interaction, sources: Sequence[str]) -> list[Ask]:
        """What single prompts ask for, with the member's own settings."""
        read = [(await self.read(interaction.user.id, source))[0] for source in sources]
        return _asks(*await self._found(interaction, [replace(prompt, repeat=None) for prompt in read], ()))

    async def answered(self, interaction: discord.Interaction, draft_id: str, yes: bool) -> None:
        """A confirm button was pressed. Pressing it again while its jobs wait makes none twice."""
        found = await self._members.draft(draft_id)
        if found is None:
            raise UserError("This question is gone; type the prompt again.")
        author, content = found
        if author != interaction.user.id:
            raise NotAllowedError("Somebody else was asked this.")
        if not yes:
            await interaction.response.edit_message(content="Nothing was queued.", view=None)
            return
        await interaction.response.edit_message(
            content=f"{content['count']} jobs are on their way.", view=None
        )
        prompts = [parse(text) for text in content["prompts"]][:MAX_JOBS]
        await self.queue_all(interaction, _asks(prompts, content["pictures"]), key=f"draft:{draft_id}")

    async def queue_all(
        self, interaction: discord.Interaction, asks: Sequence[Ask], *, key: str, before: int = 0
    ) -> None:
        """Each job in a message of its own, which nobody else sees if it is private; says where a limit ended
        it. before: queued already."""
        for number, ask in enumerate(asks):
            try:
                await self._client.submit_beside(
                    interaction, ask, press_key=f"{key}:{number}:{interaction.user.id}"
                )
            except UserError as error:
                await add_whisper(
                    interaction, f"{before + number} of {before + len(asks)} are queued. {error}"
                )
                return

    # Inside

    def _known(self, prompt: Prompt) -> Prompt:
        """With names of models and LoRAs as the host writes them. PromptError for one that isn't there."""
        settings = self._client.settings
        model = (
            _configured("model", prompt.model, settings.image_models)
            if prompt.model
            else self._of_version(prompt.version)
        )
        loras = tuple((_configured("lora", name, settings.loras), weight) for name, weight in prompt.loras)
        return replace(prompt, model=model, loras=loras)

    def _of_version(self, version: str | None) -> str | None:
        """The model that the host has named for a version of Midjourney's: "6.1" → v6.1 or v6, "niji 6" →
        niji6 or niji."""
        if version is None:
            return None
        names = {name.lower(): name for name in self._client.settings.image_models}
        wanted = (
            [version.replace(" ", ""), "niji"]
            if version.startswith("niji")
            else [f"v{version}", f"v{version.partition('.')[0]}"]
        )
        return next((names[name] for name in wanted if name in names), None)

    async def _sticky(self, user_id: int, prompts: list[Prompt]) -> list[Prompt]:
        """With the style of the member's last pictures, where a prompt names none."""
        last = await self._members.last_style(user_id)
        if last is None or not isinstance(last.request, ImagineRequest):
            return prompts
        before = prompt_of(last.request)
        codes = tuple((what, weight) for what, weight in before.style_references if what.isdigit())
        style = Prompt(style_references=codes, style_weight=before.style_weight) if codes else Prompt()
        return [with_defaults(prompt, style) for prompt in prompts]

    async def _profile(self, user_id: int, prompt: Prompt) -> tuple[Prompt, dict[str, str]]:
        """``--p`` as style references to the member's newest favourites."""
        if prompt.profile is None:
            return prompt, {}
        if prompt.profile:
            return replace(
                prompt, profile=None, unsupported=(*prompt.unsupported, f"--profile {prompt.profile}")
            ), {}
        kept = await self._members.favourites(user_id, limit=len(PROFILE))
        if not kept:
            raise PromptError(
                "`--p` takes the style of your own favourites, and you have none yet: press ❤️ under pictures"
                " that you like."
            )
        found = dict(zip(PROFILE, (favourite.sha256 for favourite in kept), strict=False))
        style = (*prompt.style_references, *((name, 1.0) for name in found))
        return replace(prompt, profile=None, style_references=style), found


def remix_text(job: Job) -> str:
    """A job's prompt to be changed; its pictures as numbers."""
    return (
        format_prompt(prompt_of(job.request))
        if hasattr(job.request, "prompt_parts")
        else str(getattr(job.request, "prompt", ""))
    )


def pictures_of(job: Job) -> dict[str, str]:
    """What the numbers in ``remix_text`` stand for."""
    return numbered(references(job.request)) if hasattr(job.request, "prompt_parts") else {}


def _configured(kind: str, name: str, known: Mapping[str, str]) -> str:
    for one in known:
        if one.lower() == name.lower():
            return one
    there = f"It takes {', '.join(known)}." if known else "The host has set none up."
    raise PromptError(
        f"There is no {kind} `{name}` here. {there}{hint(name.lower(), [one.lower() for one in known])}"
    )


def _with_pictures(prompt: Prompt, count: int) -> Prompt:
    """Attached pictures that the words don't name come first."""
    named = prompt.pictures
    rest = tuple((name, 1.0) for name in (f"<{n}>" for n in range(1, count + 1)) if name not in named)
    return replace(prompt, images=(*rest, *prompt.images))


def _check(prompt: Prompt) -> None:
    """What can be told before a picture is fetched."""
    if prompt.strength is not None and not prompt.images:
        raise PromptError(
            "`--strength` says how far to move from a picture; attach one as `image`, or leave it out."
        )
    if not prompt.text and not prompt.images:
        raise PromptError(
            "The prompt is empty. Say what you want to see, for example `a red house in the snow`."
        )


def _asks(prompts: Sequence[Prompt], pictures: Mapping[str, Any]) -> list[Ask]:
    """A repeat of a prompt with a seed counts on from it."""
    found = []
    for prompt in prompts:
        for number in range(prompt.repeat or 1):
            seed = None if prompt.seed is None else (prompt.seed + 4 * number) % 2**32
            found.append(
                actions.imagine_prompt(replace(prompt, seed=seed), pictures, seed=actions.new_seed())
            )
    return found
