"""/video: films from words, from pictures, or from other films.

Without a film model they are sketched: a picture is drawn, its thing is cut out and moved, and the image
model draws over it (``vision.sketch``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.errors import UserError
from core.events import Film, Output
from core.limits import MAX_SEED
from core.requests.video import VideoRequest
from vision.capabilities import imagine
from vision.drawing import task as drawing
from vision.drawing.generate import generate
from vision.drawing.task import Task
from vision.families import Mode
from vision.films.encoders import encoder_of
from vision.films.writer import film_at
from vision.image_model.model import ImageModel
from vision.model_store import Models
from vision.pictures import encode
from vision.reporter import Reporter, Stage
from vision.sketch import clips, motion, operations
from vision.sketch.clips import Clip
from vision.sketch.film import STRENGTH, Take, amounts
from vision.sketch.motion import Motion
from vision.sketch.operations import Asked

FPS = 16
SECONDS = {"new": 3.0, "extend": 2.0, "extend_back": 2.0, "blend": 1.0, "loop": 1.5}
REMIX = 0.55  # strength
WIDE = (16, 9)  # shape of a film of which only words are known
MAX_PIXELS = 1920 * 1088
FIRST = 0.2  # of the job: until the pictures that the films begin with are drawn
TRIES, OTHER = 2, 7919  # first pictures from words; what their seeds differ by
DRAWN = 0.7  # of a film: until its frames are drawn over
MOTION_KEPT = "A remix moves as its film does; the words about motion had no effect."
SOUNDLESS = "Sketched films have no sound."


@dataclass(frozen=True)
class Plan:
    """How all films of a job are made. task: with the values for the image model. size: px. motion: what
    happens. words: about what is to be seen. count: of the frames that are drawn, 0 = all of the clip's."""

    task: Task
    size: tuple[int, int]
    fps: float
    motion: Motion
    words: str
    count: int


@dataclass(frozen=True)
class Written:
    """A film that is written: its ends, and how many frames it has."""

    first: Image.Image
    last: Image.Image
    count: int


