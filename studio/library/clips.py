"""Videos made from videos, each by a video process of its own, from file to file: clips of what members send,
videos fitted to where they go, cut, as a GIF or side by side; stored videos as they leave the studio, with
the mark that the host wants and within a size limit; and the strip of frames beside an answer about a video.
What was made of a video is kept beside it."""

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import FilesAway, ImageError, StorageError
from core.job import Job
from core.requests import AskRequest
from core.requests.chat import cited_frames, frame_labels
from core.requests.video import CutRequest, VideoRequest
from core.settings import Settings
from jobs.queue import Queue, Result
from storage.blobs.base import Files
from storage.videos import StoredVideo
from studio.authority import Place
from studio.library.rendition import Shown
from studio.media import provenance, uploads
from studio.media.child import ask_once
from studio.media.provenance import Marker
from studio.media.uploads import PROCESS, Readable, fetched_within, short_name
from studio.media.video_decode import READ, kind_of
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility

FOLDER = "clips"  # among those of jobs, which are emptied at the next start
AT_ONCE, IN_MEMORY = 2, 2  # processes, and clips of people from their first byte on
PATIENCE = {"take": 240.0, "fit": 900.0, "cut": 480.0, "last": 90.0, "gif": 240.0, "mosaic": 480.0}  # seconds
KEPT_SECONDS = 20.0  # of a clip that somebody sends
CLIP_LIMIT = "{has:.0f} MB; the limit for clips is {most:.0f} MB."
TOO_MUCH = "takes too much time or memory; try a shorter or smaller one."


@dataclass(frozen=True)
class Clip:
    """A video that was made, in a file that is the caller's: to be taken into the store, sent, or deleted.

    width, height: px. poster: its first frame as PNG, b"" where none was asked for. notes: sentences that
    say what was done to it.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    frames: int
    sound: bool = False
    poster: bytes = field(default=b"", repr=False)
    notes: tuple[str, ...] = ()
    media_type: str = "video/mp4"

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.frames / self.fps)


class Clips:
    """Makes clips in ``folder``, with the encoder of a setting.

    max_bytes, max_seconds, max_pixels: what a clip that somebody sends may have; a pixel is one of a frame.
    """

    def __init__(
        self, folder: Path, encoder: str, *, max_bytes: int, max_seconds: float, max_pixels: int
    ) -> None:
        self._folder, self._encoder = folder, encoder
        self._max_bytes, self._max_seconds, self._max_pixels = max_bytes, max_seconds, max_pixels
        self._slots, self._room = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(IN_MEMORY)

    async def take(self, file: Readable, keep: float = KEPT_SECONDS) -> Clip:
        """Return a video that somebody sends as a clip of ours with nothing but its frames, at most ``keep``
        seconds of them. Raises ImageError, which says what is wrong with it and what is taken."""
        name = short_name(file.name)
        async with self._room:
            source = await self._sent(file)
            limits = {"keep": keep, "seconds": self._max_seconds, "pixels": self._max_pixels}
            try:
                clip, told = await self._made("take", [source], name, encoder=self._encoder, **limits)
            finally:
                await asyncio.to_thread(source.unlink, missing_ok=True)
        if told["whole"] > clip.seconds + 1:
            note = f"{name} lasts {told['whole']:.0f} s; its first {clip.seconds:g} s are used."
            return replace(clip, notes=(note,))
        return clip

    async def _sent(self, file: Readable) -> Path:
        """Return the file with what somebody sends. Raises ImageError when that is no video, or too large."""
        sent = await fetched_within(file, self._max_bytes, CLIP_LIMIT)
        if kind_of(await asyncio.to_thread(lambda: sent.head)) is None:
            raise ImageError(f"{short_name(file.name)} can't be read as a video. Supported: {READ}.")
        path = self._folder / f"sent-{secrets.token_hex(8)}"
        try:
            async for block in sent.blocks():
                await _to_its_end(append_block, path, block)
        except BaseException:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise
        return path

    async def fit(self, video: Path, limit: int) -> Clip:
        """Return a video of ours in at most ``limit`` bytes, which is smaller than it is, with a note of what
        was done. Raises ImageError when it doesn't fit, however it is made."""
        clip, told = await self._made("fit", [video], "The video", encoder=self._encoder, limit=limit)
        done = f"{clip.width}×{clip.height} px, {float(clip.fps):g} frames a second"
        done += ", without its sound" if told["lost"] else ""
        note = f"Sent with {done}: the original is larger than the {limit / 2**20:.3g} MB that fit."
        return replace(clip, notes=(note,))

    async def cut(self, video: Path, begin: float, end: float) -> Clip:
        """Return the part of a video of ours between two times, in seconds. Raises ImageError, which says
        what of it there is."""
        clip, _ = await self._made("cut", [video], "The video", encoder=self._encoder, begin=begin, end=end)
        return clip

    async def last_frame(self, video: Path) -> bytes:
        """Return the last frame of a video of ours as PNG. Raises ImageError for a damaged one."""
        async with self._making("last", [video], "The video") as (_, _, picture):
            return picture

    async def gif(self, video: Path, limit: int) -> Clip:
        """Return a video of ours as GIF of at most ``limit`` bytes. Raises ImageError when it doesn't fit."""
        clip, _ = await self._made("gif", [video], "The video", limit=limit)
        return replace(clip, media_type="image/gif")

    async def mosaic(self, videos: Sequence[Path]) -> Clip:
        """Return two to four videos of ours of one shape side by side, two in a row, in at most 1280×720 px.
        Raises ImageError for others."""
        clip, _ = await self._made("mosaic", videos, "The videos", encoder=self._encoder)
        return clip

    async def _made(
        self, command: str, sources: Sequence[Path], name: str, **given: Any
    ) -> tuple[Clip, dict[str, Any]]:
        """Return the clip that a process makes, and what is told of it."""
        kept = self._folder / f"made-{secrets.token_hex(8)}"
        try:
            async with self._making(command, sources, name, **given) as (target, told, picture):
                await _to_its_end(os.replace, target, kept)
        except asyncio.CancelledError:
            await asyncio.to_thread(kept.unlink, missing_ok=True)
            raise
        fps, sound = Fraction(*told["fps"]), bool(told.get("sound"))
        return Clip(kept, told["width"], told["height"], fps, told["frames"], sound, picture), told

    @asynccontextmanager
    async def _making(
        self, command: str, sources: Sequence[Path], name: str, **given: Any
    ) -> AsyncIterator[tuple[Path, dict[str, Any], bytes]]:
        """Let a process make something of videos: the file in which it is, what is told of it, and a picture.
        The file is gone afterwards, unless it was moved."""
        folder = self._folder / f"clip-{secrets.token_hex(8)}"
        target = folder / "made"
        try:
            await _to_its_end(partial(folder.mkdir, parents=True))
            videos = self._encoder, str(target), *map(str, sources)
            asked = partial(ask_once, PROCESS, command, *videos, called=name, too_much=TOO_MUCH)
            async with self._slots:
                told, picture = await asked(patience=PATIENCE[command], **given)
            yield target, told, picture
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _to_its_end(function: Callable[..., Any], *given: Any) -> Any:
    """Call a function in a thread. Where the caller is cancelled, it goes on only when that has ended: what a
    thread still makes, nobody would clear away."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # else the loop would log it as one that nobody saw
        raise


def append_block(path: Path, data: bytes) -> None:
    """Write bytes behind what a file has already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def clips_of(files: Files, settings: Settings) -> Clips:
    """Return what makes clips, within the host's limits."""
    return Clips(
        files.incoming / FOLDER,
        settings.video_encoder,
        max_bytes=settings.clip_max_mb * 2**20,
        max_seconds=settings.clip_max_seconds,
        max_pixels=settings.video_max_pixels,
    )


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Strip:
    """Frames side by side, as WebP. alt: says when they are seen, and which the answer names."""

    data: bytes
    alt: str
    visibility: Visibility


