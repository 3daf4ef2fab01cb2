"""Rows about films, through the product's own code: what is judged is the frames of the file that it writes.

Without a film model they are sketched. A film has FRAMES frames; each kind of motion has as many films.
"""

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from core.events import Output
from core.requests.video import VideoRequest
from demo.drawing import draw_apart, layout
from demo.evaluation.films import seen
from demo.evaluation.films.verdicts import Extended, T, Verdict, Verdicts, by_kind
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
FIRST_SEED, PICTURES = 8000, 9000  # of the films, and of the pictures that some begin with
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
            Case(scene, kind, f"{prompt(scene, rng)}, {rng.choice(MOTIONS[kind])}", FIRST_SEED + 10 * index)
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
    found = []
    for case in cases(n)[pack.skipped :]:
        size, rng = (SHOWN, SHOWN), random.Random(case.words)
        picture, owner = draw_apart(case.scene, rng, size, layout(case.scene, rng, size))
        layers = cutting.cut(picture, Image.fromarray((owner == 0).astype(np.uint8) * 255))
        motion = read(case.words).motion
        shot = Moved(layers, *moving.path(layers, motion, fixed=False))
        found.append(_verdict(pack, case, [shot.at(share) for share in shares(FRAMES)]))
    _tell(report, "drawn films", found)


def words_rows(pack: Pack, report: Report, n: int):
    """Words to films."""

    def judged(case: Case) -> Verdict:
        film = made(pack, prompt=case.words, seed=case.seed)
        return replace(_verdict(pack, case, film.frames), cpu=film.cpu)

    found = _judged(pack, "words to film", n, judged, Verdict)
    _tell(report, "words to film", found, (0.85, 0.85, 0.95))
    usual = round(float(np.median([film.cpu for film in found])), 2)
    report.row("words to film: CPU seconds for 16 frames, median", usual, 20.0, at_most=True)


def picture_rows(pack: Pack, report: Report, n: int):
    """Pictures to films, of pictures that the image model drew right."""

    def judged(case: Case) -> Verdict | None:
        [small] = pack.imagine([read(case.words).words], _seed_of_picture(case))
        if not seen.right(seen.look(pack.judge, [small]), case.scene)[0]:
            return None
        picture = pack.models.image(None).enlarged(small)
        film = made(pack, _files(picture), prompt=case.words, seed=case.seed, image=PICTURE)
        return replace(
            _verdict(pack, case, film.frames, fixed=True),
            cpu=film.cpu,
            first=seen.psnr(film.frames[0], picture),
            alone=seen.psnr(pack.decoded([small])[0], small),
        )

    found = _judged(pack, "picture to film", n, judged, Verdict)
    _tell(report, "picture to film", found, (0.9, 0.85, 0.95))
    near = [film.first >= film.alone - 1 for film in found]
    report.share("picture to film: first frame within 1 dB of the autoencoder", near, 0.95)
    for name, column in (
        ("first frame", [film.first for film in found]),
        ("autoencoder alone", [film.alone for film in found]),
    ):
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
    both = set[str]()  # kinds of motion whose first film was also extended from its pixels

    def judged(case: Case) -> Extended | None:
        if case.kind not in ("left", "right", "up", "down"):
            return None
        [small] = pack.imagine([read(case.words).words], _seed_of_picture(case))
        if not seen.right(seen.look(pack.judge, [small]), case.scene)[0]:
            return None
        picture = pack.models.image(None).enlarged(small)
        last, shift = _extended(pack, case, picture, {"clip_ends": ENDS})
        pixels = None if case.kind in both else _extended(pack, case, picture, {})[1]
        both.add(case.kind)
        [right] = seen.right(seen.look(pack.judge, [last]), case.scene)
        return Extended(case.kind, right, shift, pixels)

    found = _judged(pack, "film extended", n, judged, Extended)
    right = [(film.kind, film.right) for film in found]
    report.share(
        "film extended four times: thing and colour at its end",
        [hit for _, hit in right],
        0.85,
        kinds=by_kind(("left", "right", "up", "down"), right),
    )
    drift = float(np.mean([film.shift for film in found]))
    report.row("extended four times: shift of a channel", round(drift, 2), 3, at_most=True)
    pixels = [film.pixels for film in found if film.pixels is not None]
    report.row("the same from encoded pixels", round(float(np.mean(pixels)), 2), None)


