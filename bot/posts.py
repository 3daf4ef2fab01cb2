"""What a job's message shows: text, picture or video, files and buttons, for each kind of job and each stage
of it. Text that was read is in a block of code that it can't leave, and whole in files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.projects.results import OwnPosts
from bot.ui import buttons, markdown, messages, turns
from bot.ui.buttons import JobButton, Rows, rows_of
from bot.ui.layout import BAD, CALM, MOST_CHARACTERS, Picture
from bot.ui.messages import cut_text, length, quote
from bot.ui.replies import Post, alt_text
from core.errors import FilesAway, ImageError, StorageError
from core.events import Cancelled, Event, Failed, Loading, Paused, Progress, Queued, Started
from core.job import Job
from core.language import N_, _
from core.requests import AskRequest, GenerateRequest, ImagineRequest, TryRequest
from core.requests.base import Answer
from core.results import count_words, lines_as_json, text_of_lines
from jobs.queue import Result
from storage.blobs.base import EXTENSIONS
from storage.job_queries import StoredPicture
from storage.videos import StoredVideo
from studio import texts
from studio.authority import Actor, Place
from studio.inputs import video_of
from studio.library.clips import Strips, VideoShowing
from studio.library.rendition import Showing, Shown
from studio.media.uploads import Intake
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.new_job import picture_of
from studio.requests.actions import left_out
from studio.talk.dialogues import Dialogues
from studio.talk.history import Turn
from studio.texts import aspect_ratio, counted, progress_text, shorter_prompts, video_facts, visible

CSV, JSON = "table.csv", "table.json"
GROWN = 1200  # characters of a text that is shown while it grows: the newest
LABEL = 60  # characters of what a box shows
MAX_TEXT = 3000  # characters of the text in its message; the files have the rest
MORE = N_("… the rest is in the file")
MAX_REQUEST = 25 * 2**20 - 2**16  # bytes of all files of a message, with room for the rest of it
SOME_DELETED = N_("Some pictures of this job were deleted.")
SOME_VIDEOS_DELETED = N_("Some videos of this job were deleted.")


def block(text: str, limit: int = MAX_TEXT) -> str:
    """Return as much of a text as fits in a block of code, which it can't end."""
    shown = visible(text.expandtabs(4)).replace("```", "'''").strip("\n")
    if length(shown) > limit:
        shown = f"{cut_text(shown, limit).rpartition(chr(10))[0] or cut_text(shown, limit)}\n{_(MORE)}"
    return f"```\n{shown or ' '}\n```"


def files_of_lines(result: Result, text: str) -> dict[str, bytes]:
    """Return the files that come along, by name: the text, and each line with its box."""
    given: Mapping[str, Any] = result.parameters
    size = int(given.get("width", 0)), int(given.get("height", 0))
    told = lines_as_json(result.lines, size, str(given.get("model", "")))
    return {f"{result.job.id}.txt": f"{text}\n".encode(), f"{result.job.id}.json": told.encode()}


def formed_body(result: Result, text: str) -> str | None:
    """Return how an answer is shown that has a form, None where it is shown as words."""
    answer = result.answer
    assert answer is not None
    if answer.table is not None:
        title = f"**{quote(answer.table.title, 200)}**\n" if answer.table.title else ""
        return title + block(texts.as_text(answer.table))
    if answer.boxes:
        labels = (quote(box.label, LABEL) or _("an object") for box in answer.boxes)
        return "\n".join(f"{number}\\. {label}" for number, label in enumerate(labels, 1))
    form = result.job.request.form if isinstance(result.job.request, AskRequest) else ""
    if form == "text" and text.strip():
        return block(text)
    return None


def files_of_answer(result: Result, text: str) -> dict[str, bytes]:
    """Return the files that come along, by name."""
    table = result.answer.table if result.answer else None
    if table is not None:
        return {CSV: texts.as_csv(table).encode("utf-8-sig"), JSON: texts.as_json(table).encode()}
    return files_of_lines(result, text) if result.lines else {}


GROWING: dict[str, Callable[[str], str]] = {  # form → how what there is already is shown
    "table": lambda text: block(texts.growing(text)),
    "text": lambda text: block(text[-GROWN:].partition("\n")[2] if len(text) > GROWN else text),
}


