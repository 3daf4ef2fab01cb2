"""Every family of video models × every operation, on tiny models that the real code has loaded from their
folders: drawn in one call, in windows, or refused with the reason. Prints the table of
docs/reference/video-models.md.

    PYTHONPATH=. python -m proofs.vision.video.operations [family …] [--sizes 32x32 64x32 32x64]

The table is that of the first size; what is wrong in any of them is told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core.errors import UserError
from tests.support import tiny
from tests.vision.video import tiny_videos
from vision.reporter import Reporter
from vision.video import model as models
from vision.video.families.family import Operation, Way
from vision.video.generate import Clip, Shot, Video, generate
from vision.video.model import VideoModel
from vision.weights.memory import Plan

SIZE = (32, 32)  # px


def load(name: str, folder: Path) -> VideoModel:
    """A tiny video model, saved and read back by the code that reads a host's."""
    tiny_videos.save(name, folder)
    return models.load_video_model(
        folder, name, device="cpu", dtype=torch.float32, plan=Plan(), report=lambda share: None
    )


def clip(frames: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Clip:
    """An uploaded video: a square that moves."""
    pictures = [tiny.picture(*size, seed + i) for i in range(frames)]
    return Clip(tuple(pictures), f"{seed:064d}")


def shots(model: VideoModel, size: tuple[int, int] = SIZE) -> dict[Operation, Shot]:
    """What is asked for each operation. size: width and height, px."""
    family, card = model.family, model.card
    frames = min(2 * family.step + 1 + 4 * (family.step == 1), card.longest)
    plain = Shot(
        operation="new",
        prompt="a red ball",
        negative_prompt="",
        seed=7,
        width=size[0],
        height=size[1],
        frames=frames,
        fps=card.fps,
        num_inference_steps=2,
        guidance_scale=3.0,
        strength=0.75,
    )
    first, last = tiny.picture(*size, 1), tiny.picture(*size, 2)
    long = clip(max(frames, family.overlap + 4), size=size)
    return {
        Operation.WORDS: plain,
        Operation.FIRST: replace(plain, first=first),
        Operation.FIRST_LAST: replace(plain, first=first, last=last),
        Operation.EXTEND: replace(plain, operation="extend", clip=long),
        Operation.EXTEND_BACK: replace(plain, operation="extend_back", clip=long),
        Operation.REMIX: replace(plain, operation="remix", clip=clip(frames, size=size)),
        Operation.BLEND: replace(
            plain, operation="blend", clip=long, clip_2=clip(len(long.frames), 50, size)
        ),
        Operation.LOOP: replace(plain, loop=True, first=first),
    }


@dataclass(frozen=True)
class Outcome:
    """What came of an operation. word: native, windows or refused. frames: of the video."""

    word: str
    frames: int = 0
    problem: str = ""


def drawn(video: Video) -> np.ndarray:
    """All frames of ``video``."""
    return np.concatenate(list(video.chunks))


def outcome(model: VideoModel, operation: Operation, shot: Shot) -> Outcome:
    """Do ``operation``, and check that what comes is what the family says of itself."""
    said = model.family.support(operation)
    try:
        video = generate(model, shot, Reporter())
        frames = drawn(video)
    except UserError as error:
        right = said.way is Way.REFUSED and said.note in str(error)
        return Outcome("refused", problem="" if right else f"refused, but said to be {said.way}: {error}")
    except Exception:
        return Outcome("failed", problem=traceback.format_exc())
    if said.way is Way.REFUSED:
        return Outcome("drawn", problem="drawn, but said to be refused")
    wanted = (video.count, shot.height, shot.width, 3)
    problem = "" if frames.shape == wanted and frames.dtype == np.uint8 else f"{frames.shape}, not {wanted}"
    if model.family.sound and operation is not Operation.REMIX and video.sound is None:
        problem = "no sound"
    return Outcome(str(said.way), len(frames), problem)


def table(names: Iterable[str], sizes: Sequence[tuple[int, int]] = (SIZE,)) -> tuple[list[str], list[str]]:
    """Return the lines of the table, and what went wrong in any of ``sizes``."""
    lines = [
        "| model | " + " | ".join(operation.value for operation in Operation) + " |",
        "|---" * (len(Operation) + 1) + "|",
    ]
    problems, notes = [], dict[str, None]()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            model, cells = load(name, Path(folder) / name), []
            asked = [shots(model, size) for size in sizes]
            for operation in Operation:
                said = model.family.support(operation)
                came = [outcome(model, operation, each[operation]) for each in asked]
                word, frames = came[0].word, came[0].frames
                cells.append(word if word == "refused" else f"{word}, {frames}")
                problems += [
                    f"{name}, {operation.value}, {size}: {one.problem or (one.word, one.frames)}"
                    for size, one in zip(sizes, came, strict=True)
                    if one.problem or (one.word, one.frames) != (word, frames)
                ]
                if said.way is Way.REFUSED:
                    notes[f"{model.family.title}, {operation.value}: {said.note}."] = None
            lines.append(f"| {model.family.title} (`{name}`) | " + " | ".join(cells) + " |")
    return [*lines, "", "Refused, because:", "", *(f"- {note}" for note in notes)], problems


def main() -> None:
    """Print the table; end with 1 if anything isn't as its family says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=[])
    parser.add_argument("--sizes", nargs="+", default=["32x32"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [(int(width), int(height)) for width, height in (each.split("x") for each in given.sizes)]
    lines, problems = table(given.families or tiny_videos.VIDEO_MODELS, sizes)
    print("\n".join(lines))
    print(f"\n{len(problems)} problems")
    print("\n".join(problems))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
