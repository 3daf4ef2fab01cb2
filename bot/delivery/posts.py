"""What a job's message shows: text, picture and buttons, for each kind of job and each stage of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import discord

from bot.delivery import explaining, formed, picture_buttons, reading
from bot.delivery.films import FilmPosts, as_visible
from bot.delivery.post import Picture, Post, alt
from bot.examples import text as example_text
from bot.projects.posts import OwnPosts
from bot.ui import answer_text, buttons, messages
from core.errors import FilesAway, ImageError, StorageError
from core.events import Cancelled, Event, Failed, Loading, Paused, Progress, Queued, Started
from core.job import Job
from core.requests import GenerateRequest, TryRequest
from core.requests.base import Answer
from core.results.text_lines import text_of_lines
from jobs.views import Result
from storage.lookup import StoredPicture
from studio.actor import Place
from studio.asking.films.words import running
from studio.asking.new_job import picture_of
from studio.asking.words import aspect_ratio, shorter_prompts
from studio.films.strips import Strips
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.pictures.intake import Intake
from studio.pictures.showing import Showing, Shown

SOME_DELETED = "Some pictures of this job were deleted."
_OF_WORDS = (Answer.WEIGHTS, Answer.LABELS, Answer.MAP)  # whose answers are the words that were asked with
_SUFFIXES = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg"}


class Posts:
    """Makes the posts of jobs, as they may be shown in the place they go to. web: the address of the studio
    on the web, "" where the world finds none. asks, animates, edits: whether anything here answers
    questions, makes films, and changes pictures as words say."""

    def __init__(
        self,
        showing: Showing,
        moderator: Moderator,
        intake: Intake,
        strips: Strips,
        films: FilmPosts,
        own: OwnPosts,
        web: str = "",
        *,
        asks: bool = False,
        animates: bool = False,
        edits: bool = False,
    ) -> None:
        self._showing, self._moderator, self._intake = showing, moderator, intake
        self._strips, self._web, self._asks, self._animates = strips, web, asks, animates
        self._edits = edits
        self.films, self._own = films, own
        self._made = {
            Answer.PICTURES: self._drawn,
            Answer.FILMS: films.result,
            Answer.CAPTIONS: self._described,
            Answer.WEIGHTS: self._shortened,
            Answer.LABELS: self._classified,
            Answer.MAP: self._explained,
            Answer.LINES: self._read,
            Answer.TEXT: self._answered,
            **dict.fromkeys((Answer.MODEL, Answer.VERDICTS, Answer.FILES), self._of_own_models),
        }

    async def progress(
        self, job: Job, event: Event, place: Place | None = None, *, ran: float = 0.0
    ) -> Post | None:
        """Return what to show in ``place`` (None: where it was asked for) while the job waits or runs; None
        when ``event`` changes nothing. ran: seconds since its first step."""
        job = job if place is None else await self.told(job, place)
        view = buttons.while_running(job)
        match event:
            case Queued():
                return Post(messages.waiting(job, event), view=view)
            case Loading(model, fraction):
                return Post(messages.loading(job, model, fraction), view=view)
            case Started():
                return Post(messages.running(job, None), view=view)
            case Progress(text=text) if job.request.answer is Answer.TEXT:
                content = answer_text.answering(job, text, formed.GROWING)
                return Post(content, view=answer_text.view_while_answering(job))
            case Progress(step, total, preview, doing=doing):
                picture = await self._preview(preview, job, place or _asked_in(job)) if preview else None
                detail = messages.quote(doing, 100)
                if job.request.answer is Answer.FILMS:
                    left = ran * (total - step) / step if ran and step else None
                    detail = running(step, total, left, previewed=picture is not None)
                content = messages.running(job, round(100 * step / max(1, total)), detail)
                return Post(content, picture, view)
        return None

    async def _preview(self, preview: bytes, job: Job, place: Place) -> Picture | None:
        data = await self._showing.preview(preview, job, place)
        return Picture(data, "preview.jpg", "preview") if data is not None else None

    async def result(self, result: Result, file_limit: int, place: Place | None = None) -> Post:
        """Return the final message of ``result``, its picture in at most ``file_limit`` bytes. It is to be
        shown in ``place``; None: where it was asked for."""
        place = place or _asked_in(result.job)
        result = await self._told(result, place)
        if not result.job.worded and result.job.request.answer in _OF_WORDS:
            return Post(messages.held_back(result.job))
        if isinstance(result.job.request, TryRequest):  # its set has the labels
            labels = [label for label, _ in result.scores]
            if None in await self._moderator.captions(labels, place):
                return Post(messages.held_back(result.job))
        return await self._made[result.job.request.answer](result, file_limit, place)

    async def told(self, job: Job, place: Place) -> Job:
        """Return a job as it may be told of in ``place``: without words that break a rule there."""
        return await self._moderator.told(job, place)

    async def _told(self, result: Result, place: Place) -> Result:
        return replace(result, job=await self.told(result.job, place))

    async def _drawn(self, result: Result, limit: int, place: Place) -> Post:
        """The grid, or the only picture."""
        job, pictures = result.job, result.pictures
        first, several = pictures[0], len(pictures) > 1
        stored = result.grid if result.grid is not None else first
        count = pictures[-1].index + 1
        grid = picture_buttons.for_grid
        view = grid(job, count, self._web) if several else self._single(job, first.index, stored)
        shown = await self._showing.picture(stored, job, limit)
        notes = (*shown.notes, SOME_DELETED) if len(pictures) < _asked_for(job) else shown.notes
        shape = aspect_ratio(first.width, first.height)
        content = messages.finished(job, result.parameters, notes=notes, shape=shape)
        return await self._moderated(Post(content, _attached(shown, job), view), job, pictures, place)

    async def _answered(self, result: Result, limit: int, place: Place) -> Post:
        """The answer, as far as it fits; a longer one comes as a file, too. What is drawn of it stands below,
        if that may be shown."""
        job, answer = result.job, result.answer
        assert answer is not None
        [text] = await self._moderator.captions([answer.text], place)
        if text is None:
            return Post(messages.held_back(job))
        body = formed.body(result, text)
        content, whole = answer_text.answered(job, answer, result.parameters, body)
        more = [Picture(data, name, "") for name, data in formed.attached(result, text).items()]
        if not whole:
            more.append(Picture(answer.text.encode(), answer_text.FILE, ""))
        strip = await self._strip(result, answer.text, limit, place)
        post = Post(content, strip, answer_text.view(job), tuple(more))
        return await self._with_drawing(post, result, limit, place)

    async def _strip(self, result: Result, text: str, limit: int, place: Place) -> Picture | None:
        """The frames of the film that an answer is about; None where it is about none."""
        strip = await self._strips.of(result, text, place)
        if strip is None or len(strip.data) > limit:
            return None
        hidden = "SPOILER_" if strip.visibility is Visibility.SPOILER else ""
        return Picture(strip.data, f"{hidden}frames-{result.job.id}.webp", strip.alt)

    async def _with_drawing(
        self, post: Post, result: Result, limit: int, place: Place, without: Post | None = None
    ) -> Post:
        """``post`` with what was drawn of the answer, where that is there and may be shown. without: instead
        of ``post`` where it may not."""
        job, drawn = result.job, result.grid
        if drawn is None:
            return post
        visibility = await self._moderator.visibility((*job.request.pictures, drawn.sha256), place)
        if visibility is Visibility.BLOCK:
            return without or post
        try:
            shown = await self._showing.picture(drawn, job, limit - sum(len(one.data) for one in post.more))
        except FilesAway:
            raise  # it is told with its drawing, later
        except StorageError:
            return post
        return as_visible(replace(post, picture=_attached(shown, job)), visibility, job)

    async def _read(self, result: Result, limit: int, place: Place) -> Post:
        """The text that was read, with its files, below the picture with boxes if that may be shown."""
        job = result.job
        [text] = await self._moderator.captions([text_of_lines(result.lines)], place)
        if text is None:
            return Post(messages.held_back(job))
        more = tuple(Picture(data, name, "") for name, data in reading.files(result, text).items())
        post = Post(reading.read(result, text), view=reading.view(job), more=more)
        return await self._with_drawing(post, result, limit, place)

    async def _shortened(self, result: Result, limit: int, place: Place) -> Post:
        """The words by their weight, and shorter prompts to choose from."""
        job, scores = result.job, result.scores
        count = len(shorter_prompts(scores))
        return Post(messages.shortened(job, scores), view=buttons.for_shortened(job, count))

    async def _classified(self, result: Result, limit: int, place: Place) -> Post:
        """The best guess, above the chart if there is one; a chart needs no moderation."""
        job, chart = result.job, result.grid
        tried = isinstance(job.request, TryRequest)
        told = example_text.tried if tried else messages.classified
        content = told(job, result.scores, result.parameters)
        shown = None if chart is None else await self._showing.picture(chart, job, limit)
        if tried:
            return Post(content, None if shown is None else _attached(shown, job), example_text.view(job))
        view = explaining.view(job, [label for label, _ in result.scores])
        return Post(content, None if shown is None else _attached(shown, job), view)

    async def _explained(self, result: Result, limit: int, place: Place) -> Post:
        """The label with the map of what speaks for it, if the picture may be shown."""
        post = Post(messages.classified(result.job, result.scores, result.parameters))
        return await self._with_drawing(post, result, limit, place, Post(messages.held_back(result.job)))

    async def _of_own_models(self, result: Result, limit: int, place: Place) -> Post:
        """What came of a training, a try or a bundle, with the chart or the map if that may be shown."""
        post = await self._own.result(result, limit)
        return await self._with_drawing(post, result, limit, place)

    async def _described(self, result: Result, limit: int, place: Place) -> Post:
        """The captions under the picture they describe; without the picture if there is none, or it is gone,
        too large, or may not be shown."""
        job = result.job
        captions = await self._moderator.captions(result.captions, place)
        post = Post(
            messages.described(job, captions, None, result.parameters),
            view=buttons.for_captions(job, len(captions)),
        )
        if not job.request.pictures:
            return post
        described = job.request.pictures[0]
        try:
            size = await self._intake.size(described)
            stored = StoredPicture(described, "image/png", *size, None, 0, 0)
            picture = _attached(await self._showing.picture(stored, job, limit), job)
        except FilesAway:
            raise
        except (ImageError, StorageError):
            return post
        visibility = await self._moderator.visibility((described,), place)
        if visibility is Visibility.BLOCK:
            return post
        content = messages.described(job, captions, aspect_ratio(*size), result.parameters)
        return as_visible(replace(post, content=content, picture=picture), visibility, job)

    async def ended(self, job: Job, event: Failed | Cancelled | Paused) -> Post:
        """Return what the message of a job says that ended, or pauses, without a result."""
        return without_result(await self.told(job, _asked_in(job)), event)

    async def kept(self, job: Job) -> Post:
        """Return what the job's message says where Discord refuses its result: how to get it."""
        job = await self.told(job, _asked_in(job))
        on_web = self._web and job.request.answer in (Answer.PICTURES, Answer.FILMS)
        return Post(messages.kept(job, f"{self._web}/pictures/{job.id}/1" if on_web else ""))

    async def single(self, result: Result, index: int, user_id: int, limit: int, place: Place) -> Post:
        """Return picture ``index`` (from 0) alone, in at most ``limit`` bytes, as the user asked for it."""
        result = await self._told(result, place)
        if result.films:
            return await self.films.single(result, index, user_id, limit, place)
        job, stored = result.job, picture_of(result, index)
        content = messages.single(job, index, user_id, shape=aspect_ratio(stored.width, stored.height))
        view = self._single(job, index, stored)
        return await self._picture(result, index, content, view, limit, place)

    def _single(self, job: Job, index: int, stored: StoredPicture) -> discord.ui.View:
        return picture_buttons.for_single(
            job, index, stored, self._web, asks=self._asks, films=self._animates, edits=self._edits
        )

    async def picture(
        self, result: Result, index: int, content: str, view: discord.ui.View, limit: int, place: Place
    ) -> Post:
        """Return picture or film ``index`` (from 0) in at most ``limit`` bytes, below ``content`` and above
        ``view``. Words that break a rule there are no part of the picture; ``content`` is the caller's."""
        return await self._picture(await self._told(result, place), index, content, view, limit, place)

    async def _picture(
        self, result: Result, index: int, content: str, view: discord.ui.View, limit: int, place: Place
    ) -> Post:
        if result.films:
            return await self.films.film(result, index, content, view, limit, place)
        job, stored = result.job, picture_of(result, index)
        shown = await self._showing.picture(stored, job, limit)
        content = "\n".join([content, *(f"-# {note}" for note in shown.notes)])
        return await self._moderated(Post(content, _attached(shown, job), view), job, [stored], place)

    async def _moderated(self, post: Post, job: Job, pictures: Sequence[StoredPicture], place: Place) -> Post:
        """``post`` as the worst of ``pictures`` allows."""
        hashes = tuple(picture.sha256 for picture in pictures)
        return as_visible(post, await self._moderator.visibility(hashes, place), job)


def without_result(job: Job, event: Failed | Cancelled | Paused) -> Post:
    """Return the message of a job that ended, or pauses, without a result."""
    match event:
        case Failed(message):
            return Post(messages.failed(job, message), view=buttons.after_end(job))
        case Cancelled():
            return Post(messages.cancelled(job), view=buttons.after_end(job))
        case Paused():
            return Post(messages.paused(job))


def _asked_for(job: Job) -> int:
    return job.request.num_images if isinstance(job.request, GenerateRequest) else 0


def _asked_in(job: Job) -> Place:
    return Place(job.origin.guild_id, job.origin.channel_id)


def _attached(shown: Shown, job: Job) -> Picture | None:
    if shown.data is None:
        return None
    return Picture(shown.data, f"atelier-{job.id}.{_SUFFIXES[shown.media_type]}", alt(job))
