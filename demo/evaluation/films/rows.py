"""Rows about films, through the product's own code: what is judged is the frames of the file that it writes.

Without a film model they are sketched. A film has FRAMES frames; each kind of motion has as many films.
"""

import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from core.events import Output
from core.requests.video import VideoRequest
from demo.drawing import draw_apart, layout
from demo.evaluation.films import seen
from demo.evaluation.films.seen import Frame
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import SINGLE, held_out, prompt
from demo.world import Scene
from vision.capabilities import video
from vision.films.reader import FilmReader
from vision.reporter import Reporter
from vision.sketch import cutting, moving
from vision.sketch.film import shares
from vision.sketch.motion import read
from vision.sketch.shots import Moved

FRAMES, FPS = 16, 8
SHOWN = 512  # px of a side, as the studio shows pictures of the demo models
MOTIONS = {
    "left": ("moving to the left", "sliding to the left"),
    "right": ("moving to the right", "going from left to right"),
    "up": ("moving up", "rising"),
    "down": ("moving down", "sinking"),
    "grow": ("growing", "getting bigger"),
    "shrink": ("shrinking", "getting smaller"),
    "turn": ("turning clockwise", "turning around"),
    "still": ("standing still", "motionless"),
}
SMOOTH = 1.3  # of a seam, against the changes around it
CLIP, ENDS, CLIP_2, PICTURE, OTHER = (letter * 64 for letter in "abcde")


@dataclass(frozen=True, eq=False)
class Case:
    """A film that is asked for. words: with those about motion."""

    scene: Scene
    kind: str
    words: str
    seed: int


@dataclass(frozen=True, eq=False)
class Made:
    """A film that was made. cpu: seconds. files: where it and its ends lie."""

    frames: list[Image.Image]
    cpu: float
    files: tuple[str, str]


def cases(n: int) -> list[Case]:
    """Held-out single things, the kinds of motion in turns."""
    found = []
    for index, (scene, rng) in enumerate(held_out(n, SINGLE, "film")):
        kind = list(MOTIONS)[index % len(MOTIONS)]
        found.append(
            Case(scene, kind, f"{prompt(scene, rng)}, {rng.choice(MOTIONS[kind])}", 8000 + 10 * index)
        )
    return found


def made(pack: Pack, paths: dict[str, str] | None = None, **asked) -> Made:
    """The film that the product makes of a request, read back from its file."""
    request = VideoRequest(**{"seconds": FRAMES / FPS, "fps": FPS, "aspect_ratio": (1, 1), **asked})
    begun = time.process_time()
    output: Output = video.run(request, paths or {}, pack.models, Reporter(), Path(tempfile.mkdtemp()))
    cpu, [film] = time.process_time() - begun, output.films
    with Path(film.path).open("rb") as file, FilmReader(file) as reader:
        frames = [Image.fromarray(colours) for chunk in reader.chunks() for colours in chunk]
    return Made(frames, cpu, (film.path, film.ends))


def judge_rows(pack: Pack, report: Report, n: int):
    """The judge's ceiling: drawn scenes whose things move along the same paths by their true outlines."""
    films = []
    for case in cases(n):
        size, rng = (SHOWN, SHOWN), random.Random(case.words)
        picture, owner = draw_apart(case.scene, rng, size, layout(case.scene, rng, size))
        layers = cutting.cut(picture, Image.fromarray((owner == 0).astype(np.uint8) * 255))
        motion = read(case.words).motion
        shot = Moved(layers, *moving.path(layers, motion, fixed=False))
        films.append([shot.at(share) for share in shares(FRAMES)])
    _tell(pack, report, "drawn films", cases(n), films)


def words_rows(pack: Pack, report: Report, n: int):
    """Words to films."""
    films, cpu = [], []
    for case in tqdm(cases(n), desc="words to film", mininterval=10):
        film = made(pack, prompt=case.words, seed=case.seed)
        films.append(film.frames)
        cpu.append(film.cpu)
    _tell(pack, report, "words to film", cases(n), films, (0.85, 0.85, 0.95))
    usual = round(float(np.median(cpu)), 2)
    report.row("words to film: CPU seconds for 16 frames, median", usual, 20.0, at_most=True)


