"""``/video``: films from words, pictures and other films, attached, linked or named."""

from __future__ import annotations

from dataclasses import dataclass, replace

import discord

from bot.answers import Answers
from bot.asking import Asking
from bot.wire.interactions import actor_of
from core.errors import UserError
from core.job import Job
from studio.actor import Actor
from studio.asking.films.filming import Asked, Material
from studio.asking.new_job import NewJob
from studio.asking.sources import Given
from studio.studio import Studio


@dataclass(frozen=True)
class Files:
    """What comes along with a command. source, source2: message links, or job ids with numbers, of films, or
    one of a picture."""

    image: discord.Attachment | None = None
    end: discord.Attachment | None = None
    clip: discord.Attachment | None = None
    clip2: discord.Attachment | None = None
    source: str | None = None
    source2: str | None = None


class Filming:
    """Asks the studio for films on behalf of an interaction."""

    def __init__(self, studio: Studio, answers: Answers, asking: Asking) -> None:
        self._studio, self._answers, self._asking = studio, answers, asking

    async def ask(self, interaction: discord.Interaction, asked: Asked, files: Files) -> Job | None:
        """Queue what a command asks for. Raises PromptError or UserError, before anything is fetched, for
        what can't be read; all else that goes wrong is said to the asker."""
        actor = actor_of(interaction)
        chosen = await self._asking.preferences(actor)
        material = await self._material(actor, files)
        do, prompt = await self._studio.filming.read(actor, asked, material, chosen)

        async def build() -> NewJob:
            linked = await self._asking.links.resolve(actor, prompt.pictures)
            found = replace(material, linked=linked)
            new = await self._studio.filming.ask(actor, do, prompt, asked, found)
            return new.chosen(prompt.lane or chosen.lane)

        return await self._answers.ask(interaction, build, private=bool(prompt.private))

    async def _material(self, actor: Actor, files: Files) -> Material:
        """Return files and names, each in the place that it belongs to."""
        image, end, clip, clip_2 = (
            self._asking.links.attached([file])[0] if file is not None else None
            for file in (files.image, files.end, files.clip, files.clip2)
        )
        found = Material(image, end, clip, clip_2)
        if files.source:
            found = await self._named(actor, found, files.source)
        if files.source2:
            name = await self._name(actor, files.source2)
            if found.clip_2 is not None:
                raise UserError("Give `clip2` or `source2`, not both.")
            found = replace(found, clip_2=name)
        return found

    async def _named(self, actor: Actor, found: Material, source: str) -> Material:
        """Return what comes along with a film or picture of ours beside it."""
        name = await self._name(actor, source)
        if await self._studio.filming.is_film(str(name)):
            if found.clip is not None:
                raise UserError("Give `clip` or `source`, not both.")
            return replace(found, clip=name)
        if found.image is not None:
            raise UserError("Give `image` or `source`, not both.")
        return replace(found, image=name)

    async def _name(self, actor: Actor, text: str) -> Given:
        return await self._asking.links.name_of(actor, text.strip())