class Strips:
    """Draws the strips of answers. queue: has the jobs."""

    def __init__(self, files: Files, queue: Queue, moderator: Moderator) -> None:
        self._files, self._queue, self._moderator = files, queue, moderator

    async def of(self, result: Result, text: str, place: Place) -> Strip | None:
        """Return the strip of the video that an answer is about, as it may be shown in ``place``; None where
        it is about none, or its frames are gone or may not be shown. text: of the answer."""
        job = await asked_video(self._queue, result.job, result.parameters)
        if job is None or not isinstance(job.request, AskRequest):
            return None
        frames = job.request.frames
        visibility = await self._moderator.visibility(tuple(sha for _, sha in frames), place)
        if visibility is Visibility.BLOCK:
            return None
        pictures = []
        for _, sha256 in frames:
            try:
                pictures.append(await self._files.get(sha256))
            except FilesAway:
                raise
            except StorageError:
                pictures.append(b"")
        if not any(pictures):
            return None
        times = [seconds for seconds, _ in frames]
        named, called = {one.frame for one in cited_frames(text, times)}, frame_labels(times)
        try:
            data = await uploads.strip(pictures, called, sorted(named))
        except ImageError:
            log.warning("job %s: its strip can't be drawn", result.job.id)
            return None
        alt = f"Frames of the video at {', '.join(called)}"
        if named:
            alt += f"; the answer names {', '.join(called[i] for i in sorted(named))}"
        return Strip(data, alt, visibility)


