"""``/video``: films from words, pictures and other films, attached, linked or named.

What *Remix*, *Blend…*, *Cut* and *GIF* under a film do, and what comes back from their windows.

The windows that some buttons under films open: *Remix*, *Blend…* and *Cut*."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import discord

from bot.delivery.sharing import Sharing
from bot.discord_api.interactions import actor_of
from bot.submit import Answers, Asking
from bot.ui import modals
from bot.ui.modals import Submission, Window
from core.errors import UserError
from core.job import Job
from core.prompt.values import decimal
from studio.actor import Actor
from studio.inputs import FilmSource, Given
from studio.new_job import NewJob
from studio.requests import actions
from studio.requests.prompts import remix_text
from studio.requests.video import Asked, Material
from studio.studio import Studio
from studio.texts import read_seconds


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


STRENGTHS = {  # of a remix → what it is called
    "mild": "Mild: the same film, other things",
    "subtle": "Subtle: nearly the same film",
    "strong": "Strong: little stays",
}


def remix_window(clip: FilmSource, job_id: str, text: str) -> Window:
    """Return the window for other words, and how far they may lead."""
    window = Window("Remix", "vremix", job_id, clip.index)
    window.add_text("What the film shows", "prompt", text, long=True)
    return window.add_choice("How far to go", "strength", STRENGTHS)


def blend_window(clip: FilmSource, job_id: str) -> Window:
    """Return the window for the film that this one leads to."""
    window = Window("Blend two films", "vblend", job_id, clip.index)
    window.add_text(
        "A film made here",
        "source",
        required=False,
        hint="a message link, or a job id and number: abcd2345efgh 2",
        most=200,
    )
    window.add_upload("Or a film of yours", "clip", "It comes after this one")
    return window.add_text("What happens between them", "prompt", long=True, required=False)


def cut_window(clip: FilmSource, job_id: str) -> Window:
    """Return the window for the part to keep."""
    whole = decimal(round(clip.seconds, 2))
    window = Window("Cut", "cut", job_id, clip.index)
    window.add_text(f"From, seconds of {whole}", "start", "0", most=8)
    return window.add_text("To, seconds", "end", required=False, hint=f"nothing: its end, {whole}", most=8)


Press = Callable[[discord.Interaction, Job, int], Awaitable[None]]


class FilmPresses:
    """Buttons under films that don't make a job by themselves, and their windows."""

    def __init__(self, studio: Studio, asking: Asking, sharing: Sharing) -> None:
        self._studio, self._asking, self._sharing = studio, asking, sharing
        self.own: dict[str, Press] = {
            "vremix": self._open_remix,
            "vblend": self._open_blend,
            "cut": self._open_cut,
            "gif": self._gif,
        }

    # Windows, opened

    async def _open_remix(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        clip = await self._clip(actor_of(interaction), job, index, "vremix")
        await interaction.response.send_modal(remix_window(clip, job.id, remix_text(job)))

    async def _open_blend(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        clip = await self._clip(actor_of(interaction), job, index, "vblend")
        await interaction.response.send_modal(blend_window(clip, job.id))

    async def _open_cut(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        clip = await self._clip(actor_of(interaction), job, index, "cut")
        await interaction.response.send_modal(cut_window(clip, job.id))

    async def _clip(self, actor: Actor, job: Job, index: int, action: str) -> FilmSource:
        return await self._studio.filming.of_job(actor, job, index, actions.RIGHTS[action])

    # Windows, sent

    async def made(self, interaction: discord.Interaction, job: Job, sent: Submission) -> NewJob:
        """Return the job that a window asks for. Raises UserError for what can't be read, ImageError for a
        film that isn't there, NotAllowedError for somebody else's."""
        actor, filming = actor_of(interaction), self._studio.filming
        if sent.what == "cut":
            clip = await self._clip(actor, job, sent.index, "cut")
            return await filming.cut(
                clip, read_seconds(sent.text("start")) or 0.0, read_seconds(sent.text("end"))
            )
        words = await self._asking.words(actor, sent.text("prompt"), job, film=True)
        if sent.what == "vblend":
            other = await self._other(interaction, actor, sent)
            return await filming.blend(actor, job, sent.index, other, words if words.prompt.text else None)
        clip = await self._clip(actor, job, sent.index, "vremix")
        strength = actions.STRENGTHS.get(sent.files.get("strength", ("mild",))[0])
        typed = words.prompt.strength
        return actions.remix_video(clip, words, strength if typed is None else typed, lane=job.lane)

    async def _other(self, interaction: discord.Interaction, actor: Actor, sent: Submission) -> Given:
        """Return the film that a window names or brings along."""
        named, files = sent.text("source"), sent.files.get("clip", ())
        if bool(named) == bool(files):
            raise UserError("Name a film made here, or attach one, but not both.")
        if named:
            return await self._asking.links.name_of(actor, named)
        upload = modals.uploaded(interaction, files[0])
        if upload is None:
            raise UserError("The film didn't arrive. Send it again.")
        [film] = self._asking.links.attached([upload])
        return film

    # Without a window

    async def _gif(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(thinking=True, ephemeral=job.origin.private)
        result = await self._studio.rights.result(actor_of(interaction), job.id, actions.RIGHTS["gif"])
        await self._sharing.answer_gif(interaction, result, index)
