"""What a press on a job's button does, and what comes back from the windows that some of them open."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import discord

from bot.chat import Questions, Teaching
from bot.delivery import Sharing
from bot.discord_api.interactions import actor_of, press_key
from bot.posts import is_sheet
from bot.projects.handlers import Verdicts
from bot.submit import Answers, Asking
from bot.talk import Turns
from bot.ui import buttons, markdown, messages, modals
from bot.ui.layout import Picture
from bot.ui.modals import Submission, Window
from bot.ui.replies import SILENT, Post, add_whispers, answers_privately, whisper
from core.convert import Preferences
from core.errors import UserError
from core.job import Job
from core.language import N_, _
from core.limits import MAX_LABEL
from core.prompt.values import decimal
from core.requests import GenerateRequest
from core.requests.base import Answer
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.moderation.rules import Visibility
from studio.new_job import NewJob, custom_sides, picture_of, read_aspect, read_zoom, split_zoom
from studio.requests import actions
from studio.requests.actions import NEWER, RIGHTS
from studio.requests.prompts import remix_text
from studio.studio import Studio

VIDEO_WINDOWS = ("vremix", "vblend", "cut")
STRENGTHS = {  # of a remix → what it is called
    "mild": N_("Mild: the same video, different details"),
    "subtle": N_("Subtle: nearly the same video"),
    "strong": N_("Strong: only a little is kept"),
}
HELD_BACK = N_("A rule of this server hides what was found in that picture.")


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
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._studio, self._answers, self._asking, self._sharing = studio, answers, asking, sharing
        self._questions, self._teaching = questions, teaching
        self._own: dict[str, Callable[[discord.Interaction, Job, int], Awaitable[None]]] = {
            "weights": self._weights,
            "cancel": self._cancel,
            "stop": self._cancel,
            "more": questions.open_more,
            "teach": teaching.open_teach,
            "question": questions.open_about,
            "draw": questions.open_drawing,
            "thread": questions.open_thread,
            "all": self._imagine_all,
            "region": self._region,
            "favourite": self._favourite,
            "details": self.details,
            "dm": self.send_dm,
            "delete": self._delete,
            **{what: partial(self._single, what) for what in ("upscale", "gif")},
            **{what: partial(self._open_prompt, what) for what in ("caption", "short")},
            **{what: partial(self._open_window, what) for what in ("edit", "zoom", *VIDEO_WINDOWS)},
            **verdicts.own,
        }

    async def on_press(self, interaction: discord.Interaction, job_id: str, action: str, index: int) -> None:
        """Do what button ``action`` under picture ``index`` (from 0) of a job says. Raises UserError when it
        can't be done, NotAllowedError when the presser may not."""
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
            label = buttons.BUTTONS[action].label or {"again": "re-roll"}.get(
                action, _("pan {action}", action=action)
            )
            title = (
                _("Remix") if action == "remix" else _("Remix: {format}", format=label.format(n=index + 1))
            )
            text = (
                actions.moving_text(job)
                if action in actions.MOTIONS_OF
                else await self._own_words(actor, job, action, index)
            )
            window = Window(title, "remix", job.id, index, action)
            window.add_text(_("Prompt"), "prompt", text, long=True, required=False)
            await interaction.response.send_modal(window)
            return
        build = partial(self._studio.from_button, actor, job.id, action, index, strong=chosen.strong)
        await self._asking.queue(interaction, build, private=job.origin.private, chosen=chosen)

    async def _own_words(self, actor: Actor, job: Job, action: str, index: int) -> str:
        """The words of a picture: of a sheet, those of the one draft."""
        if not is_sheet(job) or action == "again":
            return remix_text(job)
        result = await self._studio.rights.result(actor, job.id, RIGHTS[action])
        return remix_text(job, picture_of(result, index).seed)

    async def on_sheet(
        self, interaction: discord.Interaction, job_id: str, action: str, places: tuple[int, ...]
    ) -> None:
        """Do what a menu of a sheet says with drafts by their places (from 0): show the one, or draw them in
        full, for their asker alone where the sheet is somebody else's. Raises UserError or NotAllowedError.
        """
        if action not in buttons.SHEETS:
            raise UserError(NEWER)
        actor = actor_of(interaction)
        job = await self._studio.rights.job(actor, job_id, RIGHTS[action])
        if action == "upscale":
            return await self._single(action, interaction, job, places[0] if places else 0)
        chosen = await self._asking.preferences(actor)
        private = job.origin.private or chosen.private or job.origin.user_id != actor.user_id
        if len(places) == 1:
            build = partial(self._studio.from_button, actor, job.id, action, places[0])
            await self._asking.queue(interaction, build, private=private, chosen=chosen)
            return
        jobs = [await self._studio.from_button(actor, job.id, action, place) for place in places]
        jobs = [one.chosen(chosen.lane, private=private) for one in jobs]
        key = f"sheet:{job.id}:{'-'.join(map(str, places))}"
        await self._queue_several(interaction, jobs, key)

    # Windows, opened

    async def _open_prompt(self, what: str, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window with a caption, or with a shorter prompt, to imagine."""
        find = self._studio.shorter if what == "short" else self._studio.captions
        prompts: Sequence[str | None] = await find(actor_of(interaction), job.id)
        if index >= len(prompts):
            noun = _("shorter prompts") if what == "short" else "prompts"
            raise UserError(f"There are {len(prompts)} {noun}; there is no number {index + 1}.")
        if (prompt := prompts[index]) is None:
            raise UserError(HELD_BACK)
        await interaction.response.send_modal(modals.caption_window(job.id, index, prompt, what))

    async def _open_window(self, what: str, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window of a button that needs nothing but its picture or video."""
        if what in VIDEO_WINDOWS:
            actor, videos = actor_of(interaction), self._studio.video_requests
            clip = await videos.of_job(actor, job, index, actions.RIGHTS[what])
        if what == "edit":
            window = Window(_("Edit by words"), what, job.id, index)
            window.add_text(_("What to change"), "prompt", long=True, hint=_("make the house blue"))
        elif what == "zoom":  # any factor, any shape, other words
            window = Window(_("Custom Zoom"), what, job.id, index)
            text = await self._own_words(actor_of(interaction), job, what, index)
            window.add_text(_("Prompt"), "prompt", text, long=True, required=False)
            hint = _("16:9; empty: the picture's own")
            window.add_text(_("Aspect"), "aspect", hint=hint, required=False, most=11)
            hint = _("1 keeps the size and only changes the shape")
            window.add_text(_("Zoom, 1 to 2"), "zoom", "2", hint=hint, most=5)
        elif what == "vremix":
            window = Window(_("Remix"), what, job.id, clip.index)
            window.add_text(_("What the video shows"), "prompt", remix_text(job), long=True)
            window.add_choice(_("How much to change"), "strength", STRENGTHS)
        elif what == "vblend":
            window = Window(_("Blend two videos"), what, job.id, clip.index)
            hint = _("a message link, or a job id and number: abcd2345efgh 2")
            window.add_text(_("A video made here"), "source", required=False, hint=hint, most=200)
            window.add_upload(_("Or a video of yours"), "clip", _("It comes after this one"))
            window.add_text(_("What happens between them"), "prompt", long=True, required=False)
        else:
            whole = decimal(round(clip.seconds, 2))
            window = Window(_("Cut"), what, job.id, clip.index)
            window.add_text(_("From, seconds of {whole}", whole=whole), "start", "0", most=8)
            window.add_text(
                _("To, seconds"),
                "end",
                required=False,
                hint=_("empty: its end, {whole}", whole=whole),
                most=8,
            )
        await interaction.response.send_modal(window)

    @answers_privately
    async def _region(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Show the picture with numbered fields to its presser alone."""
        numbered = await self._studio.numbered(actor_of(interaction), job.id, index)
        if numbered.data is None:
            raise UserError("This picture isn't allowed here, so its fields can't be shown.")
        veiled = numbered.visibility is Visibility.SPOILER
        name, alt = f"fields-{job.id}.webp", _("the picture with numbered fields")
        text = _(
            "Choose the fields of picture {index} to redraw; then you can change its words.", index=index + 1
        )
        text = _("{text} Everything else stays as it is.", text=text)
        rows = buttons.rows_of(buttons.RegionMenu(job.id, index), buttons.RegionButton(job.id, index))
        await Post(text, (Picture(numbered.data, name, alt, veiled),), rows).answer(interaction)

    async def on_region(
        self, interaction: discord.Interaction, job_id: str, index: int, cells: tuple[int, ...]
    ) -> None:
        """Open the window for chosen fields, or (none) for another way to say which part is meant. Raises
        ImageError or NotAllowedError."""
        job = await self._studio.rights.job(actor_of(interaction), job_id, Action.VARY)
        bits = f"{modals.cell_bits(cells):x}" if cells else ""
        window = Window(_("Vary (Region)"), "region", job.id, index, bits)
        text = await self._own_words(actor_of(interaction), job, "region", index)
        window.add_text(_("Prompt"), "prompt", text, long=True, required=False)
        if not cells:
            window.add_text(
                _("What to change"), "region", hint=_("the red boat"), required=False, most=MAX_LABEL
            )
            marks = _("White marks the part to change; or the picture with that part erased or painted over")
            window.add_upload(_("Or a mask"), "mask", marks)
        await interaction.response.send_modal(window)

    # Windows, sent

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Queue what a window asks for that came back. Raises UserError."""
        if sent.what in ("menu", "more", "question"):
            await self._questions.on_window(interaction, sent)
            return
        if sent.what in ("teach", "example", "examples"):
            await self._teaching.on_window(interaction, sent)
            return
        right = RIGHTS[sent.more if sent.what == "remix" and sent.more in RIGHTS else sent.what]
        actor = actor_of(interaction)
        job = await self._studio.rights.job(actor, sent.job_id, right)
        chosen = await self._asking.preferences(actor)
        if sent.what in ("caption", "short", "draw"):
            await self._asking.imagine(interaction, sent.text("prompt"), parent=(job, sent.index))
            return
        if sent.what in VIDEO_WINDOWS:
            build = partial(self._video, interaction, job, sent)
        else:
            work = {
                "remix": self._remixed,
                "edit": self._edited,
                "zoom": self._zoomed,
                "region": self._region_sent,
            }[sent.what]
            build = partial(work, interaction, job, sent, chosen)
        await self._asking.queue(interaction, build, private=job.origin.private, chosen=chosen)

    async def _remixed(
        self, interaction: discord.Interaction, job: Job, sent: Submission, chosen: Preferences
    ) -> NewJob:
        actor = actor_of(interaction)
        video = sent.more in actions.VIDEO_REMIXABLE or job.request.answer is Answer.VIDEOS
        words = await self._asking.words(actor, sent.text("prompt"), job, video=video)
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
        return actions.outpaint(source, sides, words).in_lane_of(job, words)

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
        return actions.redraw_region(source, words, cells=cells, what=what).in_lane_of(job, words)

    async def _video(self, interaction: discord.Interaction, job: Job, sent: Submission) -> NewJob:
        """Return the job that a window asks for. Raises UserError for what can't be read, ImageError for a
        video that isn't there, NotAllowedError for somebody else's."""
        actor, what, words = actor_of(interaction), sent.what, None
        form: dict[str, Given] = {"start": sent.text("start"), "end": sent.text("end")}
        if what != "cut":
            words = await self._asking.words(actor, sent.text("prompt"), job, video=True)
        if what == "vremix" and words and words.prompt.strength is None:
            strength = actions.STRENGTHS.get(sent.chosen("strength") or "mild")
            words = replace(words, prompt=replace(words.prompt, strength=strength))
        if what == "vblend" and words:
            form["source"] = await self._other(interaction, actor, sent)
            words = words if words.prompt.text else None
        return await self._studio.from_button(actor, job.id, what, sent.index, words, form=form)

    async def _other(self, interaction: discord.Interaction, actor: Actor, sent: Submission) -> Given:
        """Return the video that a window names or brings along."""
        named, files = sent.text("source"), sent.files.get("clip", ())
        if bool(named) == bool(files):
            raise UserError("Name a video made here, or attach one, but not both.")
        if named:
            return await self._asking.links.name_of(actor, named)
        upload = modals.uploaded(interaction, files[0])
        if upload is None:
            raise UserError("The video didn't arrive. Send it again.")
        [video] = self._asking.links.attached([upload])
        return video

    # Without a window

    async def _single(self, what: str, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Answer with one picture at its size, or with a video as a GIF."""
        actor = actor_of(interaction)
        anothers = is_sheet(job) and job.origin.user_id != actor.user_id
        alone = anothers or await self._asking.is_alone(actor, job)
        if not await self._answers.acknowledge(interaction, ephemeral=alone):
            return
        result = await self._studio.rights.result(actor, job.id, RIGHTS[what])
        if what == "gif":
            return await self._sharing.answer_gif(interaction, result, index)
        picture_of(result, index)  # its number must exist
        await self._sharing.answer(interaction, result, index)

    @answers_privately
    async def _cancel(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        await self._answers.cancel(interaction, job.id)

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
        lane = chosen.lane or job.lane
        jobs = [
            replace(new, parent=(job.id, i), lane=lane, own_words=False).chosen(None, private=private)
            for i, new in zip(captions, asked, strict=True)
        ]
        await self._queue_several(interaction, jobs, f"all:{job.id}")

    async def _queue_several(
        self, interaction: discord.Interaction, jobs: Sequence[NewJob], key: str
    ) -> None:
        """Queue jobs of one press: the first answers here, the others in messages of their own. key: what
        the others have in common."""
        if not await self._answers.acknowledge(interaction, ephemeral=jobs[0].private):
            return
        first = messages.placeholder_text(jobs[0].request, interaction.user.id)
        # said at once, else the first follow-up would take its place
        await interaction.edit_original_response(content=first, allowed_mentions=SILENT)
        if await self._answers.submit(interaction, jobs[0], press_key=press_key(interaction)) is not None:
            await self._asking.queue_all(interaction, jobs[1:], key=key, before=1)

    @answers_privately
    async def _favourite(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        kept = await self._studio.own.toggle_favourite(actor_of(interaction), job.id, index)
        text = _("Saved to your `/favourites`. Press again to remove it.")
        await whisper(interaction, text if kept else _("Removed from your `/favourites`."))

    @answers_privately
    async def details(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Say everything about a job and its picture ``index`` (from 0). Raises ImageError or
        NotAllowedError."""
        job, result = await self._studio.made(actor_of(interaction), job.id, Action.DETAILS)
        parameters, pictures = (result.parameters, result.pictures) if result else ({}, ())
        more = list[str]()
        if result and result.answer:
            feedback = await self._studio.feedback.of(actor_of(interaction), job.id)
            more = markdown.details(result.answer, feedback)
        await add_whispers(interaction, messages.details(job, parameters, pictures, index, more))
        if pictures:
            changes = await self._turns.changes(actor_of(interaction), job.id, index)
            if changes.rows:  # there are some
                await changes.send_beside(interaction)

    @answers_privately
    async def _weights(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        result = await self._studio.rights.result(actor_of(interaction), job.id, Action.DETAILS)
        await whisper(interaction, messages.weights(result.scores))

    @answers_privately
    async def send_dm(self, interaction: discord.Interaction, job: Job, index: int | None) -> None:
        """Send picture ``index`` (from 0) of a job, or all (None), to the asker. Raises UserError."""
        result = await self._studio.rights.result(actor_of(interaction), job.id, Action.DM)
        await self._sharing.hand_over(interaction.user, result, None if index is None else [index])
        await whisper(interaction, _("I sent it to your direct messages."))

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