class VideoPosts:
    """Makes the posts of videos, as they may be shown in the place they go to. posters: shows their first
    frames. web: as of ``Posts``."""

    def __init__(self, showing: VideoShowing, posters: Showing, moderator: Moderator, web: str) -> None:
        self._showing, self._posters, self._moderator, self._web = showing, posters, moderator, web

    async def result(self, result: Result, limit: int, place: Place) -> Post:
        """Return the final message of a job: its video, or all of them at once, small, with U for each."""
        job, videos = result.job, result.videos
        first = videos[0]
        if len(videos) > 1:
            shown = await self._showing.mosaic(videos, job, limit)
            rows = buttons.for_grid(job, videos[-1].index + 1, self._web, videos=True)
        else:
            shown = await self._showing.video(first, job, limit)
            rows = buttons.for_video(job, first.index, self._web)
        shown = await self._or_poster(shown, result, first.index, limit)
        asked = job.request.num_images if isinstance(job.request, GenerateRequest) else len(videos)
        notes = (*shown.notes, _(SOME_VIDEOS_DELETED)) if len(videos) < asked else shown.notes
        text = messages.finished(
            job,
            result.parameters,
            notes=notes,
            shape=aspect_ratio(first.width, first.height),
            facts=video_facts(first, result.parameters),
        )
        return await self._moderated(Post(text, _attached(shown, job), rows), result, videos, place)

    async def single(self, result: Result, index: int, user_id: int, limit: int, place: Place) -> Post:
        """Return video ``index`` (from 0) alone, in at most ``limit`` bytes, as the user asked for it."""
        job, video = result.job, video_of(result, index)
        text = messages.single(
            job,
            index,
            user_id,
            shape=aspect_ratio(video.width, video.height),
            facts=video_facts(video, result.parameters),
            noun=_("Video"),
        )
        rows = buttons.for_video(job, index, self._web)
        return await self.video(result, index, text, rows, limit, place)

    async def video(
        self, result: Result, index: int, text: str, rows: Rows, limit: int, place: Place
    ) -> Post:
        """Return video ``index`` (from 0) in at most ``limit`` bytes, below ``text`` and above
        ``rows``."""
        job, video = result.job, video_of(result, index)
        shown = await self._or_poster(await self._showing.video(video, job, limit), result, index, limit)
        text = "\n".join([text, *(f"-# {note}" for note in shown.notes)])
        return await self._moderated(Post(text, _attached(shown, job), rows), result, [video], place)

    async def gif(self, result: Result, index: int, user_id: int, limit: int, place: Place) -> Post:
        """Return video ``index`` (from 0) as a GIF, which plays by itself."""
        job, video = await self._moderator.told(result.job, place), video_of(result, index)
        shown = await self._showing.gif(video, job, limit)
        text = messages.single(job, index, user_id, noun=_("GIF of video"))
        text = "\n".join([text, *(f"-# {note}" for note in shown.notes)])
        return await self._moderated(Post(text, _attached(shown, job)), result, [video], place)

    async def _or_poster(self, shown: Shown, result: Result, index: int, limit: int) -> Shown:
        """Return the first frame in the place of a video that doesn't fit, with what is told of that."""
        poster = next((picture for picture in result.pictures if picture.index == index), None)
        if shown.data is not None or poster is None:
            return shown
        still = await self._posters.picture(poster, result.job, limit)
        return replace(still, notes=(*shown.notes, *still.notes))

    async def _moderated(
        self, post: Post, result: Result, videos: Sequence[StoredVideo], place: Place
    ) -> Post:
        """``post`` as the worst frame of ``videos`` allows."""
        shown = {video.index for video in videos}
        posters = [picture.sha256 for picture in result.pictures if picture.index in shown]
        seen = (*(video.sha256 for video in videos), *posters)
        return as_visible(post, await self._moderator.visibility(seen, place), result.job)


