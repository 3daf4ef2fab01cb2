"""What a press on a job's button does, and what comes back from the windows that some of them open. Each is
checked against the job's row."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import discord

from bot.asking import Asking, pictures_of, remix_text
from bot.ui import buttons, messages, windows
from bot.ui.replies import SILENT, add_whisper, whisper
from bot.ui.windows import Submission
from core.errors import UserError
from core.job import Job
from core.preferences import Preferences
from core.requests import GenerateRequest
from storage.members import Members
from studio.asking import actions
from studio.asking.actions import RIGHTS, Ask, Words
from studio.asking.words import caption_prompt, code, shorter_prompts
from studio.authority import Action

if TYPE_CHECKING:
    from bot.client import Atelier

_ASPECT = re.compile(r"(\d{1,5})[:x](\d{1,5})")
_ZOOM_FLAG = re.compile(r"(?:^|\s)(?:--|[\u2014\u2013])zoom[\s=]+(\S+)", re.IGNORECASE)
_ZOOM = re.compile(r"[12](?:[.,]\d{1,3})?")


class Presses:
    """Buttons of jobs, and their windows."""

    def __init__(self, client: Atelier, asking: Asking, members: Members) -> None:
        self._client, self._asking, self._members = client, asking, members

    async def pressed(self, interaction: discord.Interaction, job_id: str, action: str, index: int) -> None:
        """UserError when it can't be done, or may not."""
        if action not in RIGHTS:
            raise UserError("This button belongs to a newer version of the studio.")
        if (
            action == "delete"
            and interaction.message
            and brought(interaction.message, interaction.user.id, interaction.guild_id)
        ):
            await self._delete(interaction)
            return
        job = await self._client.job_for(interaction, job_id, RIGHTS[action])
        own = {
            "caption": self._caption,
            "short": self._shortened,
            "weights": self._weights,
            "cancel": self._cancel,
            "upscale": self._single,
            "all": self._imagine_all,
            "zoom": self._zoom,
            "region": self._region,
            "favourite": self._favour,
            "details": self._details,
            "dm": self._send_dm,
            "delete": self._delete,
        }
        if action in own:
            await own[action](interaction, job, index)
        else:
            await self._ask(interaction, job, action, index)

    async def _ask(self, interaction: discord.Interaction, job: Job, action: str, index: int) -> None:
        """The buttons that make a job; with Remix on, a window comes first."""
        chosen = await self._asking.preferences(interaction.user.id)
        words = isinstance(job.request, GenerateRequest)
        if words and (action == "remix" or (chosen.remix and action in actions.REMIXABLE)):
            title = "Remix" if action == "remix" else f"Remix: {_name_of(action, index)}"
            await interaction.response.send_modal(
                windows.remix_window(job.id, index, action, title, remix_text(job))
            )
            return
        await self._queue(interaction, job, chosen, lambda: self._request(job, action, index, chosen))

    async def _queue(self, interaction: discord.Interaction, job: Job, chosen: Preferences, build) -> None:
        """With the presser's own speed, and private if the presser or the parent is."""
        private = job.origin.private or chosen.stealth

        async def built() -> Ask:
            ask = await build()
            return replace(ask, stealth=ask.stealth or private, lane=chosen.lane or ask.lane)

        await self._client.ask(interaction, built, press_key=press_key(interaction), ephemeral=private)

    async def _request(
        self, job: Job, action: str, index: int, chosen: Preferences, words: Words | None = None
    ) -> Ask:
        if action == "again":  # also of a job that failed
            return actions.again(job, actions.new_seed(), words)
        if action == "hd":
            return actions.in_hd(job)
        result = await self._client.result_of(job)
        seed = (
            await self._client.next_seed(actions.source_of(result, index))
            if result.pictures
            else actions.new_seed()
        )
        return actions.after_press(result, action, index, seed=seed, words=words, strong=chosen.strong)

    # Windows, opened

    async def _caption(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        captions = (await self._client.result_of(job)).captions
        if index >= len(captions):
            raise UserError(f"There are {len(captions)} prompts; there is no number {index + 1}.")
        text = caption_prompt(captions[index], await self._client.intake.shape(job.request.image))
        await interaction.response.send_modal(windows.caption_window(job.id, index, text))

    async def _shortened(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        result = await self._client.result_of(job)
        shorter = shorter_prompts(result.scores)
        if index >= len(shorter):
            raise UserError(f"There are {len(shorter)} shorter prompts; there is no number {index + 1}.")
        await interaction.response.send_modal(windows.caption_window(job.id, index, shorter[index], "short"))

    async def _zoom(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.send_modal(windows.zoom_window(job.id, index, remix_text(job)))

    async def _region(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """The picture with numbered fields, for its presser alone."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        picture = actions.picture_of(await self._client.result_of(job), index)
        numbered = await self._client.intake.numbered(
            await self._client.files.get(picture.sha256), actions.GRID
        )
        file = discord.File(numbered, f"fields-{job.id}.webp", description="the picture with numbered fields")
        text = (
            f"Choose the fields of picture {index + 1} that are drawn anew; then you can change its words."
            " Everything else stays as it is."
        )
        await interaction.edit_original_response(
            content=text, attachments=[file], view=buttons.for_region(job, index), allowed_mentions=SILENT
        )

    async def region_chosen(
        self, interaction: discord.Interaction, job_id: str, index: int, cells: tuple[int, ...]
    ) -> None:
        """Fields were chosen, or (none) another way."""
        job = await self._client.job_for(interaction, job_id, Action.VARY)
        await interaction.response.send_modal(windows.region_window(job.id, index, remix_text(job), cells))

    # Windows, sent

    async def submitted(self, interaction: discord.Interaction, submission: Submission) -> None:
        right = RIGHTS[
            submission.more if submission.what == "remix" and submission.more in RIGHTS else submission.what
        ]
        job = await self._client.job_for(interaction, submission.job_id, right)
        chosen = await self._asking.preferences(interaction.user.id)
        if submission.what in ("caption", "short"):
            await self._asking.imagine(interaction, submission.text("prompt"), parent=(job, submission.index))
            return
        build = {"remix": self._remixed, "zoom": self._zoomed, "region": self._region_sent}[submission.what]
        await self._queue(interaction, job, chosen, lambda: build(interaction, job, submission, chosen))

    async def _remixed(
        self, interaction: discord.Interaction, job: Job, submission: Submission, chosen: Preferences
    ) -> Ask:
        words = await self._asking.words(interaction, submission.text("prompt"), pictures_of(job))
        return await self._request(job, submission.more, submission.index, chosen, words)

    async def _zoomed(
        self, interaction: discord.Interaction, job: Job, submission: Submission, chosen: Preferences
    ) -> Ask:
        text, typed = _split_zoom(submission.text("prompt"))
        words = await self._asking.words(interaction, text, pictures_of(job))
        zoom, aspect = _read_zoom(typed or submission.text("zoom")), read_aspect(submission.text("aspect"))
        if aspect is None and words.prompt.aspect_ratio not in (
            None,
            job.request.aspect_ratio,
        ):  # --ar typed among the words, as in Midjourney's
            aspect, words = (
                words.prompt.aspect_ratio,
                replace(words, prompt=replace(words.prompt, aspect_ratio=None)),
            )
        source = actions.source_of(await self._client.result_of(job), submission.index)
        sides = actions.custom_sides(source, zoom, aspect)
        if not any(sides.values()):
            raise UserError("Nothing to add: choose a zoom over 1, or another aspect.")
        return actions.outpaint(
            source, sides, words, seed=await self._client.next_seed(source), lane=job.lane
        )

    async def _region_sent(
        self, interaction: discord.Interaction, job: Job, submission: Submission, chosen: Preferences
    ) -> Ask:
        cells = windows.bits_cells(int(submission.more, 16)) if submission.more else ()
        what, files = submission.text("region"), submission.files.get("mask", ())
        if not cells and bool(what) == bool(files):
            raise UserError("Say what is to be changed in words, or give a mask; one of them.")
        words = await self._asking.words(interaction, submission.text("prompt"), pictures_of(job))
        if files and (upload := windows.uploaded(interaction, files[0])):
            mask, actor = await self._client.intake.read(upload), self._client.actor(interaction)
            return await self._client.regions.ask(
                actor, job.id, submission.index, mask, words, name=upload.filename
            )
        source = actions.source_of(await self._client.result_of(job), submission.index)
        return actions.region(
            source, words, seed=await self._client.next_seed(source), cells=cells, what=what, lane=job.lane
        )

    # Without a window

    async def _cancel(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._client.cancel(interaction, job.id)

    async def _single(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(thinking=True, ephemeral=job.origin.private)
        result = await self._client.result_of(job)
        actions.picture_of(result, index)  # its number must exist
        await self._client.sharing.answer(interaction, result, index)

    async def _imagine_all(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Each caption becomes a job of its own; the first answers here, the others in messages of their
        own."""
        chosen = await self._asking.preferences(interaction.user.id)
        private = job.origin.private or chosen.stealth
        captions = (await self._client.result_of(job)).captions
        if not captions:
            raise UserError(f"Job `{job.id}` has no prompts to imagine.")
        aspect = await self._client.intake.shape(job.request.image)
        texts = [caption_prompt(caption, aspect) for caption in captions]
        asks = [
            replace(ask, parent=(job.id, i), stealth=ask.stealth or private, lane=chosen.lane or job.lane)
            for i, ask in enumerate(await self._asking.asks(interaction, texts))
        ]
        if not await self._client.acknowledge(interaction, ephemeral=private):
            return
        first = messages.asked(asks[0].request, interaction.user.id)
        await interaction.edit_original_response(
            content=first, allowed_mentions=SILENT
        )  # else the first follow-up would take its place
        if await self._client.submit(interaction, asks[0], press_key=press_key(interaction)) is not None:
            await self._asking.queue_all(interaction, asks[1:], key=f"all:{job.id}", before=1)

    async def _favour(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        actions.picture_of(await self._client.result_of(job), index)
        kept = await self._members.favour(interaction.user.id, job.id, [index])
        await whisper(
            interaction,
            (
                "Kept in your `/favourites`. Once more takes it out."
                if kept
                else "Taken out of your `/favourites`."
            ),
        )

    async def _details(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        result = await self._client.queue.result(job.id)
        for page in messages.details(
            job, result.parameters if result else {}, result.pictures if result else (), index
        ):
            await add_whisper(interaction, page)

    async def _weights(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await whisper(interaction, messages.weights((await self._client.result_of(job)).scores))

    async def _send_dm(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        result = await self._client.result_of(job)
        await self._client.sharing.hand_over(interaction.user, result, [index])
        await whisper(interaction, "It is in your direct messages.")

    async def _delete(self, interaction: discord.Interaction, *_: object) -> None:
        """The message; the job stays, for ``/show``."""
        await interaction.response.defer()
        with suppress(discord.NotFound):  # a second click
            await interaction.delete_original_response()


def brought(message: discord.Message, user_id: int, guild_id: int | None) -> bool:
    """Whether ``message`` is there for this person: a direct message, or an answer to their own command or
    press. They may delete it, whoever made what it shows."""
    asked = message.interaction_metadata
    return guild_id is None or (asked is not None and asked.user.id == user_id)


def press_key(interaction: discord.Interaction) -> str | None:
    """One press of one button by one person: a double click is one job."""
    message, data = interaction.message, interaction.data or {}
    return f"{message.id}:{data.get('custom_id')}:{interaction.user.id}" if message else None


def _name_of(action: str, index: int) -> str:
    look = buttons.LOOKS[action]
    return look.label.format(n=index + 1) if look.label else {"again": "re-roll"}.get(action, f"pan {action}")


def _split_zoom(text: str) -> tuple[str, str]:
    """(the words, what stands behind ``--zoom``), which Midjourney's window takes among the words."""
    match = _ZOOM_FLAG.search(text)
    return (text[: match.start()] + text[match.end() :], match[1]) if match else (text, "")


def _read_zoom(text: str) -> float:
    zoom = float(text.replace(",", ".")) if _ZOOM.fullmatch(text) else 0.0
    if not 1 <= zoom <= 2:
        raise UserError(f"`zoom` is {code(text, 20)}; it takes a number from 1 to 2.")
    return zoom


def read_aspect(text: str | None) -> tuple[int, int] | None:
    """(w, h) of "16:9", None for nothing. UserError names the value and what is allowed."""
    if not text or not text.strip():
        return None
    match = _ASPECT.fullmatch(text.strip())
    w, h = (int(match[1]), int(match[2])) if match else (0, 0)
    if not w or not h or max(w / h, h / w) > 4:
        raise UserError(f"`aspect` is {code(text, 20)}; write it like 16:9, from 1:4 to 4:1.")
    return w, h
