"""How clean the edge of what moves in a sketched video is, against the same edge in the still picture.

    python -m proofs.vision.video.fringe --n 40 --sheet sheet.png

Pictures of held-out prompts are drawn with the demo's models, and a video begins with each. Along the
object's outline brightness is read across the edge, from OUTSIDE px before it to INSIDE px behind it. *step*:
its largest step from px to px; one that falls is a blurred edge. *fringe*: by how much it goes up and down
beyond the way from the ground to the object; a halo adds to it. Both of 255, first of the picture, then of
all later frames as they are sketched, and as the model has drawn over them. The sheet shows, of each video,
the edge in the picture, in the sketch and in the frame, enlarged.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from core.profiles import PROFILES
from core.requests.images import ImagineRequest
from core.requests.video import VideoRequest
from demo.evaluate.video import FPS, FRAMES, SHOWN, Case, cases
from vision.capabilities import imagine
from vision.images.ops import eroded
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.video.cutout import compose
from vision.video.cutout.compose import Moved, Pose, Sketcher, shares
from vision.video.cutout.motion import read_motion
from vision.video.cutout.request import prepare
from vision.video.reader import Sources

Real = NDArray[np.float32]
OUTSIDE, INSIDE = 12, 2  # px
SOFT = 3.0  # px: over so much of an outline its direction is a mean
CELL, SHOWN_PX = 256, 64  # px of a cell of the sheet, and of the frame in it
COLUMNS = 4  # videos in a row of the sheet


@dataclass
class Edge:
    """An object's outline. points, normals: (n, 2), x and y, px; normals lead inwards. own: its pose."""

    points: Real
    normals: Real
    own: Pose

    def measured(self, frame: Image.Image, pose: Pose) -> tuple[float, float]:
        """Return step and fringe in a frame that has the object in ``pose``."""
        angle = np.radians(pose.turn)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        points = (self.points - (self.own.x, self.own.y)) @ turn * pose.scale + (pose.x, pose.y)
        along = np.arange(-OUTSIDE, INSIDE + 1)[:, None, None] * (self.normals @ turn)
        x, y = (points + along).round().astype(int).transpose(2, 0, 1)
        inside = ((x >= 0) & (x < frame.width) & (y >= 0) & (y < frame.height)).all(0)
        light = np.asarray(frame.convert("L"), np.float32)[y[:, inside], x[:, inside]]
        steps = np.abs(np.diff(light, axis=0))
        fringe = steps.sum(0) - np.abs(light[-1] - light[0])
        return float(steps.max(0).mean()), float(fringe.mean())


def edge_of(mask: Image.Image, own: Pose) -> Edge:
    """Return the outline of a mask ("L")."""
    inside = np.asarray(mask) > 127
    ys, xs = np.nonzero(inside & ~eroded(inside, 1))
    soft = Image.fromarray(inside.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(SOFT))
    down, across = np.gradient(np.asarray(soft, np.float32))
    normals = np.stack([across[ys, xs], down[ys, xs]], -1)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    return Edge(np.stack([xs, ys], -1).astype(np.float32), normals, own)


@dataclass
class Found:
    """What was measured of one kind of frames: a step and a fringe for each video."""

    steps: list[float] = field(default_factory=list)
    fringes: list[float] = field(default_factory=list)

    def add(self, edge: Edge, frames: list[tuple[Image.Image, Pose]]) -> None:
        """Add the means of one video's frames."""
        step, fringe = np.mean([edge.measured(*one) for one in frames], axis=0)
        self.steps.append(float(step))
        self.fringes.append(float(fringe))


def measure(models: Models, case: Case, found: dict[str, Found]) -> list[Image.Image]:
    """Add what is measured of a case; return cells of the sheet. Nothing, where no object stands out."""
    reporter = Reporter()
    asked = VideoRequest(
        prompt=case.words, seed=case.seed, aspect_ratio=(1, 1), seconds=FRAMES / FPS, fps=FPS
    )
    plan = prepare(asked, Sources({}), models, reporter)
    still = ImagineRequest(prompt=plan.words, seed=case.seed, num_images=1)
    [drawn] = imagine.run(still, {}, models, reporter).pictures
    picture = Image.open(io.BytesIO(drawn.data)).convert("RGB").resize((SHOWN, SHOWN))
    generation = plan.task.generation
    sketcher = Sketcher(generation, None, plan.words, compose.STRENGTH, models, reporter)
    shot = sketcher.shot(picture, read_motion(case.words).motion, fixed=True)
    mask = compose.find_object_mask(picture, plan.words, models, reporter)
    if mask is None or not isinstance(shot, Moved):
        return []
    edge = edge_of(mask, compose.own_pose(shot.layers))
    ways = shares(FRAMES)
    poses = [compose.between(shot.first, shot.last, share) for share in ways]
    frames = [*sketcher.frames(shot, ways, first=True)]
    sketch = [shot.at(share) for share in ways]
    found["picture"].add(edge, [(picture, edge.own)])
    for name, some in (("sketch", sketch), ("frame", frames)):
        found[name].add(edge, [*zip(some[1:], poses[1:], strict=True)])
    x, y = edge.points[edge.points[:, 1].argmin()]
    away = poses[-1].x - edge.own.x, poses[-1].y - edge.own.y
    return [
        shown(picture, x, y),
        *(shown(last, x + away[0], y + away[1]) for last in (sketch[-1], frames[-1])),
    ]


def shown(frame: Image.Image, x: float, y: float) -> Image.Image:
    """Return what lies around a place, enlarged."""
    left, top = (round(min(max(at - SHOWN_PX / 2, 0), SHOWN - SHOWN_PX)) for at in (x, y))
    return frame.resize((CELL, CELL), Image.Resampling.NEAREST, (left, top, left + SHOWN_PX, top + SHOWN_PX))


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """Return all cells, the three of a video side by side."""
    made = Image.new("RGB", (3 * COLUMNS * CELL, -(-len(rows) // COLUMNS) * CELL), "white")
    for number, row in enumerate(rows):
        for place, cell in enumerate(row):
            made.paste(cell, ((number % COLUMNS * 3 + place) * CELL, number // COLUMNS * CELL))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {name: Found() for name in ("picture", "sketch", "frame")}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        roles = PROFILES["demo"]
        named = {role: roles[f"{role.upper()}_MODEL"] for role in ("image", "segment", "clip")}
        models = Models(WorkerConfig("cpu", named, folder, cpu_threads=1, allow_download=False))
        moving = [case for case in cases(2 * arguments.n) if case.kind != "still"][: arguments.n]
        rows = [row for case in moving if (row := measure(models, case, found))]
    print(f"{len(rows)} videos")
    for name, some in found.items():
        for what, values in (("step", some.steps), ("fringe", some.fringes)):
            spread = f"{np.percentile(values, 10):.1f} to {np.percentile(values, 90):.1f}"
            print(f"{name}, {what}: mean {np.mean(values):.2f}, of 80 % {spread}")
    if arguments.sheet:
        sheet(rows).save(arguments.sheet)


if __name__ == "__main__":
    main()
