"""Rows about videos, through the product's own code: what is judged is the frames of the file that it writes.

Without a video model objects are cut out and moved. A video has FRAMES frames; each kind of motion has as
many videos. What is said of each is kept in a file, so that a run that was ended goes on where it was.

The judge has been shown objects of 0.24 to 0.72 of a side that stand upright. So that it can read larger and
smaller ones, it looks at each frame from several distances, and the reading whose names it is surest of
counts. What was asked to turn is turned back first, by as much as it should have turned by then. The
thresholds are those that drawn clips pass after the demo autoencoder.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from core.events import Output
from core.requests.video import VideoRequest
from demo.drawing import PAINT, draw_apart, layout
from demo.evaluate import Report
from demo.evaluate.images import SINGLE, Pack, held_out, prompt
from demo.judge import GRID, SIZE, Judge
from demo.train.readers import pixels
from demo.world import Scene
from vision.capabilities.video import run as run_video
from vision.reporter import Reporter
from vision.video.cutout import compose
from vision.video.cutout.compose import Moved, shares
from vision.video.cutout.motion import read_motion
from vision.video.reader import VideoReader

WENT, STOOD = 0.08, 0.05  # of a side: least way of a thing that moves, most of one that stands still
GREW, SHRANK = 1.35, 0.74  # of the area in the thing's colour, last frame against first
ALIKE = 70  # RGB distance within which a pixel has the asked colour
SEEN_SIDE = 128  # px at which pixels are compared
TURNED = 30  # degrees
FARTHER, NEARER = (0.2, 0.35), 0.7  # of a side, added around a frame; of a side, left of it around its thing
ROUND = ("ball", "star", "flower")  # whose turn can't be seen
REACH = 34  # px of SEEN_SIDE around a thing's middle
BACK = 0.36  # of a side around a thing: what is turned back with it
FAR = 0.36  # of a side away from a thing: there lies only the background


@dataclass(frozen=True)
class Frame:
    """What is seen in one frame: the surest thing, where its middle is (shares of the sides), and the
    background."""

    object: str
    colour: str
    background: str
    x: float
    y: float


@torch.no_grad()
def look(judge: Judge, frames: list[Image.Image], turns: Sequence[float] | None = None) -> list[Frame]:
    """What the judge sees in each frame; middles to a fraction of its cells. turns: by how many degrees
    clockwise each frame's thing leans."""
    small = [np.asarray(f.convert("RGB").resize((SIZE, SIZE), Image.BOX)) for f in frames]
    grids, _ = judge.network(pixels(small))
    seen = []
    leaning = turns or [0.0] * len(frames)
    for image, verdict, grid, degrees in zip(frames, judge(frames), grids.cpu(), leaning, strict=True):
        found, heat = verdict.found[0], grid[0].sigmoid().numpy()
        column, row = int(found.x * GRID), int(found.y * GRID)
        ys, xs = np.mgrid[max(0, row - 2) : min(GRID, row + 3), max(0, column - 2) : min(GRID, column + 3)]
        weight = heat[ys, xs] ** 2
        x, y = (float((weight * (at + 0.5)).sum() / weight.sum() / GRID) for at in (xs, ys))
        views = judge(_views(upright(image, x, y, degrees) if degrees else image, x, y))
        best = max((view.found[0] for view in views), key=lambda one: one.named)
        seen.append(Frame(best.object, best.colour, verdict.background, x, y))
    return seen


def _views(frame: Image.Image, x: float, y: float) -> list[Image.Image]:
    """The frame as it is, from farther away, and nearer to its thing at a place (shares of the sides)."""
    small = frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX)
    views = [frame]
    for share in FARTHER:
        rim = round(share * SEEN_SIDE)
        wide = np.pad(np.asarray(small), ((rim, rim), (rim, rim), (0, 0)), mode="edge")
        views.append(Image.fromarray(wide))
    left, top = (min(max(at - NEARER / 2, 0), 1 - NEARER) for at in (x, y))
    width, height = frame.size
    part = (left * width, top * height, (left + NEARER) * width, (top + NEARER) * height)
    return [*views, frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BICUBIC, part)]


def seen_right(seen: list[Frame], scene: Scene) -> list[bool]:
    """For each frame, whether thing and colour are the scene's."""
    group = scene.groups[0]
    return [(f.object, f.colour) == (group.object, group.colour) for f in seen]