def _extended(
    pack: Pack, case: Case, picture: Image.Image, more: dict[str, str]
) -> tuple[Image.Image, float]:
    """The last frame of a film of ``picture`` that is extended four times, and how far its colours have
    drifted."""
    film = made(pack, _files(picture), prompt=case.words, seed=case.seed, image=PICTURE)
    begun = film.frames[0]
    for _ in range(4):
        files = dict(zip((CLIP, ENDS), film.files, strict=True))
        film = made(pack, files, prompt=case.words, seed=case.seed, operation="extend", clip=CLIP, **more)
    return film.frames[-1], seen.shift(begun, film.frames[-1])


def _drawn(pack: Pack, every: list[Case]) -> list[Image.Image]:
    return pack.imagine([read(case.words).words for case in every], PICTURES)


def _seed_of_picture(case: Case) -> int:
    """That of the picture which ``_drawn`` makes of all cases."""
    return PICTURES + (case.seed - FIRST_SEED) // 10


def _files(*pictures: Image.Image) -> dict[str, str]:
    """Pictures as the files of a request."""
    folder, paths = Path(tempfile.mkdtemp()), {}
    for name, picture in zip((PICTURE, OTHER), pictures, strict=False):
        paths[name] = str(folder / f"{name}.png")
        picture.save(paths[name])
    return paths


def _judged(pack: Pack, name: str, n: int, judged: Callable[[Case], T | None], form: type[T]) -> list[T]:
    """What is said of the films of ``n`` cases, without those that there was nothing to make of."""
    verdicts = Verdicts(form, pack.verdicts and pack.verdicts / f"{name.replace(' ', '-')}.jsonl")
    numbered = list(enumerate(cases(n)))[pack.skipped :]
    said = [
        verdicts.of(number, partial(judged, case)) for number, case in tqdm(numbered, name, mininterval=10)
    ]
    return [film for film in said if film is not None]


def _verdict(pack: Pack, case: Case, film: list[Image.Image], *, fixed: bool = False) -> Verdict:
    """What is said of a film. fixed: it begins with a picture that was given, and so upright."""
    view = seen.look(pack.judge, film, _turns(case, len(film), fixed=fixed))
    return Verdict(
        case.kind,
        seen.right(view, case.scene),
        seen.moved(case.kind, film, view, case.scene),
        all(frame.background == case.scene.background for frame in view),
        seen.flicker(film, view),
        seen.unsteadiness(view),
    )


def _tell(
    report: Report,
    name: str,
    films: list[Verdict],
    bars: tuple[float | None, float | None, float | None] = (None, None, None),
):
    """Rows about films."""
    whole = [(film.kind, all(film.hits)) for film in films]
    told = [(film.kind, film.moved) for film in films if film.moved is not None]
    for what, some, bar in (
        ("thing and colour in all frames", whole, bars[0]),
        ("motion as asked", told, bars[1]),
    ):
        report.share(f"{name}: {what}", [hit for _, hit in some], bar, kinds=by_kind(MOTIONS, some))
    report.share(f"{name}: background in all frames", [film.on_ground for film in films], bars[2])
    for what, values, digits in (
        ("thing and colour, share of frames", [np.mean(film.hits) for film in films], 3),
        ("flicker of the background", [film.flicker for film in films if film.flicker is not None], 2),
        ("second difference of the path", [film.unsteadiness for film in films], 4),
    ):
        report.row(f"{name}: {what}", round(float(np.mean(values)), digits), None)


def _turns(case: Case, count: int, *, fixed: bool) -> list[float]:
    """By how many degrees clockwise the thing should lean in each of ``count`` frames."""
    turn = read(case.words).motion.turn
    return [turn * share if fixed else turn * (share - 0.5) for share in shares(count)]