def run(
    request: VideoRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """See vision.capabilities."""
    model, notes = models.image(request.model, reporter), list[str]()
    clip, clip_2 = reporter.in_thread(lambda: _clips(request, paths))
    images = reporter.in_thread(lambda: _pictures(request, paths))
    plan = _plan(request, images, clip, model, notes)
    end = images[request.end_image] if request.end_image else None
    asked = Asked(
        plan.motion,
        plan.count,
        end=None if end is None else clips.placed(end, plan.size),
        clip=clip,
        clip_2=clip_2,
        known=request.image is not None,
        loop=request.loop,
    )
    count, begin = len(plan.task.generation.seeds), 0.0
    firsts: list[Image.Image | None] = [None] * count
    if request.image is not None:
        firsts = [clips.placed(images[request.image], plan.size)] * count
    elif request.operation == "new":
        firsts, begin = [*_drawn(request, plan, models, reporter)], FIRST
    films = []
    for number, picture in enumerate(firsts):
        part = tuple(begin + (1 - begin) * (number + at) / count for at in (0, DRAWN, 1))
        one = replace(asked, picture=picture, motion=amounts(plan.motion, number))
        films.append(_film(request, plan, one, number, models, reporter, part, folder, notes))
    told = dict.fromkeys([*notes, *plan.task.notes])
    return Output(films=tuple(films), parameters={**plan.task.parameters, "notes": list(told)})


def _clips(request: VideoRequest, paths: Mapping[str, str]) -> tuple[Clip | None, Clip | None]:
    def opened(film: str | None, ends: str | None) -> Clip | None:
        return None if film is None else clips.opened(paths[film], None if ends is None else paths[ends])

    return opened(request.clip, request.clip_ends), opened(request.clip_2, request.clip_2_ends)


def _pictures(request: VideoRequest, paths: Mapping[str, str]) -> dict[str, Image.Image]:
    """Open all that the request names but films and what lies beside them."""
    films = {request.clip, request.clip_ends, request.clip_2, request.clip_2_ends}
    return {sha: encode.open_picture(paths[sha]) for sha in request.pictures if sha not in films}


# Preparing
# ------------------------------------------------------------------------------------------------------------


def _plan(
    request: VideoRequest,
    images: Mapping[str, Image.Image],
    clip: Clip | None,
    model: ImageModel,
    notes: list[str],
) -> Plan:
    reading = motion.read(request.prompt)
    words = request.prompt if request.operation == "remix" else reading.words
    asked = replace(request, hd=False, tile=False, prompt=words or request.prompt)
    if clip is not None:
        task, size = _at_clip(asked, clip, model, notes)
    elif request.image is not None:
        task = _at_picture(asked, images[request.image], model)
        size = _film_size(request, task, model, notes)
    else:
        if not (asked.width or asked.height or asked.aspect_ratio):
            asked = replace(asked, aspect_ratio=WIDE)
        task = imagine.prepare(asked, images, model)
        size = _film_size(request, task, model, notes)
    fps = float(request.fps or FPS) if clip is None else clip.fps
    if clip is not None and request.fps and request.fps != clip.fps:
        notes.append(f"The film keeps its {clip.fps:g} frames a second; `--fps` had no effect.")
    if request.sound:
        notes.append(SOUNDLESS)
    if request.operation == "remix" and reading.motion is not None:
        notes.append(MOTION_KEPT)
    count = 0 if request.operation == "remix" else _count(request, fps, notes)
    if not model.has(Mode.IMAGE):
        if request.operation == "remix":
            raise UserError(f"{model.name} can't draw from pictures, so it can't remix a film.")
        notes.append(f"{model.name} can't draw from pictures, so the frames are as they were sketched.")
    wanted = motion.chosen(reading, request.motion)
    reported = {"operation": request.operation, "fps": fps, "width": size[0], "height": size[1]}
    reported |= {"seconds": round(count / fps, 3)} if count else {}
    task = replace(task, parameters={**task.parameters, "prompt": request.prompt, **reported})
    return Plan(task, size, fps, wanted, words, count)


def _at_picture(request: VideoRequest, image: Image.Image, model: ImageModel) -> Task:
    size, shape, notes = drawing.choose_size(request, model.card, image.size)
    task = drawing.prepare(request, model, Mode.TEXT, size, shape=shape)
    return replace(task, notes=(*notes, *task.notes))


def _at_clip(
    request: VideoRequest, clip: Clip, model: ImageModel, notes: list[str]
) -> tuple[Task, tuple[int, int]]:
    """The task at about the model's native area in the clip's shape; the film keeps the clip's size."""
    if request.width or request.height or request.aspect_ratio or request.resolution:
        notes.append(f"The film keeps its size, {clip.size[0]}x{clip.size[1]}.")
    plain = replace(request, width=None, height=None, aspect_ratio=None)
    size, shape, more = drawing.choose_size(plain, model.card, clip.size)
    task = drawing.prepare(plain, model, Mode.TEXT, size, shape=shape)
    return replace(task, notes=(*more, *task.notes)), clip.size


def _film_size(request: VideoRequest, task: Task, model: ImageModel, notes: list[str]) -> tuple[int, int]:
    """Return the size of the film, px, both sides even: the model's, or what ``--res`` asks for."""
    width, height = task.generation.finished_size(model.card.output_scale)
    scale = (request.resolution or min(width, height)) / min(width, height)
    most = (MAX_PIXELS / (width * height)) ** 0.5
    if scale > most:
        scale = most
        notes.append(f"A film has at most {MAX_PIXELS / 1e6:.1f} megapixels, so it became smaller.")
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _count(request: VideoRequest, fps: float, notes: list[str]) -> int:
    """Return how many frames are drawn."""
    seconds = request.seconds or SECONDS[request.operation]
    count = max(2, round(seconds * fps))
    if request.seconds and abs(count / fps - request.seconds) > 0.01:
        notes.append(f"{request.seconds:g} s became {count / fps:.3g} s: {count} frames.")
    return count


def _drawn(request: VideoRequest, plan: Plan, models: Models, reporter: Reporter) -> list[Image.Image]:
    """Return the picture that each film begins with, as the words draw it: where there is a CLIP, the one of
    TRIES that fits them best."""
    generation, matches = plan.task.generation, bool(models.config.models.get("clip")) and bool(plan.words)
    tries = TRIES if matches else 1
    seeds = tuple(
        (seed + number * OTHER) % (MAX_SEED + 1) for seed in generation.seeds for number in range(tries)
    )
    some = replace(generation, seeds=seeds)
    drawn = generate(
        models.image(request.model, reporter), some, Stage(reporter, 0, FIRST, keeps=True)
    ).images
    sets = [drawn[i : i + tries] for i in range(0, len(drawn), tries)]
    if matches:
        matcher = models.get("clip", reporter)
        chosen = [reporter.in_thread(partial(_fittest, some, plan.words, matcher)) for some in sets]
    else:
        chosen = [one for (one,) in sets]
    model = models.image(request.model, reporter)

    def finish(image: Image.Image) -> Image.Image:
        return clips.placed(encode.cut(model.enlarged(image), generation.shape), plan.size)

    return [reporter.in_thread(partial(finish, image)) for image in chosen]


def _fittest(pictures: Sequence[Image.Image], words: str, matcher: Any) -> Image.Image:
    """Return the picture that fits the words best."""
    [text] = matcher.embed_texts([words])
    fits = (matcher.embed_images(pictures) @ text).float().tolist()
    return pictures[max(range(len(fits)), key=fits.__getitem__)]


# Making
# ------------------------------------------------------------------------------------------------------------


def _film(
    request: VideoRequest,
    plan: Plan,
    asked: Asked,
    number: int,
    models: Models,
    reporter: Reporter,
    part: tuple[float, ...],
    folder: Path,
    notes: list[str],
) -> Film:
    """Make film ``number`` and write it into ``folder``. part: of the whole job: its begin, where its frames
    are drawn over, its end."""
    begin, middle, end = part
    generation, remixes = plan.task.generation, request.operation == "remix"
    seed = generation.seeds[number]
    strength = request.strength or (REMIX if remixes else STRENGTH)
    take = Take(
        replace(generation, seeds=(seed,)),
        request.model,
        plan.words,
        strength,
        models,
        Stage(reporter, begin, end if remixes else middle),
        notes,
    )
    frames = operations.OPERATIONS[request.operation](asked, operations.without_references(take))
    path, ends = folder / f"{number}.mp4", folder / f"{number}.ends"
    stage = reporter if remixes else Stage(reporter, middle, end)
    expected = 0 if remixes else operations.expected(request.operation, asked)
    written = _write(path, frames, plan, models, stage, expected)
    reporter.in_thread(lambda: clips.keep_ends(ends, written.first, written.last))
    own = {k: v for k, v in plan.task.parameters.items() if k not in ("notes", "num_images")}
    poster = reporter.in_thread(lambda: encode.png(written.first, own, seed))
    return Film(str(path), *plan.size, written.count, plan.fps, poster, seed, str(ends))


def _write(
    path: Path,
    frames: Iterator[Image.Image],
    plan: Plan,
    models: Models,
    reporter: Reporter,
    expected: int,
) -> Written:
    """Write a film, and report its frames unless none are ``expected``: then drawing them reports."""
    count, first, last = 0, None, None
    with film_at(path, plan.size, plan.fps, encoder_of(models.config.video_encoder)) as film:
        for frame in frames:
            reporter.check()
            reporter.in_thread(partial(film.write, np.asarray(frame)[None]))
            first, last, count = first or frame, frame, count + 1
            if expected:
                reporter.step(min(count, expected), expected)
    if first is None or last is None:
        raise ValueError("a film without a frame")
    return Written(first, last, count)
