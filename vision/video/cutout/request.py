"""Videos by the image model: prepares a request for it, draws the pictures that they begin with, and sketches
each video: every operation as its frames, in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
from PIL import Image

from core.errors import UserError
from core.limits import MAX_SEED
from core.requests.video import VideoRequest
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.images import encode
from vision.reporter import Reporter, Stage
from vision.store import Models
from vision.video import reader
from vision.video.cutout import compose, motion
from vision.video.cutout.compose import STRENGTH, Sketcher, amounts, looped, shares
from vision.video.cutout.motion import Motion
from vision.video.reader import Drawing, OpenClip, Sources

SIZE_NOTE = "The second video was cut to the first one's shape."
FPS = 16
SECONDS = {"new": 3.0, "extend": 2.0, "extend_back": 2.0, "blend": 1.0, "loop": 1.5}
REMIX = 0.55  # strength
WIDE = (16, 9)  # shape of a video of which only words are known
MAX_PIXELS = 1920 * 1088
FIRST = 0.2  # of the job: until the pictures that the videos begin with are drawn
DRAWN = 0.7  # of a video: until its frames are drawn over
TRIES, OTHER = 4, 7919  # first pictures from words; what their seeds differ by
MOTION_KEPT = "A remix moves as its video does; the words about motion had no effect."
SOUNDLESS = "Sketched videos have no sound."


@dataclass
class Sketches:
    """The videos of one request. notes: for the person who asked; more come while they are drawn. task: with
    the values for the image model. size: px. motion: what happens. words: about what is to be seen. frames:
    how many are drawn, 0 = all of the clip's."""

    request: VideoRequest
    sources: Sources
    models: Models
    reporter: Reporter
    notes: list[str]
    task: drawing.Task
    size: tuple[int, int]
    fps: float
    motion: Motion
    words: str
    frames: int
    firsts: Sequence[Image.Image] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """To report with the videos."""
        return self.task.parameters

    @property
    def count(self) -> int:
        """How many videos there are."""
        return len(self.task.generation.seeds)

    def draw(self, number: int) -> Drawing:
        """Draw video ``number``."""
        request, operation, generation = self.request, self.request.operation, self.task.generation
        if operation == "new" and not self.firsts:
            first = self.sources.first
            given = None if first is None else reader.placed(first, self.size)
            self.firsts = self._drawn() if given is None else [given] * self.count
        begin, middle, end = (self.reached(number, at) for at in (0, DRAWN, 1))
        remixes, seed = operation == "remix", generation.seeds[number]
        if generation.reference_scale is None:  # they were for the first picture alone
            generation = replace(generation, references=())
        sketcher = Sketcher(
            replace(generation, seeds=(seed,)),
            request.model,
            self.words,
            request.strength or (REMIX if remixes else STRENGTH),
            self.models,
            Stage(self.reporter, begin, end if remixes else middle),
            self.notes,
        )
        frames = self._new(number, sketcher) if operation == "new" else self._from_video(number, sketcher)
        clips = [video.count for video in (self.sources.clip, self.sources.clip_2) if video is not None]
        expected = 0 if remixes else self.frames + sum(clips)
        chunks = (np.asarray(frame.convert("RGB"))[None] for frame in frames)
        return Drawing(chunks, self.size, self.fps, seed, expected, reader.keep_ends)

    def _new(self, number: int, sketcher: Sketcher) -> Iterator[Image.Image]:
        """Return a video that begins with a picture, and ends with another one where that is given."""
        picture, known, last = self.firsts[number], self.sources.first is not None, self.sources.last
        if last is not None:
            way = sketcher.between(picture, reader.placed(last, self.size))
            return sketcher.frames(way, shares(self.frames), first=True, last=True)
        shot = sketcher.shot(picture, amounts(self.motion, number), fixed=known)
        if self.request.loop:
            around = shares(self.frames, open_end=True)
            return sketcher.frames(looped(shot), around, first=known, loops=True)
        return sketcher.frames(shot, shares(self.frames), first=known)

    def _from_video(self, number: int, sketcher: Sketcher) -> Iterator[Image.Image]:
        """Return the frames of a video that goes on from another one."""
        operation, video = self.request.operation, self.sources.clip
        second = self.sources.clip_2 if operation == "blend" else None
        if video is None or (operation == "blend" and second is None):
            raise ValueError("there is no video to go on from")
        own, motion = sketcher.aside(video.frames()), amounts(self.motion, number)
        begin, end = (
            partial(compose.before_end, video),
            partial(compose.after_start, second or video, video.fps),
        )
        if operation == "remix":
            return _redrawn(video, own, sketcher)
        if operation == "extend":
            shot = sketcher.shot_on(video.last, motion, video.first)
            after = sketcher.frames(shot, sketcher.pace(shot, self.frames + 1, begin), first=True)
            return chain(own, islice(after, 1, None))
        if operation == "extend_back":  # the motion that leads to it, made backwards
            shot = sketcher.shot_on(video.first, motion.backwards(), video.last)
            back = sketcher.pace(shot, self.frames + 1, end)[::-1]
            return chain(islice(sketcher.frames(shot, back, first=False, last=True), self.frames), own)
        rest: Iterator[Image.Image] = iter(())
        if second is not None:  # else the way leads back to the start
            if video.size[0] * second.size[1] != video.size[1] * second.size[0]:
                sketcher.notes.append(SIZE_NOTE)
            rest = sketcher.aside(reader.at_rate(second, video.size, video.fps))
        way = sketcher.between(video.last, reader.placed((second or video).first, video.size))
        pace = sketcher.pace(way, self.frames + 2, begin, end)
        join = islice(sketcher.frames(way, pace, first=True, last=True), 1, self.frames + 1)
        return chain(own, join, rest)

    def reached(self, number: int, share: float) -> float:
        """Return how much of the job is done when ``share`` of video ``number`` is."""
        begin = FIRST if self.request.operation == "new" and self.sources.first is None else 0.0
        return begin + (1 - begin) * (number + share) / self.count

    def writing(self, number: int) -> Reporter:
        """Return what the writing of video ``number`` is reported to."""
        return Stage(self.reporter, self.reached(number, DRAWN), self.reached(number, 1))

    def _drawn(self) -> list[Image.Image]:
        """Return the picture that each video begins with, as the words draw it: where there is a CLIP, of
        TRIES the one that fits them best; if something is to move, of those that show the whole thing, for
        one that the edge cuts off has an end that nobody drew. What drawing tells is added to ``notes``."""
        models, reporter, generation = self.models, self.reporter, self.task.generation
        matches = bool(models.config.models.get("clip")) and bool(self.words)
        tries = TRIES if matches else 1
        seeds = tuple(
            (seed + number * OTHER) % (MAX_SEED + 1) for seed in generation.seeds for number in range(tries)
        )
        model, stage = models.image(self.request.model, reporter), Stage(reporter, 0, FIRST, keeps=True)
        drawn = generate(model, replace(generation, seeds=seeds), stage)
        self.notes += drawn.notes
        sets = [drawn.images[i : i + tries] for i in range(0, len(drawn.images), tries)]
        if matches:
            if not self.motion.is_still:
                sets = [compose.uncut_pictures(some, self.words, models, reporter) for some in sets]
            matcher = models.get("clip", reporter)

            def fittest(pictures: Sequence[Image.Image]) -> Image.Image:
                [text] = matcher.embed_texts([self.words])
                fits = (matcher.embed_images(pictures) @ text).float().tolist()
                return pictures[max(range(len(fits)), key=fits.__getitem__)]

            chosen = [reporter.in_thread(partial(fittest, some)) for some in sets]
        else:
            chosen = [one for (one,) in sets]
        model = models.image(self.request.model, reporter)

        def finish(image: Image.Image) -> Image.Image:
            return reader.placed(encode.cut_to_shape(model.enlarged(image), generation.shape), self.size)

        return [reporter.in_thread(partial(finish, image)) for image in chosen]


