"""Videos as every door asks for them: from words, from a picture, or from videos that were made or sent. What
is sent is read in a confined process and stored clean with its first frame."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import ImageError, UserError
from core.job import Job
from core.prompt.parser import Prompt
from core.requests.base import Answer
from core.requests.video import CutRequest, VideoRequest
from storage.job_queries import StoredOutput, StoredPicture
from storage.members import Members
from storage.videos import StoredVideo
from studio.authority import Action, Actor
from studio.inputs import Given, Sources, VideoSource, video_of, video_source
from studio.library.clips import Clip, VideoShowing, clips_of
from studio.library.rendition import Shown
from studio.media.uploads import InMemory, Readable
from studio.moderation.rules import Visibility
from studio.new_job import NewJob, PromptWithPictures
from studio.requests import actions
from studio.rights import Rights
from studio.services import Services
from studio.texts import job_name, read_seconds

KEPT = "clip:"  # how the name of a video begins that was sent before
_KEPT = re.compile(r"clip:([a-z2-9]{12})")
GONE = "That video is gone; send it again."


NOT_HERE = "Videos can't be made here."
OPERATIONS = ("new", "extend", "extend backward", "remix", "blend", "loop", "cut")  # of ``/video``
SHAPES = {"wide": (16, 9), "vertical": (9, 16), "square": (1, 1)}


def is_clip(name: str) -> bool:
    """Return whether a name is one of a video that was sent and kept."""
    return name.startswith(KEPT)


@dataclass(frozen=True)
class Asked:
    """What ``/video`` and a page's form are filled in with. None and "" = left open.

    text: the words with their flags. do: one of ``OPERATIONS``; unless named it is guessed. named: fields of
    the prompt that are named apart from the words. start, end: the part to cut out, seconds.
    """

    text: str = ""
    do: str | None = None
    named: Mapping[str, Any] = field(default_factory=dict)
    start: float | None = None
    end: float | None = None

    def over(self, prompt: Prompt) -> Prompt:
        """Return a prompt with what is named here in the place of what its words say."""
        chosen = {name: value for name, value in self.named.items() if value is not None}
        if "aspect_ratio" in chosen:
            chosen["size"] = None
        return replace(prompt, **chosen)


@dataclass(frozen=True)
class Material:
    """What comes along: files, or names of ours such as "abcd2345efgh 2". image: the first picture; last: the
    last one; clip, clip_2: videos."""

    image: Given | None = None
    last: Given | None = None
    clip: Given | None = None
    clip_2: Given | None = None

    @classmethod
    def of(cls, pictures: Sequence[Given], clips: Sequence[Given]) -> Material:
        """Return pictures and videos in the order in which they were given. Raises UserError for too many."""
        if len(clips) > 2 or (clips and pictures) or len(pictures) > 2:
            raise UserError("A video is made from one or two videos, or from a first picture and a last one.")
        image, last = (*pictures, None, None)[:2]
        clip, clip_2 = (*clips, None, None)[:2]
        return cls(image, last, clip, clip_2)

    def operation(self, asked: Asked) -> str:
        """Return what is to be done: what is named, else what this makes likely. Raises UserError for what
        doesn't go together."""
        if asked.do is not None and asked.do not in OPERATIONS:
            raise UserError(f"`do` is `{asked.do}`; it takes {', '.join(OPERATIONS)}.")
        cuts = asked.start is not None or asked.end is not None
        guessed = (
            "new" if self.clip is None else "cut" if cuts else "remix" if asked.text.strip() else "extend"
        )
        do = asked.do or ("blend" if self.clip_2 is not None else guessed)
        if do != "new" and self.clip is None:
            raise UserError(f"There is no video to {do}. Attach one as `clip`, or name one as `source`.")
        if do == "new" and self.clip is not None:
            raise UserError(
                "A new video starts from words or a picture; leave `clip` out, or choose another `do`."
            )
        if do == "blend" and self.clip_2 is None:
            raise UserError("Blending takes two videos, and there is one. Attach a second one as `clip2`.")
        return do


