"""Videos by the image model: prepares a request for it, draws the pictures that they begin with, and sketches
each video: every operation as its frames, in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class Asked:
    """One video that is asked for. picture: its first, at its size. known: that picture was given, so it
    stays as it is. end: its last picture, at its size. clip, clip_2: to go on from. motion: what happens.
    count: of the frames that are drawn. loop: its end is to lead to its start."""

    motion: Motion
    count: int
    picture: Image.Image | None = None
    known: bool = False
    end: Image.Image | None = None
    clip: OpenClip | None = None
    clip_2: OpenClip | None = None
    loop: bool = False

    @property
    def video(self) -> OpenClip:
        """The video to go on from. Raises ValueError without one."""
        if self.clip is None:
            raise ValueError("there is no video to go on from")
        return self.clip


def new(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return a video that begins with a picture, and ends with another one where that is given."""
    if asked.picture is None:
        raise ValueError("there is no picture to begin with")
    if asked.end is not None:
        way = sketcher.between(asked.picture, asked.end)
        return sketcher.frames(way, shares(asked.count), first=True, last=True)
    shot = sketcher.shot(asked.picture, asked.motion, fixed=asked.known)
    if asked.loop:
        around = shares(asked.count, open_end=True)
        return sketcher.frames(looped(shot), around, first=asked.known, loops=True)
    return sketcher.frames(shot, shares(asked.count), first=asked.known)