def _redrawn(video: OpenClip, each: Iterator[Image.Image], sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return a video drawn again: frame by frame from its own frames, all looking at the first."""
    model, first = sketcher.models.image(sketcher.spec, sketcher.reporter), video.first
    while chunk := list(islice(each, compose.AT_ONCE - 1)):
        drawn = compose.drawn_over(
            model, sketcher.generation, [first, *chunk], sketcher.strength, sketcher.reporter
        )
        for image in drawn[1:]:
            yield encode.resize(model.enlarged(image), video.size)


def prepare(request: VideoRequest, sources: Sources, models: Models, reporter: Reporter) -> Sketches:
    """Return the videos of ``request``. Raises UserError for what the image model can't do."""
    model, notes, remixes = models.image(request.model, reporter), list[str](), request.operation == "remix"
    clip, known = sources.clip, sources.clip or sources.first
    reading = motion.read_motion(request.prompt)
    asked = replace(request, hd=False, tile=False, prompt=reading.words or request.prompt)
    if clip is not None:  # drawn at about the model's native area in its shape
        if request.width or request.height or request.aspect_ratio or request.resolution:
            notes.append(f"The video keeps its size, {clip.size[0]}x{clip.size[1]}.")
        asked = replace(asked, width=None, height=None, aspect_ratio=None)
    if known is None:
        if not (asked.width or asked.height or asked.aspect_ratio):
            asked = replace(asked, aspect_ratio=WIDE)
        task = drawing.prepare_pictures(asked, sources.pictures, model)
    else:
        drawn_at, shape, more = drawing.choose_size(asked, model.card, known.size)
        task = drawing.prepare(asked, model, Mode.TEXT, drawn_at, shape=shape)
        task = replace(task, notes=(*more, *task.notes))
    size = _video_size(request, task, model, notes) if clip is None else clip.size
    fps = float(request.fps or FPS) if clip is None else clip.fps
    if clip is not None and request.fps and request.fps != clip.fps:
        notes.append(f"The video keeps its {clip.fps:g} frames a second; `--fps` had no effect.")
    if request.sound:
        notes.append(SOUNDLESS)
    if remixes and reading.motion is not None:
        notes.append(MOTION_KEPT)
    frames = 0 if remixes else max(2, round((request.seconds or SECONDS[request.operation]) * fps))
    if frames and request.seconds and abs(frames / fps - request.seconds) > 0.01:
        notes.append(f"{request.seconds:g} s became {frames / fps:.3g} s: {frames} frames.")
    if not model.has(Mode.IMAGE):
        if remixes:
            raise UserError(f"{model.name} can't draw from pictures, so it can't remix a video.")
        notes.append(f"{model.name} can't draw from pictures, so the frames are as they were sketched.")
    wanted = motion.choose_motion(reading, request.motion)
    reported = {"operation": request.operation, "fps": fps, "width": size[0], "height": size[1]}
    reported |= {"seconds": round(frames / fps, 3)} if frames else {}
    task = replace(task, parameters={**task.parameters, "prompt": request.prompt, **reported})
    notes += task.notes
    return Sketches(request, sources, models, reporter, notes, task, size, fps, wanted, reading.words, frames)


def _video_size(
    request: VideoRequest, task: drawing.Task, model: ImageModel, notes: list[str]
) -> tuple[int, int]:
    """Return the size of the video, px, both sides even: the model's, or what ``--res`` asks for."""
    width, height = task.generation.finished_size(model.card.output_scale)
    scale = (request.resolution or min(width, height)) / min(width, height)
    most = (MAX_PIXELS / (width * height)) ** 0.5
    if scale > most:
        scale = most
        notes.append(f"A video has at most {MAX_PIXELS / 1e6:.1f} megapixels, so it became smaller.")
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