class VideoRequests:
    """Finds what videos are made from, checks that the asker may use it, and makes what needs no model."""

    def __init__(self, rights: Rights, sources: Sources, services: Services, kinds: Collection[str]) -> None:
        self._rights, self._sources = rights, sources
        self._queue, self._files = services.queue, services.files
        self._moderator, self._members = services.moderator, Members(services.database)
        self._clips = clips_of(services.files, services.settings)
        self.showing = VideoShowing(services.files, self._clips, services.marker)
        self.models = tuple(services.settings.video_choices)  # the names that ``--model`` takes for videos
        self.is_possible = VideoRequest.kind in kinds

    # Videos to start from

    async def clip(self, actor: Actor, given: Given, right: Action = Action.USE) -> VideoSource:
        """Return a video to work on: a file, or one of ours by its name, such as "abcd2345efgh 2".

        Raises ImageError for what isn't taken or isn't there, UserError when a job has several and none is
        named, NotAllowedError unless the actor may do ``right`` to it, or send files, LimitError after too
        many of these or on a full disk.
        """
        if not isinstance(given, str):
            return (await self._take(actor, given))[0]
        if is_clip(given):
            return await self._kept(actor, given)
        return await self.of_job(actor, *await self._sources.job_of(given.strip()), right)

    async def is_video(self, name: str) -> bool:
        """Return whether a name is one of a video: one that was sent, or such as "abcd2345efgh 2"."""
        if is_clip(name):
            return True
        try:
            job, _ = await self._sources.job_of(name.strip())
        except (UserError, ImageError):
            return False
        return job.request.answer is Answer.VIDEOS

    async def of_job(self, actor: Actor, job: Job, index: int | None, right: Action) -> VideoSource:
        """Return video ``index`` (from 0; None = the only one) of a job. Raises ImageError where it has none,
        UserError where it has several and no index is given."""
        await self._rights.check(actor, right, job)
        if job.request.answer is not Answer.VIDEOS:
            raise ImageError(f"Job `{job.id}` made no video; it is “{job_name(job.request)}”.")
        result = await self._rights.result_of(actor, job)
        if not result.videos:
            raise ImageError(f"Job `{job.id}` has no video (it is {job.status}).")
        if index is None and len(result.videos) > 1:
            raise UserError(
                f"That job has {len(result.videos)} videos. Add the number, such as `{job.id} 2`."
            )
        index = result.videos[0].index if index is None else index
        return video_source(result, index, children=await self._queue.children(job.id, index))

    # Videos that are sent

    async def keep(self, actor: Actor, file: Readable) -> tuple[str, VideoSource, str]:
        """Keep a video that the actor sends, to be worked on later; return what ``clip`` knows it by, the
        video and the SHA-256 of its first frame. Raises as ``clip`` does."""
        clip, poster = await self._take(actor, file)
        names = ("sha256", "width", "height", "frames", "fps", "sound")
        content = {"clip": {name: getattr(clip, name) for name in names}, "first": poster}
        return f"{KEPT}{await self._members.add_draft(actor.user_id, content)}", clip, poster

    async def first_frame(self, actor: Actor, name: str) -> str:
        """Return the SHA-256 of the first frame of a video that was kept. Raises ImageError as ``clip`` does,
        NotAllowedError for who is barred."""
        return str((await self._draft(actor, name))["first"])

    async def sent(self, actor: Actor, name: str) -> InMemory:
        """Return the file of a video that was kept. Raises ImageError as ``first_frame`` does."""
        clip = await self._kept(actor, name)
        return InMemory("video.mp4", await self._files.get(clip.sha256))

    async def _draft(self, actor: Actor, name: str) -> dict[str, Any]:
        await self._rights.check(actor, Action.ASK)
        match = _KEPT.fullmatch(name)
        found = await self._members.draft(match[1]) if match else None
        if found is None or found[0] != actor.user_id or "first" not in found[1]:
            raise ImageError(GONE)
        return found[1]

    async def _kept(self, actor: Actor, name: str) -> VideoSource:
        """Return a video that was kept under a name. Raises ImageError when it is gone, or somebody
        else's."""
        clip = VideoSource(**(await self._draft(actor, name))["clip"])
        sent = await self._queue.people.has_sent(actor.user_id, clip.sha256)
        if not sent or not await self._files.has(clip.sha256):
            raise ImageError(GONE)
        return clip

    async def _take(self, actor: Actor, file: Readable) -> tuple[VideoSource, str]:
        await self._sources.check_upload(actor)
        stored = await self._stored(await self._clips.take(file))
        [one], [poster] = stored.videos, stored.pictures
        for sha256 in (one.sha256, poster.sha256):
            await self._queue.people.note_upload(actor.user_id, sha256)
        return VideoSource(one.sha256, one.width, one.height, one.frames, one.fps, one.sound), poster.sha256

    async def _stored(self, made: Clip) -> StoredOutput:
        """Take a video that was made into the store, with its first frame, and return what rows say of it."""
        video = await self._files.take(made.path, made.media_type)
        poster = await self._files.put(made.poster, "image/png")
        size, fps = (made.width, made.height), float(made.fps)
        row = StoredVideo(
            video.sha256, made.media_type, *size, made.frames, fps, made.sound, None, 0, video.size
        )
        picture = StoredPicture(poster, "image/png", *size, None, 0, len(made.poster))
        return StoredOutput((picture,), videos=(row,), parameters={"notes": list(made.notes)})

    # What needs no model

    async def cut(self, clip: VideoSource, start: float, end: float | None) -> NewJob:
        """Return the part of a video from second ``start`` to ``end`` (None = its end), made already. Raises
        UserError for a part that isn't in it, ImageError where the video can't be read."""
        new = actions.cut_video(clip, start, end)
        assert isinstance(new.request, CutRequest)
        video = await self._files.local(clip.sha256)
        part = await self._clips.cut(video, new.request.start, new.request.end)
        return replace(new, made=await self._stored(part))

    async def last_frame(self, clip: VideoSource) -> NewJob:
        """Return the last frame of a video as a picture, made already. Raises ImageError where the video
        can't be read."""
        new = actions.last_frame(clip)
        png = await self._clips.last_frame(await self._files.local(clip.sha256))
        sha256 = await self._files.put(png, "image/png")
        stored = StoredPicture(sha256, "image/png", clip.width, clip.height, None, 0, len(png))
        return replace(new, made=StoredOutput((stored,)))

    # To look at

    async def file(self, actor: Actor, job_id: str, index: int) -> Path | None:
        """Return where video ``index`` (from 0) of a job lies as it may be handed out; None where it may not
        be shown to the actor. Raises ImageError, NotAllowedError, StorageError when its file is gone."""
        found = await self._seen(actor, job_id, index)
        return None if found is None else await self.showing.whole(*found)

    async def gif(self, actor: Actor, job_id: str, index: int, limit: int) -> Shown:
        """Return video ``index`` (from 0) of a job as a GIF in at most ``limit`` bytes, without data where it
        may not be shown. Raises as ``file`` does."""
        found = await self._seen(actor, job_id, index)
        return Shown(None, "image/gif") if found is None else await self.showing.gif(*found, limit)

    async def _seen(self, actor: Actor, job_id: str, index: int) -> tuple[StoredVideo, Job] | None:
        result, poster = await self._rights.picture(actor, job_id, index, Action.SHOW)
        video, job = video_of(result, index), result.job
        visibility = await self._moderator.visibility((video.sha256, poster.sha256), actor.place)
        return None if visibility is Visibility.BLOCK else (video, job)

    # Buttons

    async def from_button(
        self,
        actor: Actor,
        job: Job,
        action: str,
        index: int,
        words: PromptWithPictures | None = None,
        form: Mapping[str, Given] | None = None,
    ) -> NewJob:
        """Return the job that button ``action`` under video ``index`` (from 0) of a job stands for; its right
        has been checked.

        words: new ones. form: what a window or form brings: for *Blend* the other video as ``source``, a file
        or a name, for *Cut* ``start`` and ``end``, as they are typed. Raises ImageError where there is no
        such video, UserError for a button that makes no job, or a time that isn't one.
        """
        clip = await self.of_job(actor, job, index, actions.RIGHTS[action])
        if action == "lastframe":
            return await self.last_frame(clip)
        if action == "cut" and form is not None:
            start, end = (read_seconds(str(form.get(name, ""))) for name in ("start", "end"))
            return await self.cut(clip, start or 0.0, end)
        if action in actions.EXTENDS:
            new = actions.extend_video(clip, *actions.EXTENDS[action], words)
        elif action == "loop":
            new = actions.loop_video(clip, words)
        elif action == "vremix" and words is not None:
            new = actions.remix_video(clip, words)
        elif action == "vblend" and form is not None:
            other = form.get("source", "")
            if isinstance(other, str) and not other.strip():
                raise UserError(
                    "Name the video to blend with: a job id and its number, such as `abcd2345efgh 2`."
                )
            new = actions.blend_videos(clip, await self.clip(actor, other, Action.BLEND), words)
        else:
            raise UserError("That button opens a window first.")
        return new.in_lane_of(job, words)
