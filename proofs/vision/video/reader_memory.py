"""How much memory a video takes while it is written, and while it is read and written again: ``python -m
proofs.vision.video.reader_memory [--seconds 5 20]``. Chunks are made as they are needed, as a decoder of
latents would; each length runs in a process of its own."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.settings import ROOT
from proofs.security.gate_loop import peak_of
from vision.video.codecs import encoder_of
from vision.video.reader import VideoReader
from vision.video.writer import VideoWriter, video_at

WIDTH, HEIGHT, FPS, CHUNK = 1920, 1080, 24, 8
LIMIT = 350 * 2**20  # bytes above what the process had before


def chunks(count: int) -> Iterator[np.ndarray]:
    """``count`` frames, uint8 (f, H, W, 3), of coarse noise that drifts under fine noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    fine = rng.integers(0, 6, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    chunk = np.empty((CHUNK, HEIGHT, WIDTH, 3), np.uint8)
    for start in range(0, count, CHUNK):
        for number in range(min(CHUNK, count - start)):
            np.add(np.roll(coarse, (start + number) * 3, 1), np.roll(fine, number, 0), out=chunk[number])
        yield chunk[: count - start]


def write(path: Path, count: int, encoder: str) -> None:
    """Write a video of so many frames, chunk by chunk."""
    with video_at(path, (WIDTH, HEIGHT), FPS, encoder_of(encoder)) as video:
        for chunk in chunks(count):
            video.write(chunk)


def write_again(path: Path, count: int, encoder: str) -> None:
    """Read a video frame by frame, and write it as it is read."""
    with path.open("rb") as file, VideoReader(file) as source, path.with_suffix(".2").open("w+b") as target:
        video = VideoWriter(target, (WIDTH, HEIGHT), FPS, encoder_of(encoder))
        for frame in source.decoded():
            video.add(frame)
        video.finish()
        assert video.frames == count


WAYS = {"written": write, "read and written": write_again}


def measure(way: str, path: Path, seconds: float, encoder: str) -> int:
    """Print how much memory it takes, beyond what everything imported and used once has taken; whether that
    is too much."""
    count = round(seconds * FPS)
    with open("/proc/self/status") as status:
        with video_at(path.with_suffix(".0"), (64, 64), FPS, encoder_of(encoder)) as video:
            video.write(np.zeros((2, 64, 64, 3), np.uint8))
        before, began = peak_of(status), time.process_time()
        WAYS[way](path, count, encoder)
        above, took = peak_of(status) - before, time.process_time() - began
    size = path.stat().st_size / 2**20
    print(
        f"{WIDTH}×{HEIGHT}, {seconds:g} s, {encoder}, {way}: {count} frames, {size:.1f} MiB;"
        f" {above / 2**20:.0f} MiB of memory, {1000 * took / count:.0f} ms a frame",
        flush=True,
    )
    return int(above > LIMIT)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, nargs="+", default=[5, 20])
    parser.add_argument("--encoder", default="auto")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "PATH"), help="in this process")
    arguments = parser.parse_args()
    if arguments.one:
        way, path = arguments.one
        return measure(way, Path(path), arguments.seconds[0], arguments.encoder)
    failed = False
    command = [sys.executable, "-m", "proofs.vision.video.reader_memory", "--encoder", arguments.encoder]
    with tempfile.TemporaryDirectory() as folder:
        for seconds in arguments.seconds:
            for way in WAYS:
                one = [*command, "--seconds", str(seconds), "--one", way, str(Path(folder, "0.mp4"))]
                failed |= subprocess.run(one, cwd=ROOT, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