def picture_rows(pack: Pack, report: Report, n: int):
    """Pictures to films, of pictures that the image model drew right."""
    kept, films, quality = [], [], []
    every = cases(n)
    for case, small in zip(every, _drawn(pack, every), strict=True):
        [view] = seen.look(pack.judge, [small])
        if not seen.right([view], case.scene)[0]:
            continue
        picture = pack.models.image(None).enlarged(small)
        film = made(pack, _files(picture), prompt=case.words, seed=case.seed, image=PICTURE)
        through = pack.decoded([small])[0]
        quality.append((seen.psnr(film.frames[0], picture), seen.psnr(through, small)))
        kept.append(case)
        films.append(film.frames)
    _tell(pack, report, "picture to film", kept, films, (0.9, 0.85, 0.95), fixed=True)
    near = [kept >= own - 1 for kept, own in quality]
    report.share("picture to film: first frame within 1 dB of the autoencoder", near, 0.95)
    for name, column in zip(("first frame", "autoencoder alone"), zip(*quality, strict=True), strict=True):
        report.row(
            f"picture to film: PSNR of the {name}, dB, median", round(float(np.median(column)), 1), None
        )


def seam_rows(pack: Pack, report: Report, n: int):
    """End frames, loops and blends of pictures that move."""
    ends, loops, joins, closed, longer = [], [], [], [], []
    every = [case for case in cases(n) if case.kind != "still"]
    pictures = [pack.models.image(None).enlarged(small) for small in _drawn(pack, every)]
    for number, (case, picture) in enumerate(zip(every, pictures, strict=True)):
        last = pictures[(number + 1) % len(pictures)]
        given = _files(picture, last)
        film = made(pack, given, prompt=case.words, seed=case.seed, image=PICTURE, end_image=OTHER)
        ends.append(seen.psnr(film.frames[-1], last) >= 35)
        loop = made(pack, given, prompt=case.words, seed=case.seed, image=PICTURE, loop=True)
        loops.append(seen.seam(loop.frames, 0) <= SMOOTH)
        one = made(pack, given, prompt=case.words, seed=case.seed, image=PICTURE)
        two = made(pack, _files(last), prompt=every[(number + 1) % len(every)].words, seed=1, image=PICTURE)
        files = dict(zip((CLIP, ENDS, CLIP_2), (*one.files, two.files[0]), strict=True))
        both = made(
            pack, files, prompt=case.words, operation="blend", clip=CLIP, clip_ends=ENDS, clip_2=CLIP_2
        )
        joins += [seen.seam(both.frames, at) <= SMOOTH for at in (FRAMES, len(both.frames) - FRAMES)]
        back = made(pack, files, prompt=case.words, operation="loop", clip=CLIP, clip_ends=ENDS)
        closed.append(max(seen.seam(back.frames, at) for at in (0, FRAMES)) <= SMOOTH)
        more = made(pack, files, prompt=case.words, operation="extend", clip=CLIP, clip_ends=ENDS)
        longer.append(seen.seam(more.frames, FRAMES) <= SMOOTH)
    report.share("film with an end frame: its PSNR is 35 dB or more", ends, 0.95)
    report.share("loop from a picture: seam at most 1.3", loops, 0.9)
    report.share("blend: joins at most 1.3", joins, 0.9)
    report.share("loop of a film: both joins at most 1.3", closed, 0.9)
    report.share("film extended: join at most 1.3", longer, 0.9)