async def asked_video(queue: Queue, job: Job, parameters: Mapping[str, Any]) -> Job | None:
    """Return the question whose video an answer is about: the job's own, or the newest one that its model was
    told. A video of a private question is no part of another's public one."""
    if isinstance(job.request, AskRequest) and job.request.frames:
        return job
    found = await queue.job(str(parameters["film"])) if parameters.get("film") else None
    if found is None or not isinstance(found.request, AskRequest) or not found.request.frames:
        return None
    return None if found.origin.private and not job.origin.private else found


MEDIA_TYPE = "video/mp4"
TOO_LARGE = "The video is too large to be sent here, even small. `/show` it where larger files fit."


class VideoShowing:
    """Reads stored videos for people to see. marker: marks them."""

    def __init__(self, files: Files, clips: Clips, marker: Marker) -> None:
        self._files, self._clips, self._marker = files, clips, marker

    async def video(self, stored: StoredVideo, job: Job, limit: int) -> Shown:
        """Return a video of ``job`` in at most ``limit`` bytes, encoded anew if it is larger; without data
        where it doesn't fit, however it is made. Raises StorageError when its file is gone."""
        return await self._within(await self._files.get(stored.sha256), stored.sha256, "", job, limit)

    async def mosaic(self, videos: Sequence[StoredVideo], job: Job, limit: int) -> Shown:
        """Return videos of ``job`` side by side as one, in at most ``limit`` bytes; without data where that
        can't be. Raises StorageError when a file is gone."""
        first, others = videos[0].sha256, "-".join(video.sha256[:12] for video in videos[1:])
        data = await self._files.get_derived(first, f"{others}.mp4")
        if data is None:
            paths = [await self._files.local(video.sha256) for video in videos]
            try:
                data = await _taken(await self._clips.mosaic(paths))
            except ImageError as error:
                log.warning("job %s: its videos can't be shown side by side: %s", job.id, error)
                return Shown(None, MEDIA_TYPE, (str(error),))
            await self._files.put_derived(first, f"{others}.mp4", data)
        return await self._within(data, first, f"{others}.", job, limit)

    async def gif(self, stored: StoredVideo, job: Job, limit: int) -> Shown:
        """Return a video of ``job`` as a GIF in at most ``limit`` bytes. Raises ImageError when it doesn't
        fit, StorageError when its file is gone."""
        name = f"{limit}.gif"
        data = await self._files.get_derived(stored.sha256, name)
        if data is None:
            path = await self._files.local(stored.sha256)
            data = await _taken(await self._clips.gif(path, limit - self._marker.room))
            await self._files.put_derived(stored.sha256, name, data)
        return Shown(await self._marked(data, "image/gif", job), "image/gif")

    async def whole(self, stored: StoredVideo, job: Job) -> Path:
        """Return where a video of ``job`` lies as anybody may have it. Raises StorageError when its file is
        gone."""
        path, source = await self._files.local(stored.sha256), self._source(job)
        if source is None:
            return path
        name = f"{self._marker.name(source)}.mp4"
        found = await self._files.find_derived(stored.sha256, name)
        if found is None:
            data = await self._marked(await self._files.get(stored.sha256), MEDIA_TYPE, job)
            await self._files.put_derived(stored.sha256, name, data)
            found = await self._files.find_derived(stored.sha256, name)
        return found or path

    async def _within(self, data: bytes, sha256: str, name: str, job: Job, limit: int) -> Shown:
        """Return a video, or what is kept beside video ``sha256`` as ``name``, in at most ``limit`` bytes."""
        marked = await self._marked(data, MEDIA_TYPE, job)
        if len(marked) <= limit:
            return Shown(marked, MEDIA_TYPE)
        path = await self._files.local(sha256)
        if name:
            path = await self._files.find_derived(sha256, f"{name}mp4") or path
        try:
            fitted = await self._clips.fit(path, limit - self._marker.room)
        except ImageError:
            return Shown(None, MEDIA_TYPE, (TOO_LARGE,))
        return Shown(await self._marked(await _taken(fitted), MEDIA_TYPE, job), MEDIA_TYPE, fitted.notes)

    async def _marked(self, data: bytes, media_type: str, job: Job) -> bytes:
        return await self._marker.mark(data, media_type, source=self._source(job))

    def _source(self, job: Job) -> str | None:
        """Return IPTC's word for how the job's videos came to be, None where none is wanted."""
        request = job.request
        if not self._marker.ai_mark:
            return None
        if isinstance(request, CutRequest):
            return provenance.EXTENDED if job.parent_id else None  # a part of what somebody sent
        kept = isinstance(request, VideoRequest) and (request.clip or request.image or request.end_image)
        return provenance.EXTENDED if kept else provenance.MADE


async def _taken(clip: Clip) -> bytes:
    """Return the bytes of a video that was made, and delete its file."""

    def take() -> bytes:
        try:
            return clip.path.read_bytes()
        finally:
            clip.path.unlink(missing_ok=True)

    return await asyncio.to_thread(take)