def as_visible(post: Post, visibility: Visibility, job: Job) -> Post:
    """Return ``post`` as it is, its pictures veiled, or a notice without pictures and buttons."""
    if visibility is Visibility.BLOCK:
        return Post(messages.held_back(job))
    if visibility is Visibility.SPOILER:
        return replace(post, media=tuple(one._replace(spoiler=True) for one in post.media))
    return post


_OF_WORDS = (Answer.WEIGHTS, Answer.LABELS, Answer.MAP)  # whose answers are the words that were asked with


class Posts:
    """Makes the posts of jobs, as they may be shown in the place they go to. web: the address of the studio
    on the web, "" where the world finds none. dialogues: knows which jobs are turns of conversations. asks,
    animates, edits: whether anything here answers questions, makes videos, and changes pictures as words
    say."""

    def __init__(
        self,
        showing: Showing,
        moderator: Moderator,
        intake: Intake,
        strips: Strips,
        videos: VideoPosts,
        own: OwnPosts,
        web: str = "",
        *,
        dialogues: Dialogues,
        asks: bool = False,
        animates: bool = False,
        edits: bool = False,
    ) -> None:
        self._dialogues = dialogues
        self._showing, self._moderator, self._intake = showing, moderator, intake
        self._strips, self._web, self._asks, self._animates = strips, web, asks, animates
        self._edits = edits
        self.videos, self._own = videos, own
        self._made = {
            Answer.PICTURES: self._drawn,
            Answer.VIDEOS: videos.result,
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
        post = await self._running(job, event, place, ran)
        return None if post is None else await self._of_turn(post, job, place or _asked_in(job))

    async def _running(self, job: Job, event: Event, place: Place | None, ran: float) -> Post | None:
        rows = rows_of(JobButton(job.id, "cancel"))
        match event:
            case Queued():
                return Post(messages.waiting_text(job, event), rows=rows)
            case Loading():
                return Post(messages.loading(job, event), rows=rows)
            case Started():
                return Post(messages.progress_text(job, None), rows=rows, accent=CALM)
            case Progress(text=text) if job.request.answer is Answer.TEXT:
                answering = markdown.answering(job, text, GROWING)
                return Post(answering, rows=rows_of(JobButton(job.id, "stop")), accent=CALM)
            case Progress(step, total, preview, doing=doing):
                media: tuple[Picture, ...] = ()
                if preview:
                    data = await self._showing.preview(preview, job, place or _asked_in(job))
                    media = (Picture(data, "preview.jpg", "preview"),) if data is not None else ()
                detail = messages.quote(doing, 100)
                if job.request.answer is Answer.VIDEOS:
                    left = ran * (total - step) / step if ran and step else None
                    detail = progress_text(step, total, left, previewed=bool(media))
                told = messages.progress_text(job, round(100 * step / max(1, total)), detail)
                return Post(told, media, rows, accent=CALM)
        return None

    async def result(self, result: Result, file_limit: int, place: Place | None = None) -> Post:
        """Return the final message of ``result``, its picture in at most ``file_limit`` bytes. It is to be
        shown in ``place``; None: where it was asked for."""
        place = place or _asked_in(result.job)
        result = await self._told(result, place)
        if not result.job.worded and result.job.request.answer in _OF_WORDS:
            return Post(messages.held_back(result.job))
        if isinstance(result.job.request, TryRequest):  # its set has the labels
            labels = [label for label, _unused in result.scores]
            if None in await self._moderator.captions(labels, place):
                return Post(messages.held_back(result.job))
        post = await self._made[result.job.request.answer](result, file_limit, place)
        return await self._of_turn(post, result.job, place, result)

    async def _of_turn(self, post: Post, job: Job, place: Place, result: Result | None = None) -> Post:
        """``post`` with what the turn of a conversation adds to it that the job is: what was understood, the
        newest changes behind its pictures, and the buttons and menu of turns. result: once it is there."""
        turn_id = turns.turn_of(job)
        if turn_id is None or not post.rows:
            return post
        asker = asker_of(job, place)
        turn = await self._dialogues.turn(asker, turn_id)
        [understood] = await self._moderator.captions([turn.understood], place)
        lines = [turns.understood_text(understood)] if understood and job.worded else []
        rows = post.rows
        if result is not None and (result.pictures or result.videos):
            numbers = [one.index for one in result.videos or result.pictures]
            shown = numbers[0] if len(numbers) == 1 else None
            changes = await self._dialogues.changes(asker, job.id, numbers[0])
            lines += [turns.changes_line(changes)] if len(changes) > 1 else []
            rows = turns.rows_of_pictures(
                turn, job, shown, numbers[-1] + 1, self._web, animates=self._animates
            )
        else:
            rows = turns.add_menu(rows, turn)
        return replace(post, text=turns.with_turn(post.text, *lines), rows=rows)

    async def of_turn(self, turn: Turn, result: Result, limit: int, place: Place) -> Post:
        """Return the message of a turn that goes back to a picture, or chooses one: the picture, or all of
        its job's. Raises UserError."""
        result, index = await self._told(result, place), turn.decision.index
        job, numbers = result.job, [one.index for one in result.videos or result.pictures]
        shown = numbers[0] if len(numbers) == 1 else None if index is None else index - 1
        changes = await self._dialogues.changes(asker_of(job, place), job.id, shown or 0)
        text = turns.shown_text(turn, job, shown, changes)
        rows = turns.rows_of_pictures(turn, job, shown, numbers[-1] + 1, self._web, animates=self._animates)
        if shown is not None:
            return await self._picture(result, shown, text, rows, limit, place)
        post = await self._made[job.request.answer](result, limit, place)
        return replace(post, text=text, rows=rows) if post.rows else post

    async def told(self, job: Job, place: Place) -> Job:
        """Return a job as it may be told of in ``place``: without words that break a rule there."""
        return await self._moderator.told(job, place)

    async def _told(self, result: Result, place: Place) -> Result:
        return replace(result, job=await self.told(result.job, place))

    async def _drawn(self, result: Result, limit: int, place: Place) -> Post:
        """All pictures that may be shown, each a file of its own, or the only one."""
        job, pictures = result.job, result.pictures
        first, count = pictures[0], pictures[-1].index + 1
        found = await self._moderator.visibilities([one.sha256 for one in pictures], place)
        veiled = {one.index: said is Visibility.SPOILER for one, said in zip(pictures, found, strict=True)}
        held = [one.index for one, said in zip(pictures, found, strict=True) if said is Visibility.BLOCK]
        if len(held) == len(pictures):
            return Post(messages.held_back(job))
        seen = [one for one in pictures if one.index not in held]
        if is_sheet(job) and len(pictures) > 1:
            seen = [one for one in result.in_order if one.index not in held]
            sheet = await self._showing.sheet(seen, job)
            shown = {first.index: sheet}
            media = [one._replace(spoiler=any(veiled.values())) for one in _attached(sheet, job)]
            rows = buttons.for_sheet(job, seen, self._web)
        else:
            shown = await self._shown(seen, job, limit)
            media = [
                picture._replace(spoiler=veiled[index])
                for index, one in shown.items()
                for picture in _attached(one, job, index if len(pictures) > 1 else None, count)
            ]
            rows = self._single(job, first.index, first)
            if len(pictures) > 1:
                chosen = left_out(job.request, result.parameters) > 0
                rows = buttons.for_grid(job, count, self._web, gone=held, others=chosen)
        notes = list(dict.fromkeys(note for one in shown.values() for note in one.notes))
        if held:
            notes.append(_(messages.HELD_BACK).format(held=len(held), count=len(pictures)))
        asked = job.request.num_images if isinstance(job.request, GenerateRequest) else 0
        notes += [_(SOME_DELETED)] if len(pictures) < asked else []
        shape = aspect_ratio(first.width, first.height)
        text = messages.finished(job, result.parameters, notes=notes, shape=shape)
        return Post(text, tuple(media), rows)

    async def _shown(self, pictures: Sequence[StoredPicture], job: Job, limit: int) -> dict[int, Shown]:
        """Return pictures by number, each in at most ``limit`` bytes, and all so that a request holds
        them."""
        while True:
            shown = {one.index: await self._showing.picture(one, job, limit) for one in pictures}
            if sum(len(one.data or b"") for one in shown.values()) <= MAX_REQUEST:
                return shown
            limit = MAX_REQUEST // len(pictures)

    async def _answered(self, result: Result, limit: int, place: Place) -> Post:
        """The answer, as far as it fits; a longer one comes as a file, too. What is drawn of it stands below,
        if that may be shown."""
        job, answer = result.job, result.answer
        assert answer is not None
        [text] = await self._moderator.captions([answer.text], place)
        if text is None:
            return Post(messages.held_back(job))
        body = formed_body(result, text)
        told, whole = markdown.answered(job, answer, result.parameters, body)
        files = [Picture(data, name, "") for name, data in files_of_answer(result, text).items()]
        if not whole:
            files.append(Picture(answer.text.encode(), markdown.FILE, ""))
        frames: tuple[Picture, ...] = ()  # of the video that the answer is about
        strip = await self._strips.of(result, answer.text, place)
        if strip is not None and len(strip.data) <= limit:
            veiled = strip.visibility is Visibility.SPOILER
            frames = (Picture(strip.data, f"frames-{job.id}.webp", strip.alt, veiled),)
        post = Post(told, frames, markdown.rows_of_answer(job, answer.text), tuple(files))
        return await self._with_drawing(post, result, limit, place)

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
            shown = await self._showing.picture(drawn, job, limit - sum(len(one.data) for one in post.files))
        except FilesAway:
            raise  # it is told with its drawing, later
        except StorageError:
            return post
        return as_visible(replace(post, media=_attached(shown, job)), visibility, job)

    async def _read(self, result: Result, limit: int, place: Place) -> Post:
        """The text that was read, with its files, below the picture with boxes if that may be shown."""
        job = result.job
        [text] = await self._moderator.captions([text_of_lines(result.lines)], place)
        if text is None:
            return Post(messages.held_back(job))
        parameters = result.parameters
        count = f"{counted(len(result.lines), 'line')} · {counted(count_words(result.lines), 'word')}"
        foot = _(
            "-# {count} · {get} · job {id}",
            count=count,
            get=quote(str(parameters.get("model", "")), 60),
            id=job.id,
        )
        lines = [messages.title(job), block(text), foot, *messages.notes_of(parameters)]
        told = messages.fit_message("\n".join(lines), MOST_CHARACTERS)
        files = tuple(Picture(data, name, "") for name, data in files_of_lines(result, text).items())
        rows = rows_of(*(JobButton(job.id, action) for action in ("details", "delete")))
        post = Post(told, rows=rows, files=files)
        return await self._with_drawing(post, result, limit, place)

    async def _shortened(self, result: Result, limit: int, place: Place) -> Post:
        """The words by their weight, and shorter prompts to choose from."""
        job, scores = result.job, result.scores
        count = len(shorter_prompts(scores))
        return Post(messages.shortened(job, scores), rows=buttons.for_shortened(job, count))

    async def _classified(self, result: Result, limit: int, place: Place) -> Post:
        """The best guess, above the chart if there is one; a chart needs no moderation."""
        job, chart = result.job, result.grid
        tried = isinstance(job.request, TryRequest)
        told = markdown.trial_text if tried else messages.classified
        text = told(job, result.scores, result.parameters)
        shown = None if chart is None else await self._showing.picture(chart, job, limit)
        media = () if shown is None else _attached(shown, job)
        if tried:
            rows = rows_of(*(JobButton(job.id, action) for action in ("again", "details", "delete")))
            return Post(text, media, rows)
        return Post(text, media, buttons.for_labels(job, [label for label, _unused in result.scores]))

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
        text = messages.described(job, captions, None, result.parameters)
        post = Post(text, rows=buttons.for_captions(job, len(captions)))
        if not job.request.pictures:
            return post
        described = job.request.pictures[0]
        try:
            size = await self._intake.size(described)
            stored = StoredPicture(described, "image/png", *size, None, 0, 0)
            media = _attached(await self._showing.picture(stored, job, limit), job)
        except FilesAway:
            raise
        except (ImageError, StorageError):
            return post
        visibility = await self._moderator.visibility((described,), place)
        if visibility is Visibility.BLOCK:
            return post
        text = messages.described(job, captions, aspect_ratio(*size), result.parameters)
        return as_visible(replace(post, text=text, media=media), visibility, job)

    async def ended(self, job: Job, event: Failed | Cancelled | Paused) -> Post:
        """Return what the message of a job says that ended, or pauses, without a result."""
        job = await self.told(job, _asked_in(job))
        return await self._of_turn(without_result(job, event), job, _asked_in(job))

    async def kept(self, job: Job) -> Post:
        """Return what the job's message says where Discord refuses its result: how to get it."""
        job = await self.told(job, _asked_in(job))
        address = self._web.removeprefix(buttons.INSIDE)
        on_web = address and job.request.answer in (Answer.PICTURES, Answer.VIDEOS)
        return Post(messages.kept(job, f"{address}/pictures/{job.id}/1" if on_web else ""))

    async def single(self, result: Result, index: int, user_id: int, limit: int, place: Place) -> Post:
        """Return picture ``index`` (from 0) alone, in at most ``limit`` bytes, as the user asked for it."""
        result = await self._told(result, place)
        if result.videos:
            return await self.videos.single(result, index, user_id, limit, place)
        job, stored = result.job, picture_of(result, index)
        shape = aspect_ratio(stored.width, stored.height)
        text = messages.single(job, index, user_id, shape=shape, seed=stored.seed)
        rows = self._single(job, index, stored)
        return await self._picture(result, index, text, rows, limit, place)

    def _single(self, job: Job, index: int, stored: StoredPicture) -> Rows:
        return buttons.for_single(
            job, index, stored, self._web, asks=self._asks, videos=self._animates, edits=self._edits
        )

    async def picture(
        self, result: Result, index: int, text: str, rows: Rows, limit: int, place: Place
    ) -> Post:
        """Return picture or video ``index`` (from 0) in at most ``limit`` bytes, below ``text`` and above
        ``rows``. Words that break a rule there are no part of the picture; ``text`` is the caller's."""
        return await self._picture(await self._told(result, place), index, text, rows, limit, place)

    async def _picture(
        self, result: Result, index: int, text: str, rows: Rows, limit: int, place: Place
    ) -> Post:
        if result.videos:
            return await self.videos.video(result, index, text, rows, limit, place)
        job, stored = result.job, picture_of(result, index)
        shown = await self._showing.picture(stored, job, limit)
        text = "\n".join([text, *(f"-# {note}" for note in shown.notes)])
        hashes = (stored.sha256,)
        visibility = await self._moderator.visibility(hashes, place)
        return as_visible(Post(text, _attached(shown, job), rows), visibility, job)


def is_sheet(job: Job) -> bool:
    """Return whether a job's pictures are drafts of a sheet, which are shown as one picture."""
    return isinstance(job.request, ImagineRequest) and job.request.is_sheet


def without_result(job: Job, event: Failed | Cancelled | Paused) -> Post:
    """Return the message of a job that ended, or pauses, without a result."""
    match event:
        case Failed(message):
            return Post(messages.failed(job, message), rows=buttons.after_end(job), accent=BAD)
        case Cancelled():
            return Post(messages.cancelled(job), rows=buttons.after_end(job))
        case Paused():
            return Post(messages.paused(job))


def _asked_in(job: Job) -> Place:
    return Place(job.origin.guild_id, job.origin.channel_id, job.origin.away)


def asker_of(job: Job, place: Place) -> Actor:
    """Return who has asked for a job, as somebody in ``place``."""
    return Actor(job.origin.user_id, place.guild_id, place.channel_id)


def _attached(shown: Shown, job: Job, index: int | None = None, count: int = 1) -> tuple[Picture, ...]:
    """Return a picture as a file of a message, none where there is no data. index: of ``count`` pictures that
    stand there (from 0), None = it stands alone."""
    if shown.data is None:
        return ()
    number, about = (
        ("", "")
        if index is None
        else (f"-{index + 1}", _("{index} of {count}: ", index=index + 1, count=count))
    )
    name = f"atelier-{job.id}{number}.{EXTENSIONS[shown.media_type]}"
    return (Picture(shown.data, name, f"{about}{alt_text(job)}"),)