def moved(kind: str, frames: list[Image.Image], seen: list[Frame], scene: Scene) -> bool | None:
    """Whether the video moves as asked; None where it can't be seen."""
    across, down = seen[-1].x - seen[0].x, seen[-1].y - seen[0].y
    if kind in ("left", "right", "up", "down"):
        along, beside = (across, down) if kind in ("left", "right") else (down, across)
        forward = along if kind in ("right", "down") else -along
        return forward > WENT and forward > abs(beside)
    if kind == "still":
        return max(abs(across), abs(down)) < STOOD
    if kind == "turn":
        return None if scene.groups[0].object in ROUND else abs(_angle(frames, seen)) >= TURNED
    before, after = (_share(frame, scene.groups[0].colour) for frame in (frames[0], frames[-1]))
    if max(before, after) > 0.6 or min(before, after) < 0.002:
        return None  # the background has the thing's colour, or the thing has none of it
    return after / before > GREW if kind == "grow" else after / before < SHRANK


def flicker(frames: list[Image.Image], seen: list[Frame]) -> float | None:
    """Mean change from frame to frame where only the background is, 0..255; None where nothing is free."""
    ys, xs = (np.mgrid[0:SEEN_SIDE, 0:SEEN_SIDE] + 0.5) / SEEN_SIDE
    changes = []
    for before, after, one, other in zip(frames, frames[1:], seen, seen[1:], strict=False):
        far = np.ones(xs.shape, bool)
        for at in (one, other):
            far &= (np.abs(xs - at.x) > FAR) | (np.abs(ys - at.y) > FAR)
        if far.mean() > 0.1:
            changes.append(float(np.abs(_small(before) - _small(after)).mean(-1)[far].mean()))
    return float(np.mean(changes)) if changes else None


def unsteadiness(seen: list[Frame]) -> float:
    """Mean second difference of the thing's middle, share of a side."""
    return float(np.abs(np.diff([(f.x, f.y) for f in seen], 2, axis=0)).mean())


def seam(frames: list[Image.Image], at: int) -> float:
    """The change into frame ``at`` (0: from the last frame to the first) against the median change around:
    1 can't be noticed, over 2 jumps."""
    changes = [_change(before, after) for before, after in zip(frames, frames[1:], strict=False)]
    usual = float(np.median([c for i, c in enumerate(changes) if i != at - 1]))
    return _change(frames[at - 1], frames[at]) / max(usual, 1e-3)


def upright(frame: Image.Image, x: float, y: float, degrees: float) -> Image.Image:
    """The frame with its thing, which is turned by so much clockwise, turned back around its middle (shares
    of the sides)."""
    small = frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX)
    centre = (x * SEEN_SIDE, y * SEEN_SIDE)
    ys, xs = np.mgrid[0:SEEN_SIDE, 0:SEEN_SIDE] + 0.5
    disc = np.hypot(xs - centre[0], ys - centre[1]) < BACK * SEEN_SIDE
    back = small.rotate(degrees, resample=Image.BICUBIC, center=centre)
    small.paste(back, mask=Image.fromarray(disc.astype(np.uint8) * 255))
    return small