def extend(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return the video and what comes after it."""
    shot = sketcher.shot_on(asked.video.last, asked.motion, asked.video.first)
    pace = sketcher.pace(shot, asked.count + 1, partial(compose.before_end, asked.video))
    after = sketcher.frames(shot, pace, first=True)
    return chain(sketcher.aside(asked.video.frames()), islice(after, 1, None))


def extend_back(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return what came before the video, and the video: the motion that leads to it, made backwards."""
    shot = sketcher.shot_on(asked.video.first, asked.motion.backwards(), asked.video.last)
    back = sketcher.pace(shot, asked.count + 1, partial(compose.after_start, asked.video))[::-1]
    before = islice(sketcher.frames(shot, back, first=False, last=True), asked.count)
    return chain(before, sketcher.aside(asked.video.frames()))


def blend(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return both videos with the way from the one to the other between them."""
    one, two = asked.video, asked.clip_2
    if two is None:
        raise ValueError("there is no second video")
    if one.size[0] * two.size[1] != one.size[1] * two.size[0]:
        sketcher.notes.append(SIZE_NOTE)
    way = sketcher.between(one.last, reader.placed(two.first, one.size))
    end = partial(compose.after_start, two, one.fps)
    pace = sketcher.pace(way, asked.count + 2, partial(compose.before_end, one), end)
    join = islice(sketcher.frames(way, pace, first=True, last=True), 1, asked.count + 1)
    rest = reader.at_rate(two, one.size, one.fps)
    return chain(sketcher.aside(one.frames()), join, sketcher.aside(rest))


def loop(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return the video and the way from its end back to its start."""
    video = asked.video
    way = sketcher.between(video.last, video.first)
    begin, end = partial(compose.before_end, video), partial(compose.after_start, video)
    pace = sketcher.pace(way, asked.count + 2, begin, end)
    back = sketcher.frames(way, pace, first=True, last=True)
    return chain(sketcher.aside(video.frames()), islice(back, 1, asked.count + 1))


def remix(asked: Asked, sketcher: Sketcher) -> Iterator[Image.Image]:
    """Return the video drawn again: frame by frame from its own frames, all looking at the first."""
    video = asked.video
    model = sketcher.models.image(sketcher.spec, sketcher.reporter)
    each, first = sketcher.aside(video.frames()), video.first
    while chunk := list(islice(each, compose.AT_ONCE - 1)):
        drawn = compose.drawn_over(
            model, sketcher.generation, [first, *chunk], sketcher.strength, sketcher.reporter
        )
        for image in drawn[1:]:
            yield encode.resize(model.enlarged(image), video.size)


OPERATIONS: dict[str, Callable[[Asked, Sketcher], Iterator[Image.Image]]] = {
    "new": new,
    "extend": extend,
    "extend_back": extend_back,
    "blend": blend,
    "loop": loop,
    "remix": remix,
}


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


@dataclass(frozen=True)
class Plan:
    """How all videos of a job are made. task: with the values for the image model. size: px. motion: what
    happens. words: about what is to be seen. count: of the frames that are drawn, 0 = all of the clip's."""

    task: drawing.Task
    size: tuple[int, int]
    fps: float
    motion: Motion
    words: str
    count: int


@dataclass
class Sketches:
    """The videos of one request. notes: for the person who asked; more come while they are drawn."""

    request: VideoRequest
    sources: Sources
    plan: Plan
    models: Models
    reporter: Reporter
    notes: list[str]
    firsts: list[Image.Image | None] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, Any]:
        """To report with the videos."""
        return self.plan.task.parameters

    @property
    def count(self) -> int:
        """How many videos there are."""
        return len(self.plan.task.generation.seeds)

    def draw(self, number: int) -> Drawing:
        """Draw video ``number``."""
        request, plan, sources = self.request, self.plan, self.sources
        if not self.firsts:
            self.firsts = self._first_pictures()
        asked = Asked(
            amounts(plan.motion, number),
            plan.count,
            picture=self.firsts[number],
            known=sources.first is not None,
            end=None if sources.last is None else reader.placed(sources.last, plan.size),
            clip=sources.clip,
            clip_2=sources.clip_2,
            loop=request.loop,
        )
        begin, middle, end = (self.reached(number, at) for at in (0, DRAWN, 1))
        remixes = request.operation == "remix"
        generation = plan.task.generation
        seed = generation.seeds[number]
        if generation.reference_scale is None:  # they were for the first picture alone
            generation = replace(generation, references=())
        sketcher = Sketcher(
            replace(generation, seeds=(seed,)),
            request.model,
            plan.words,
            request.strength or (REMIX if remixes else STRENGTH),
            self.models,
            Stage(self.reporter, begin, end if remixes else middle),
            self.notes,
        )
        frames = OPERATIONS[request.operation](asked, sketcher)
        clips = [video.count for video in (asked.clip, asked.clip_2) if video is not None]
        expected = 0 if remixes else asked.count + sum(clips)
        chunks = (np.asarray(frame.convert("RGB"))[None] for frame in frames)
        return Drawing(chunks, plan.size, plan.fps, seed, expected, reader.keep_ends)

    def reached(self, number: int, share: float) -> float:
        """Return how much of the job is done when ``share`` of video ``number`` is."""
        begin = FIRST if self.request.operation == "new" and self.sources.first is None else 0.0
        return begin + (1 - begin) * (number + share) / self.count

    def writing(self, number: int) -> Reporter:
        """Return what the writing of video ``number`` is reported to."""
        return Stage(self.reporter, self.reached(number, DRAWN), self.reached(number, 1))

    def _first_pictures(self) -> list[Image.Image | None]:
        """Return the picture that each video begins with: the given one, or what the words draw."""
        if self.request.operation != "new":
            return [None] * self.count
        if self.sources.first is not None:
            return [reader.placed(self.sources.first, self.plan.size)] * self.count
        return [*_drawn(self.request, self.plan, self.models, self.reporter, self.notes)]


def prepare(request: VideoRequest, sources: Sources, models: Models, reporter: Reporter) -> Sketches:
    """Return the videos of ``request``. Raises UserError for what the image model can't do."""
    model, notes = models.image(request.model, reporter), list[str]()
    plan = _plan(request, sources, model, notes)
    return Sketches(request, sources, plan, models, reporter, [*notes, *plan.task.notes])


def _plan(request: VideoRequest, sources: Sources, model: ImageModel, notes: list[str]) -> Plan:
    clip = sources.clip
    reading = motion.read_motion(request.prompt)
    words = reading.words
    asked = replace(request, hd=False, tile=False, prompt=words or request.prompt)
    if clip is not None:
        task, size = _at_clip(asked, clip, model, notes)
    elif sources.first is not None:
        drawn_at, shape, more = drawing.choose_size(asked, model.card, sources.first.size)
        task = drawing.prepare(asked, model, Mode.TEXT, drawn_at, shape=shape)
        task = replace(task, notes=(*more, *task.notes))
        size = _video_size(request, task, model, notes)
    else:
        if not (asked.width or asked.height or asked.aspect_ratio):
            asked = replace(asked, aspect_ratio=WIDE)
        task = drawing.prepare_pictures(asked, sources.pictures, model)
        size = _video_size(request, task, model, notes)
    fps = float(request.fps or FPS) if clip is None else clip.fps
    if clip is not None and request.fps and request.fps != clip.fps:
        notes.append(f"The video keeps its {clip.fps:g} frames a second; `--fps` had no effect.")
    if request.sound:
        notes.append(SOUNDLESS)
    if request.operation == "remix" and reading.motion is not None:
        notes.append(MOTION_KEPT)
    count = 0 if request.operation == "remix" else _count(request, fps, notes)
    if not model.has(Mode.IMAGE):
        if request.operation == "remix":
            raise UserError(f"{model.name} can't draw from pictures, so it can't remix a video.")
        notes.append(f"{model.name} can't draw from pictures, so the frames are as they were sketched.")
    wanted = motion.choose_motion(reading, request.motion)
    reported = {"operation": request.operation, "fps": fps, "width": size[0], "height": size[1]}
    reported |= {"seconds": round(count / fps, 3)} if count else {}
    task = replace(task, parameters={**task.parameters, "prompt": request.prompt, **reported})
    return Plan(task, size, fps, wanted, words, count)


def _at_clip(
    request: VideoRequest, clip: OpenClip, model: ImageModel, notes: list[str]
) -> tuple[drawing.Task, tuple[int, int]]:
    """The task at about the model's native area in the clip's shape; the video keeps the clip's size."""
    if request.width or request.height or request.aspect_ratio or request.resolution:
        notes.append(f"The video keeps its size, {clip.size[0]}x{clip.size[1]}.")
    plain = replace(request, width=None, height=None, aspect_ratio=None)
    size, shape, more = drawing.choose_size(plain, model.card, clip.size)
    task = drawing.prepare(plain, model, Mode.TEXT, size, shape=shape)
    return replace(task, notes=(*more, *task.notes)), clip.size


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


def _count(request: VideoRequest, fps: float, notes: list[str]) -> int:
    seconds = request.seconds or SECONDS[request.operation]
    count = max(2, round(seconds * fps))
    if request.seconds and abs(count / fps - request.seconds) > 0.01:
        notes.append(f"{request.seconds:g} s became {count / fps:.3g} s: {count} frames.")
    return count


def _drawn(
    request: VideoRequest, plan: Plan, models: Models, reporter: Reporter, notes: list[str]
) -> list[Image.Image]:
    """Return the picture that each video begins with, as the words draw it: where there is a CLIP, of TRIES
    the one that fits them best; if something is to move, of those that show the whole thing, for one that the
    edge cuts off has an end that nobody drew. What drawing tells is added to ``notes``."""
    generation, matches = plan.task.generation, bool(models.config.models.get("clip")) and bool(plan.words)
    tries = TRIES if matches else 1
    seeds = tuple(
        (seed + number * OTHER) % (MAX_SEED + 1) for seed in generation.seeds for number in range(tries)
    )
    some = replace(generation, seeds=seeds)
    model, stage = models.image(request.model, reporter), Stage(reporter, 0, FIRST, keeps=True)
    drawn = generate(model, some, stage)
    notes += drawn.notes
    sets = [drawn.images[i : i + tries] for i in range(0, len(drawn.images), tries)]
    if matches:
        if not plan.motion.is_still:
            sets = [compose.uncut_pictures(some, plan.words, models, reporter) for some in sets]
        matcher = models.get("clip", reporter)

        def fittest(pictures: Sequence[Image.Image]) -> Image.Image:
            [text] = matcher.embed_texts([plan.words])
            fits = (matcher.embed_images(pictures) @ text).float().tolist()
            return pictures[max(range(len(fits)), key=fits.__getitem__)]

        chosen = [reporter.in_thread(partial(fittest, some)) for some in sets]
    else:
        chosen = [one for (one,) in sets]
    model = models.image(request.model, reporter)

    def finish(image: Image.Image) -> Image.Image:
        return reader.placed(encode.cut_to_shape(model.enlarged(image), generation.shape), plan.size)

    return [reporter.in_thread(partial(finish, image)) for image in chosen]