def extend_rows(pack: Pack, report: Report, n: int):
    """Films that are extended four times: what is still there, and how far colours have drifted."""
    right, drifts, pixels = [], [], []
    every = [case for case in cases(n) if case.kind in ("left", "right", "up", "down")]
    for case, small in zip(every, _drawn(pack, every), strict=True):
        if not seen.right(seen.look(pack.judge, [small]), case.scene)[0]:
            continue
        picture = pack.models.image(None).enlarged(small)
        for with_ends, told in ((True, drifts), (False, pixels)):
            film = made(pack, _files(picture), prompt=case.words, seed=case.seed, image=PICTURE)
            begun = film.frames[0]
            for _ in range(4):
                files = dict(zip((CLIP, ENDS), film.files, strict=True))
                more = {"clip_ends": ENDS} if with_ends else {}
                film = made(
                    pack, files, prompt=case.words, seed=case.seed, operation="extend", clip=CLIP, **more
                )
            told.append(seen.shift(begun, film.frames[-1]))
            if with_ends:
                right += seen.right(seen.look(pack.judge, film.frames[-1:]), case.scene)
    report.share("film extended four times: thing and colour at its end", right, 0.85)
    report.row("extended four times: shift of a channel", round(float(np.mean(drifts)), 2), 3, at_most=True)
    report.row("the same from encoded pixels", round(float(np.mean(pixels)), 2), None)


def _drawn(pack: Pack, every: list[Case]) -> list[Image.Image]:
    return pack.imagine([read(case.words).words for case in every], 9000)


def _files(*pictures: Image.Image) -> dict[str, str]:
    """Pictures as the files of a request."""
    folder, paths = Path(tempfile.mkdtemp()), {}
    for name, picture in zip((PICTURE, OTHER), pictures, strict=False):
        paths[name] = str(folder / f"{name}.png")
        picture.save(paths[name])
    return paths


def _tell(
    pack: Pack,
    report: Report,
    name: str,
    some: list[Case],
    films: list[list[Image.Image]],
    bars: tuple[float | None, float | None, float | None] = (None, None, None),
    *,
    fixed: bool = False,
):
    """Rows about films. fixed: they begin with a picture that was given, and so upright."""
    views: list[list[Frame]] = [
        seen.look(pack.judge, film, _turns(case, len(film), fixed=fixed))
        for case, film in zip(some, films, strict=True)
    ]
    right = [seen.right(view, case.scene) for view, case in zip(views, some, strict=True)]
    whole = [all(hits) for hits in right]
    report.share(f"{name}: thing and colour in all frames", whole, bars[0], kinds=_by_kind(some, whole))
    share = round(float(np.mean([np.mean(hits) for hits in right])), 3)
    report.row(f"{name}: thing and colour, share of frames", share, None)
    moved = [
        (case, seen.moved(case.kind, film, view, case.scene))
        for case, film, view in zip(some, films, views, strict=True)
    ]
    told = [(case, hit) for case, hit in moved if hit is not None]
    kinds = _by_kind([case for case, _ in told], [hit for _, hit in told])
    report.share(f"{name}: motion as asked", [hit for _, hit in told], bars[1], kinds=kinds)
    grounds = [
        all(frame.background == case.scene.background for frame in view)
        for view, case in zip(views, some, strict=True)
    ]
    report.share(f"{name}: background in all frames", grounds, bars[2])
    noise = [seen.flicker(film, view) for film, view in zip(films, views, strict=True)]
    report.row(
        f"{name}: flicker of the background",
        round(float(np.mean([x for x in noise if x is not None])), 2),
        None,
    )
    steady = round(float(np.mean([seen.unsteadiness(view) for view in views])), 4)
    report.row(f"{name}: second difference of the path", steady, None)


def _by_kind(some: list[Case], hits: list[bool]) -> dict[str, str]:
    """How many of each kind of motion hit, of how many."""
    told = list(zip((case.kind for case in some), hits, strict=True))
    return {
        kind: f"{sum(hit for k, hit in told if k == kind)}/{sum(k == kind for k, _ in told)}"
        for kind in MOTIONS
    }


def _turns(case: Case, count: int, *, fixed: bool) -> list[float]:
    """By how many degrees clockwise the thing should lean in each of ``count`` frames."""
    turn = read(case.words).motion.turn
    return [turn * share if fixed else turn * (share - 0.5) for share in shares(count)]
