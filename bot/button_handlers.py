"""What a press on a job's button does, and what comes back from the windows that some of them open.

The buttons under a picture that somebody sent in a direct message.

The pages of ``/favourites``: one kept picture at a time, with buttons to the next.

The pages of ``/search``: a numbered sheet with a button for each picture, for its asker alone.

``se:<job id>:<index>`` opens a picture, ``sp:<search id>:<page>`` turns to a page; the search itself is a
row."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import discord

from bot.chat import Questions, Teaching, Threads
from bot.delivery.render import Posts
from bot.delivery.sharing import Sharing
from bot.discord_api.interactions import actor_of, file_limit, place_of, press_key
from bot.projects.handlers import Verdicts
from bot.submit import Answers, Asking
from bot.ui import buttons, markdown, messages, modals
from bot.ui.modals import Submission
from bot.ui.replies import SILENT, Picture, Post, add_whisper, answers_privately, whisper
from bot.video import FilmPresses
from core.convert import Preferences
from core.errors import PromptError, UserError
from core.job import Job
from core.prompt.parser import Prompt, parse_prompt
from core.requests import GenerateRequest
from core.requests.base import Answer
from storage.gallery import Tile
from studio import search
from studio.authority import Action
from studio.moderation.rules import Visibility
from studio.new_job import NewJob, custom_sides, picture_of, read_aspect, read_zoom, split_zoom
from studio.requests import actions
from studio.requests.actions import NEWER, RIGHTS
from studio.requests.prompts import remix_text
from studio.search import Found
from studio.studio import Studio
from studio.texts import plain

HELD_BACK = "A rule of this server hides what was found in that picture."


class JobButtons:
    """Buttons of jobs, and their windows. The studio checks each press against the job's row."""

    def __init__(
        self,
        studio: Studio,
        answers: Answers,
        asking: Asking,
        sharing: Sharing,
        questions: Questions,
        teaching: Teaching,
        verdicts: Verdicts,
    ) -> None:
        self._studio, self._answers, self._asking, self._sharing = studio, answers, asking, sharing
        self._questions, self._teaching = questions, teaching
        self._films = FilmPresses(studio, asking, sharing)
        self._own: dict[str, Callable[[discord.Interaction, Job, int], Awaitable[None]]] = {
            "caption": self._caption,
            "short": self._shortened,
            "weights": self._weights,
            "cancel": self._cancel,
            "stop": self._cancel,
            "more": questions.open_more,
            "teach": teaching.open_teach,
            "question": questions.open_about,
            "draw": questions.open_drawing,
            "thread": Threads(studio).open,
            "upscale": self._single,
            "all": self._imagine_all,
            "edit": self._edit,
            "zoom": self._zoom,
            "region": self._region,
            "favourite": self._favourite,
            "details": self._details,
            "dm": self._send_dm,
            "delete": self._delete,
            **self._films.own,
            **verdicts.own,
        }

    async def on_press(self, interaction: discord.Interaction, job_id: str, action: str, index: int) -> None:
        """Do what button ``action`` under picture ``index`` (from 0) of a job says.

        Raises UserError when it can't be done, NotAllowedError when the presser may not.
        """
        if action not in RIGHTS:
            raise UserError(NEWER)
        user_id, message = interaction.user.id, interaction.message
        if action == "delete" and message and is_requester_of(message, user_id, interaction.guild_id):
            await self._delete(interaction)
            return
        job = await self._studio.rights.job(actor_of(interaction), job_id, RIGHTS[action])
        if action in self._own:
            await self._own[action](interaction, job, index)
        else:
            await self._ask(interaction, job, action, index)

    async def _ask(self, interaction: discord.Interaction, job: Job, action: str, index: int) -> None:
        """Queue what the button makes; with Remix on, open a window first."""
        actor = actor_of(interaction)
        chosen = await self._asking.preferences(actor)
        words = isinstance(job.request, GenerateRequest)
        if words and (action == "remix" or (chosen.remix and action in actions.REMIXABLE)):
            title = "Remix" if action == "remix" else f"Remix: {_name_of(action, index)}"
            text = actions.moving_text(job) if action in actions.MOTIONS_OF else remix_text(job)
            await interaction.response.send_modal(modals.remix_window(job.id, index, action, title, text))
            return
        strong = chosen.strong
        await self._queue(
            interaction,
            job,
            chosen,
            lambda: self._studio.from_button(actor, job.id, action, index, strong=strong),
        )

    async def _queue(
        self,
        interaction: discord.Interaction,
        job: Job,
        chosen: Preferences,
        build: Callable[[], Awaitable[NewJob]],
    ) -> None:
        """Queue with the presser's own speed, and privately if the presser or the parent is private."""
        private = job.origin.private or chosen.private

        async def built() -> NewJob:
            return (await build()).chosen(chosen.lane, private=private)

        await self._answers.ask(interaction, built, press_key=press_key(interaction), private=private)

    # Windows, opened

    async def _caption(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        captions = await self._studio.captions(actor_of(interaction), job.id)
        if index >= len(captions):
            raise UserError(f"There are {len(captions)} prompts; there is no number {index + 1}.")
        if (caption := captions[index]) is None:
            raise UserError(HELD_BACK)
        await interaction.response.send_modal(modals.caption_window(job.id, index, caption))

    async def _shortened(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        shorter = await self._studio.shorter(actor_of(interaction), job.id)
        if index >= len(shorter):
            raise UserError(f"There are {len(shorter)} shorter prompts; there is no number {index + 1}.")
        await interaction.response.send_modal(modals.caption_window(job.id, index, shorter[index], "short"))

    async def _edit(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.send_modal(modals.edit_window(job.id, index))

    async def _zoom(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.send_modal(modals.zoom_window(job.id, index, remix_text(job)))

    @answers_privately
    async def _region(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Show the picture with numbered fields to its presser alone."""
        numbered = await self._studio.numbered(actor_of(interaction), job.id, index)
        if numbered.data is None:
            raise UserError("This picture isn't fit to be shown here, so its fields can't be either.")
        veil = "SPOILER_" if numbered.visibility is Visibility.SPOILER else ""
        file = discord.File(
            io.BytesIO(numbered.data),
            f"{veil}fields-{job.id}.webp",
            description="the picture with numbered fields",
        )
        text = (
            f"Choose the fields of picture {index + 1} to redraw; then you can change its words."
            " Everything else stays as it is."
        )
        await interaction.edit_original_response(
            content=text, attachments=[file], view=buttons.for_region(job, index), allowed_mentions=SILENT
        )

    async def on_region(
        self, interaction: discord.Interaction, job_id: str, index: int, cells: tuple[int, ...]
    ) -> None:
        """Open the window for chosen fields, or (none) for another way to say which part is meant.

        Raises ImageError or NotAllowedError.
        """
        job = await self._studio.rights.job(actor_of(interaction), job_id, Action.VARY)
        await interaction.response.send_modal(modals.region_window(job.id, index, remix_text(job), cells))

    # Windows, sent

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Queue what a window asks for that came back. Raises UserError."""
        if sent.what in ("menu", "more", "question"):
            await self._questions.on_window(interaction, sent)
            return
        if sent.what in ("teach", "example"):
            await self._teaching.on_window(interaction, sent)
            return
        right = RIGHTS[sent.more if sent.what == "remix" and sent.more in RIGHTS else sent.what]
        actor = actor_of(interaction)
        job = await self._studio.rights.job(actor, sent.job_id, right)
        chosen = await self._asking.preferences(actor)
        if sent.what in ("caption", "short", "draw"):
            await self._asking.imagine(interaction, sent.text("prompt"), parent=(job, sent.index))
            return
        if sent.what in self._films.own:
            await self._queue(interaction, job, chosen, lambda: self._films.made(interaction, job, sent))
            return
        build = {
            "remix": self._remixed,
            "edit": self._edited,
            "zoom": self._zoomed,
            "region": self._region_sent,
        }[sent.what]
        await self._queue(interaction, job, chosen, lambda: build(interaction, job, sent, chosen))

    async def _remixed(
        self, interaction: discord.Interaction, job: Job, sent: Submission, chosen: Preferences
    ) -> NewJob:
        actor = actor_of(interaction)
        film = sent.more in actions.VIDEO_REMIXABLE or job.request.answer is Answer.FILMS
        words = await self._asking.words(actor, sent.text("prompt"), job, film=film)
        return await self._studio.from_button(
            actor, job.id, sent.more, sent.index, words, strong=chosen.strong
        )

    async def _edited(
        self, interaction: discord.Interaction, job: Job, sent: Submission, chosen: Preferences
    ) -> NewJob:
        actor = actor_of(interaction)
        words = await self._asking.words(actor, sent.text("prompt"), job)
        return await self._studio.from_button(actor, job.id, "edit", sent.index, words)

    async def _zoomed(
        self, interaction: discord.Interaction, job: Job, sent: Submission, chosen: Preferences
    ) -> NewJob:
        actor = actor_of(interaction)
        text, typed = split_zoom(sent.text("prompt"))
        words = await self._asking.words(actor, text, job)
        zoom, aspect = read_zoom(typed or sent.text("zoom")), read_aspect(sent.text("aspect"))
        before, among = getattr(job.request, "aspect_ratio", None), words.prompt.aspect_ratio
        if aspect is None and among not in (None, before):  # --ar typed among the words, as in Midjourney's
            aspect, words = among, replace(words, prompt=replace(words.prompt, aspect_ratio=None))
        source = await self._studio.picture_of(actor, job.id, sent.index, Action.ZOOM)
        sides = custom_sides(source, zoom, aspect)
        if not any(sides.values()):
            raise UserError("Nothing to add: choose a zoom over 1, or another aspect.")
        return actions.outpaint(source, sides, words, lane=job.lane)

    async def _region_sent(
        self, interaction: discord.Interaction, job: Job, sent: Submission, chosen: Preferences
    ) -> NewJob:
        actor = actor_of(interaction)
        cells = modals.bits_cells(int(sent.more, 16)) if sent.more else ()
        what, files = sent.text("region"), sent.files.get("mask", ())
        if not cells and bool(what) == bool(files):
            raise UserError("Describe in words what to change, or attach a mask, but not both.")
        words = await self._asking.words(actor, sent.text("prompt"), job)
        if files and (upload := modals.uploaded(interaction, files[0])):
            [mask] = self._asking.links.attached([upload])
            return await self._studio.regions.ask(actor, job.id, sent.index, mask, words)
        source = await self._studio.picture_of(actor, job.id, sent.index, Action.VARY)
        return actions.redraw_region(source, words, cells=cells, what=what, lane=job.lane)

    # Without a window

    @answers_privately
    async def _cancel(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await self._answers.cancel(interaction, job.id)

    async def _single(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await interaction.response.defer(thinking=True, ephemeral=job.origin.private)
        result = await self._studio.rights.result(actor_of(interaction), job.id, Action.PICK)
        picture_of(result, index)  # its number must exist
        await self._sharing.answer(interaction, result, index)

    async def _imagine_all(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Make each caption a job of its own; the first answers here, the others in messages of their own."""
        actor = actor_of(interaction)
        chosen = await self._asking.preferences(actor)
        private = job.origin.private or chosen.private
        found = await self._studio.captions(actor, job.id)
        captions = {i: caption for i, caption in enumerate(found) if caption is not None}
        if not captions:
            raise UserError(HELD_BACK if found else f"Job `{job.id}` has no prompts to imagine.")
        asked = await self._asking.each(actor, list(captions.values()))
        jobs = [
            replace(new, parent=(job.id, i), lane=job.lane, own_words=False).chosen(
                chosen.lane, private=private
            )
            for i, new in zip(captions, asked, strict=True)
        ]
        if not await self._answers.acknowledge(interaction, ephemeral=private):
            return
        first = messages.asked(jobs[0].request, interaction.user.id)
        # said at once, else the first follow-up would take its place
        await interaction.edit_original_response(content=first, allowed_mentions=SILENT)
        key = press_key(interaction)
        if await self._answers.submit(interaction, jobs[0], press_key=key) is not None:
            await self._asking.queue_all(interaction, jobs[1:], key=f"all:{job.id}", before=1)

    @answers_privately
    async def _favourite(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        kept = await self._studio.own.toggle_favourite(actor_of(interaction), job.id, index)
        text = "Saved to your `/favourites`. Press again to remove it."
        await whisper(interaction, text if kept else "Removed from your `/favourites`.")

    @answers_privately
    async def _details(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await self.tell_details(interaction, job.id, index)

    async def tell_details(self, interaction: discord.Interaction, job_id: str, index: int) -> None:
        """Say everything about a job and its picture ``index`` (from 0); the interaction was deferred.

        Raises ImageError or NotAllowedError.
        """
        job, result = await self._studio.made(actor_of(interaction), job_id, Action.DETAILS)
        parameters, pictures = (result.parameters, result.pictures) if result else ({}, ())
        more = list[str]()
        if result and result.answer:
            feedback = await self._studio.feedback.of(actor_of(interaction), job_id)
            more = markdown.details(result.answer, feedback)
        for page in messages.details(job, parameters, pictures, index, more):
            await add_whisper(interaction, page)

    @answers_privately
    async def _weights(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        result = await self._studio.rights.result(actor_of(interaction), job.id, Action.DETAILS)
        await whisper(interaction, messages.weights(result.scores))

    @answers_privately
    async def _send_dm(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await self.send_dm(interaction, job.id, [index])

    async def send_dm(self, interaction: discord.Interaction, job_id: str, indexes: list[int] | None) -> None:
        """Send pictures of a job (None = all) to the asker of a deferred interaction. Raises UserError."""
        result = await self._studio.rights.result(actor_of(interaction), job_id, Action.DM)
        await self._sharing.hand_over(interaction.user, result, indexes)
        await whisper(interaction, "I sent it to your direct messages.")

    async def _delete(self, interaction: discord.Interaction, *_: object) -> None:
        """Delete the message; the job stays, for ``/show``."""
        await interaction.response.defer()
        with suppress(discord.NotFound):  # a second click
            await interaction.delete_original_response()


def is_requester_of(message: discord.Message, user_id: int, guild_id: int | None) -> bool:
    """Return whether ``message`` is there for this person: a direct message, or an answer to their own
    command or press. They may delete it, whoever made what it shows."""
    asked = message.interaction_metadata
    return guild_id is None or (asked is not None and asked.user.id == user_id)


def _name_of(action: str, index: int) -> str:
    look = buttons.BUTTONS[action]
    return look.label.format(n=index + 1) if look.label else {"again": "re-roll"}.get(action, f"pan {action}")


log = logging.getLogger(__name__)


class UploadButtons:
    """Makes jobs of pictures that were sent. ``channel``: finds the channel of an id."""

    def __init__(self, studio: Studio, channel: Callable[[int], discord.PartialMessageable]) -> None:
        self._studio, self._channel = studio, channel

    async def on_press(self, interaction: discord.Interaction, sha256: str, action: str) -> NewJob:
        """Return the job that a button stands for. Raises ImageError when the picture is gone."""
        prompt = await self._words_beside(interaction)
        return await self._studio.from_upload(actor_of(interaction), sha256, action, prompt)

    async def _words_beside(self, interaction: discord.Interaction) -> Prompt:
        """Return what was written beside the picture, read from the message that the reply refers to."""
        reference = interaction.message.reference if interaction.message else None
        if reference is None or reference.message_id is None:
            return Prompt()
        try:
            channel = self._channel(reference.channel_id)
            return parse_prompt((await channel.fetch_message(reference.message_id)).content)
        except PromptError:
            return Prompt()
        except discord.HTTPException as error:
            log.info("the message beside a picture can't be read (%s)", error.status)
            return Prompt()


EMPTY = "You have no favourites yet. Press ❤️ under a picture, or react to one of my messages with ⭐."


class FavouritesPages:
    """Shows a member's favourites."""

    def __init__(self, studio: Studio, posts: Posts) -> None:
        self._studio, self._posts = studio, posts

    async def show(self, interaction: discord.Interaction) -> None:
        """Put the newest favourite into the answer of a deferred interaction, or say that there is none."""
        post = await self._post(interaction, 0)
        if post is None:
            await whisper(interaction, EMPTY)
        else:
            await post.answer(interaction)

    async def turn_to(self, interaction: discord.Interaction, offset: int) -> None:
        """Show the presser's own favourite number ``offset`` (from 0) in the same message.

        Raises UserError when they have none any more.
        """
        await interaction.response.defer()
        post = await self._post(interaction, offset) or await self._post(interaction, 0)
        if post is None:
            raise UserError(EMPTY)
        await post.answer(interaction)

    async def _post(self, interaction: discord.Interaction, offset: int) -> Post | None:
        found = await self._studio.own.favourite(actor_of(interaction), offset)
        if found is None:
            return None
        kept, count, result = found
        text = (
            f"❤️ {offset + 1} of {count} · **{messages.quote(kept.prompt, 300) or 'no prompt'}**\n-# job"
            f" {kept.job_id} {kept.position + 1}"
        )
        view = buttons.for_favourite(kept.job_id, kept.position, offset, count)
        if result is None:
            return Post(f"{text}\n-# Its picture is gone, or only in places that you can't see.", view=view)
        limit, place = file_limit(interaction), place_of(interaction)
        return await self._posts.picture(result, kept.position, text, view, limit, place)


PAGE, ROW = 9, 5  # pictures of a page; buttons that fit beside each other
LONGEST = 60  # characters of a picture's prompt
NOTHING = "No picture fits. Try fewer words, or another filter."
NO_MORE = "There are no more pictures that fit."


class FoundButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"se:(?P<job>[a-z2-9]{12}):(?P<index>[0-9])"
):
    """Opens a picture that was found."""

    def __init__(self, job_id: str, index: int, number: int = 1, row: int | None = None) -> None:
        custom_id = f"se:{job_id}:{index}"
        super().__init__(discord.ui.Button(label=str(number), custom_id=custom_id, row=row))
        self.job_id, self.index = job_id, index

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> FoundButton:
        """Make the item of a message that may be older than this process."""
        return cls(match["job"], int(match["index"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the press asks for."""
        client = interaction.client
        press = client.searches.open(interaction, self.job_id, self.index)
        await client.answers.guarded(interaction, press)


class SearchPageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"sp:(?P<search>[a-z2-9]{12}):(?P<page>[0-9]{1,3}):(?P<side>[lr])",
):
    """Turns to a page of a search."""

    def __init__(self, search_id: str, page: int, side: str, *, disabled: bool = False) -> None:
        emoji, custom_id = "◀️" if side == "l" else "▶️", f"sp:{search_id}:{page}:{side}"
        super().__init__(discord.ui.Button(emoji=emoji, custom_id=custom_id, disabled=disabled, row=2))
        self.search_id, self.page = search_id, page

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> SearchPageButton:
        """Make the item of a message that may be older than this process."""
        return cls(match["search"], int(match["page"]), match["side"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the press asks for."""
        client = interaction.client
        await client.answers.guarded(
            interaction, client.searches.turn_to(interaction, self.search_id, self.page)
        )


DYNAMIC_ITEMS = (FoundButton, SearchPageButton)


class SearchPages:
    """Shows what members search for."""

    def __init__(self, studio: Studio, posts: Posts) -> None:
        self._studio, self._posts = studio, posts

    async def show(self, interaction: discord.Interaction, text: str) -> None:
        """Put the first page of a search into the answer of a deferred interaction, or say that there is
        none. Raises UserError."""
        found = await self._find(interaction, text, 0)
        if not found.tiles:
            await whisper(interaction, found.note or NOTHING)
            return
        search_id = await self._studio.search.keep(actor_of(interaction), text)
        await (await self._post(interaction, search_id, text, found, 0)).answer(interaction)

    async def turn_to(self, interaction: discord.Interaction, search_id: str, page: int) -> None:
        """Show another page of the presser's own search in the same message. Raises UserError."""
        await interaction.response.defer()
        text = await self._studio.search.kept(actor_of(interaction), search_id)
        found = await self._find(interaction, text, page)
        if not found.tiles:
            raise UserError(NO_MORE)
        await (await self._post(interaction, search_id, text, found, page)).answer(interaction)

    @answers_privately
    async def open(self, interaction: discord.Interaction, job_id: str, index: int) -> None:
        """Show picture ``index`` (from 0) of a job to the presser alone, with its buttons. No row says that
        it is shown here: others don't see it. Raises ImageError or NotAllowedError."""
        result = await self._studio.rights.result(actor_of(interaction), job_id, Action.SHOW)
        picture_of(result, index)  # its number must exist
        limit, place = file_limit(interaction), place_of(interaction)
        post = await self._posts.single(result, index, interaction.user.id, limit, place)
        await post.answer(interaction)

    async def _find(self, interaction: discord.Interaction, text: str, page: int) -> Found:
        query = search.read_query(text)
        return await self._studio.search.find(actor_of(interaction), query, skip=page * PAGE, limit=PAGE)

    async def _post(
        self, interaction: discord.Interaction, search_id: str, text: str, found: Found, page: int
    ) -> Post:
        shown = await self._studio.search.sheet(actor_of(interaction), found)
        assert shown.data is not None  # a sheet is always there, though its cells may be empty
        picture = Picture(shown.data, f"search-{search_id}.webp", _alt(found))
        return Post(_text(text, found, page), picture, _view(search_id, found, page))


def _text(text: str, found: Found, page: int) -> str:
    first = page * PAGE + 1
    lines = [
        f"🔍 **{messages.quote(search.query_text(text), 200)}** · {first} to {first + len(found.tiles) - 1}"
    ]
    lines += [f"-# {number}: {_words(tile)}" for number, tile in enumerate(found.tiles, 1)]
    return "\n".join([*lines, *(f"-# {said}" for said in (found.note, found.order) if said)])


def _words(tile: Tile) -> str:
    return messages.quote(remix_text(tile.job), LONGEST) or f"/{tile.job.request.kind}"


def _alt(found: Found) -> str:
    return "; ".join(f"{number}: {plain(remix_text(tile.job))}" for number, tile in enumerate(found.tiles, 1))


def _view(search_id: str, found: Found, page: int) -> discord.ui.View:
    opening = [
        FoundButton(tile.job.id, tile.picture.index, number + 1, row=number // ROW)
        for number, tile in enumerate(found.tiles)
    ]
    back = SearchPageButton(search_id, max(0, page - 1), "l", disabled=page == 0)
    return buttons.view_of(
        *opening, back, SearchPageButton(search_id, page + 1, "r", disabled=not found.more)
    )