def psnr(picture: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio of two pictures of one size, dB."""
    apart = np.asarray(picture, np.float64) - np.asarray(other, np.float64)
    return float(10 * np.log10(255**2 / max(1e-9, np.square(apart).mean())))


def shift(before: Image.Image, after: Image.Image) -> float:
    """By how much colours have drifted: of the channels' median differences, pixel by pixel, the largest,
    0..255. A mean would count the thing that has moved, too."""
    return float(np.abs(np.median(_small(after) - _small(before), axis=(0, 1))).max())


def _small(frame: Image.Image) -> np.ndarray:
    return np.asarray(frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX), np.float64)


def _change(before: Image.Image, after: Image.Image) -> float:
    return float(np.abs(_small(before) - _small(after)).mean())


def _share(frame: Image.Image, colour: str) -> float:
    return float((np.linalg.norm(_small(frame) - np.array(PAINT[colour]), axis=-1) < ALIKE).mean())


def _angle(frames: list[Image.Image], seen: list[Frame]) -> int:
    """By how many degrees clockwise the first frame's thing is most like the last one's."""
    first, last = (_around(frames[at], seen[at]) for at in (0, -1))
    ys, xs = np.mgrid[-REACH:REACH, -REACH:REACH]
    disc = xs**2 + ys**2 < (REACH - 4) ** 2
    wanted = np.asarray(last, np.float64)

    def apart(angle: int) -> float:
        turned = np.asarray(first.rotate(-angle, resample=Image.BICUBIC), np.float64)
        return float(np.abs(turned - wanted)[disc].mean())

    return min(range(-150, 151, 10), key=apart)


def _around(frame: Image.Image, at: Frame) -> Image.Image:
    small = frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX)
    x, y = round(at.x * SEEN_SIDE), round(at.y * SEEN_SIDE)
    return small.crop((x - REACH, y - REACH, x + REACH, y + REACH))


@dataclass(frozen=True)
class Verdict:
    """What is said of one video.

    hits: for each frame, whether thing and colour are right. moved: whether it moves as asked; None where
    that can't be seen. on_ground: whether the background is right in all frames. flicker, unsteadiness: see
    ``seen``. cpu: seconds. first, alone: PSNR of the first frame to the given picture, and of what the
    autoencoder alone makes of that, dB; None in videos of words.
    """

    kind: str
    hits: list[bool]
    moved: bool | None
    on_ground: bool
    flicker: float | None
    unsteadiness: float
    cpu: float = 0.0
    first: float | None = None
    alone: float | None = None


@dataclass(frozen=True)
class Extended:
    """What is said of a video that was extended four times.

    right: whether thing and colour are, at its end. shift, pixels: by how much colours have drifted, with the
    kept end frames and from encoded pixels, see ``seen.shift``; None where that way wasn't gone.
    """

    kind: str
    right: bool
    shift: float
    pixels: float | None = None


T = TypeVar("T", Verdict, Extended)


class Verdicts(Generic[T]):
    """Those of one row, by the numbers of their cases. form: of each. path: the file, a line each; None =
    kept nowhere."""

    def __init__(self, form: type[T], path: Path | None = None):
        self.path, self._kept = path, dict[int, T | None]()
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            told = json.loads(line)
            self._kept[told["case"]] = None if told["video"] is None else form(**told["video"])

    def of(self, case: int, judged: Callable[[], T | None]) -> T | None:
        """What is said of video ``case``; ``judged`` is asked once. None: there was nothing to make it of."""
        if case not in self._kept:
            self._kept[case] = found = judged()
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a") as file:
                    video = None if found is None else asdict(found)
                    file.write(json.dumps({"case": case, "video": video}) + "\n")
        return self._kept[case]


def by_kind(kinds: Iterable[str], some: list[tuple[str, bool]]) -> dict[str, str]:
    """How many of each kind of motion hit, of how many."""
    return {
        kind: f"{sum(hit for k, hit in some if k == kind)}/{sum(k == kind for k, _ in some)}"
        for kind in kinds
    }


FRAMES, FPS = 16, 8
FIRST_SEED, PICTURES = 8000, 9000  # of the videos, and of the pictures that some begin with
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
    """A video that is asked for. words: with those about motion."""

    scene: Scene
    kind: str
    words: str
    seed: int


@dataclass(frozen=True, eq=False)
class Made:
    """A video that was made. cpu: seconds. files: where it and its ends lie."""

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
    """The video that the product makes of a request, read back from its file."""
    request = VideoRequest(**{"seconds": FRAMES / FPS, "fps": FPS, "aspect_ratio": (1, 1), **asked})
    begun = time.process_time()
    output: Output = run_video(request, paths or {}, pack.models, Reporter(), Path(tempfile.mkdtemp()))
    cpu, [video] = time.process_time() - begun, output.videos
    with Path(video.path).open("rb") as file, VideoReader(file) as reader:
        frames = [Image.fromarray(colours) for chunk in reader.chunks() for colours in chunk]
    return Made(frames, cpu, (video.path, video.ends))


def judge_rows(pack: Pack, report: Report, n: int):
    """The judge's ceiling: drawn scenes whose things move along the same paths by their true outlines."""
    found = []
    for case in cases(n)[pack.skipped :]:
        size, rng = (SHOWN, SHOWN), random.Random(case.words)
        picture, owner = draw_apart(case.scene, rng, size, layout(case.scene, rng, size))
        layers = compose.cut_layers(picture, Image.fromarray((owner == 0).astype(np.uint8) * 255))
        motion = read_motion(case.words).motion
        shot = Moved(layers, *compose.find_path(layers, motion, fixed=False))
        found.append(_verdict(pack, case, [shot.at(share) for share in shares(FRAMES)]))
    _tell(report, "drawn videos", found)


def words_rows(pack: Pack, report: Report, n: int):
    """Words to videos."""

    def judged(case: Case) -> Verdict:
        video = made(pack, prompt=case.words, seed=case.seed)
        return replace(_verdict(pack, case, video.frames), cpu=video.cpu)

    found = _judged(pack, "words to video", n, judged, Verdict)
    _tell(report, "words to video", found, (0.85, 0.85, 0.95))
    usual = round(float(np.median([video.cpu for video in found])), 2)
    report.row("words to video: CPU seconds for 16 frames, median", usual, 20.0, at_most=True)


def picture_rows(pack: Pack, report: Report, n: int):
    """Pictures to videos, of pictures that the image model drew right."""

    def judged(case: Case) -> Verdict | None:
        [small] = pack.imagine([read_motion(case.words).words], _seed_of_picture(case))
        if not seen_right(look(pack.judge, [small]), case.scene)[0]:
            return None
        picture = pack.models.image(None).enlarged(small)
        video = made(pack, _files(picture), prompt=case.words, seed=case.seed, image=PICTURE)
        return replace(
            _verdict(pack, case, video.frames, fixed=True),
            cpu=video.cpu,
            first=psnr(video.frames[0], picture),
            alone=psnr(pack.decoded([small])[0], small),
        )

    found = _judged(pack, "picture to video", n, judged, Verdict)
    _tell(report, "picture to video", found, (0.9, 0.85, 0.95))
    near = [video.first >= video.alone - 1 for video in found]
    report.share("picture to video: first frame within 1 dB of the autoencoder", near, 0.95)
    for name, column in (
        ("first frame", [video.first for video in found]),
        ("autoencoder alone", [video.alone for video in found]),
    ):
        report.row(
            f"picture to video: PSNR of the {name}, dB, median", round(float(np.median(column)), 1), None
        )


def seam_rows(pack: Pack, report: Report, n: int):
    """End frames, loops and blends of pictures that move."""
    ends, loops, joins, closed, longer = [], [], [], [], []
    every = [case for case in cases(n) if case.kind != "still"]
    pictures = [pack.models.image(None).enlarged(small) for small in _drawn(pack, every)]
    for number, (case, picture) in enumerate(zip(every, pictures, strict=True)):
        last = pictures[(number + 1) % len(pictures)]
        given = _files(picture, last)
        video = made(pack, given, prompt=case.words, seed=case.seed, image=PICTURE, end_image=OTHER)
        ends.append(psnr(video.frames[-1], last) >= 35)
        loop = made(pack, given, prompt=case.words, seed=case.seed, image=PICTURE, loop=True)
        loops.append(seam(loop.frames, 0) <= SMOOTH)
        one = made(pack, given, prompt=case.words, seed=case.seed, image=PICTURE)
        two = made(pack, _files(last), prompt=every[(number + 1) % len(every)].words, seed=1, image=PICTURE)
        files = dict(zip((CLIP, ENDS, CLIP_2), (*one.files, two.files[0]), strict=True))
        both = made(
            pack, files, prompt=case.words, operation="blend", clip=CLIP, clip_ends=ENDS, clip_2=CLIP_2
        )
        joins += [seam(both.frames, at) <= SMOOTH for at in (FRAMES, len(both.frames) - FRAMES)]
        back = made(pack, files, prompt=case.words, operation="loop", clip=CLIP, clip_ends=ENDS)
        closed.append(max(seam(back.frames, at) for at in (0, FRAMES)) <= SMOOTH)
        more = made(pack, files, prompt=case.words, operation="extend", clip=CLIP, clip_ends=ENDS)
        longer.append(seam(more.frames, FRAMES) <= SMOOTH)
    report.share("video with an end frame: its PSNR is 35 dB or more", ends, 0.95)
    report.share("loop from a picture: seam at most 1.3", loops, 0.9)
    report.share("blend: joins at most 1.3", joins, 0.9)
    report.share("loop of a video: both joins at most 1.3", closed, 0.9)
    report.share("video extended: join at most 1.3", longer, 0.9)


def extend_rows(pack: Pack, report: Report, n: int):
    """Videos that are extended four times: what is still there, and how far colours have drifted."""
    both = set[str]()  # kinds of motion whose first video was also extended from its pixels

    def judged(case: Case) -> Extended | None:
        if case.kind not in ("left", "right", "up", "down"):
            return None
        [small] = pack.imagine([read_motion(case.words).words], _seed_of_picture(case))
        if not seen_right(look(pack.judge, [small]), case.scene)[0]:
            return None
        picture = pack.models.image(None).enlarged(small)
        last, shift = _extended(pack, case, picture, {"clip_ends": ENDS})
        pixels = None if case.kind in both else _extended(pack, case, picture, {})[1]
        both.add(case.kind)
        [right] = seen_right(look(pack.judge, [last]), case.scene)
        return Extended(case.kind, right, shift, pixels)

    found = _judged(pack, "video extended", n, judged, Extended)
    right = [(video.kind, video.right) for video in found]
    report.share(
        "video extended four times: object and colour at its end",
        [hit for _, hit in right],
        0.85,
        kinds=by_kind(("left", "right", "up", "down"), right),
    )
    drift = float(np.mean([video.shift for video in found]))
    report.row("extended four times: shift of a channel", round(drift, 2), 3, at_most=True)
    pixels = [video.pixels for video in found if video.pixels is not None]
    report.row("the same from encoded pixels", round(float(np.mean(pixels)), 2), None)


def _extended(
    pack: Pack, case: Case, picture: Image.Image, more: dict[str, str]
) -> tuple[Image.Image, float]:
    """The last frame of a video of ``picture`` that is extended four times, and how far its colours have
    drifted."""
    video = made(pack, _files(picture), prompt=case.words, seed=case.seed, image=PICTURE)
    begun = video.frames[0]
    for _ in range(4):
        files = dict(zip((CLIP, ENDS), video.files, strict=True))
        video = made(pack, files, prompt=case.words, seed=case.seed, operation="extend", clip=CLIP, **more)
    return video.frames[-1], shift(begun, video.frames[-1])


def _drawn(pack: Pack, every: list[Case]) -> list[Image.Image]:
    return pack.imagine([read_motion(case.words).words for case in every], PICTURES)


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
    """What is said of the videos of ``n`` cases, without those that there was nothing to make of."""
    verdicts = Verdicts(form, pack.verdicts and pack.verdicts / f"{name.replace(' ', '-')}.jsonl")
    numbered = list(enumerate(cases(n)))[pack.skipped :]
    said = [
        verdicts.of(number, partial(judged, case)) for number, case in tqdm(numbered, name, mininterval=10)
    ]
    return [video for video in said if video is not None]


def _verdict(pack: Pack, case: Case, video: list[Image.Image], *, fixed: bool = False) -> Verdict:
    """What is said of a video. fixed: it begins with a picture that was given, and so upright."""
    view = look(pack.judge, video, _turns(case, len(video), fixed=fixed))
    return Verdict(
        case.kind,
        seen_right(view, case.scene),
        moved(case.kind, video, view, case.scene),
        all(frame.background == case.scene.background for frame in view),
        flicker(video, view),
        unsteadiness(view),
    )


def _tell(
    report: Report,
    name: str,
    videos: list[Verdict],
    bars: tuple[float | None, float | None, float | None] = (None, None, None),
):
    """Rows about videos."""
    whole = [(video.kind, all(video.hits)) for video in videos]
    told = [(video.kind, video.moved) for video in videos if video.moved is not None]
    for what, some, bar in (
        ("object and colour in all frames", whole, bars[0]),
        ("motion as asked", told, bars[1]),
    ):
        report.share(f"{name}: {what}", [hit for _, hit in some], bar, kinds=by_kind(MOTIONS, some))
    report.share(f"{name}: background in all frames", [video.on_ground for video in videos], bars[2])
    for what, values, digits in (
        ("object and colour, share of frames", [np.mean(video.hits) for video in videos], 3),
        ("flicker of the background", [video.flicker for video in videos if video.flicker is not None], 2),
        ("second difference of the path", [video.unsteadiness for video in videos], 4),
    ):
        report.row(f"{name}: {what}", round(float(np.mean(values)), digits), None)


def _turns(case: Case, count: int, *, fixed: bool) -> list[float]:
    """By how many degrees clockwise the thing should lean in each of ``count`` frames."""
    turn = read_motion(case.words).motion.turn
    return [turn * share if fixed else turn * (share - 0.5) for share in shares(count)]
