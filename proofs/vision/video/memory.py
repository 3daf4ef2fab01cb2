"""How much memory a video takes between its latents and its file: random latents of 1920×1088 px, a decoder
of few channels of Wan's, LTX's and AnimateDiff's kind, H.264. One process for each length; prints a table.

PYTHONPATH=. python -m proofs.vision.video.memory [wan|ltx|animatediff …] [--seconds 5 20] [--size 1920 1088]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.support import tiny
from tests.vision.video import tiny_videos
from vision.video import decode as decoding
from vision.video.codecs import encoder_of
from vision.video.writer import video_at

KINDS = {"wan": (16, 4, 8), "ltx": (24, 8, 32), "animatediff": (8, 1, 8)}  # fps, frames and px of a latent


def decoder(kind: str) -> tuple[Any, int]:
    """A decoder of few channels, and how many its latents have."""
    torch.manual_seed(0)
    if kind == "wan":
        return tiny_videos.wan_vae(), 16
    if kind == "ltx":  # 32 px a latent, as LTX's own
        return tiny_videos.ltx_vae(patch_size=4), 8
    return tiny.stable_diffusion().vae.eval(), 4


def pieces(kind: str, vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """The video's frames as the family decodes them."""
    decode = {"wan": decoding.causal, "ltx": decoding.overlapping, "animatediff": decoding.one_by_one}
    return decode[kind](vae, latents)


def memory(which: str) -> int:
    """Bytes of this process that are resident now ("VmRSS"), or were at most since ``forget`` ("VmHWM")."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {which} on this system")


def measure(kind: str, seconds: float, size: tuple[int, int]) -> None:
    """Decode and encode one video, and print a row of the table."""
    torch.set_num_threads(1)
    fps, step, factor = KINDS[kind]
    vae, channels = decoder(kind)
    count = max(2, round(seconds * fps / step) + (step > 1))
    shape = (1, channels, count, size[1] // factor, size[0] // factor)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for _ in pieces(kind, vae, latents[..., :2, :4, :4]):  # what is fetched once
        pass
    begin, before = time.process_time(), memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    frames = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        with video_at(path, size, fps, encoder_of("auto")) as video:
            for piece in pieces(kind, vae, latents):
                video.write(piece)
                frames += len(piece)
                del piece  # as ``vision.capabilities.video`` does
        whole = frames * size[0] * size[1] * 3
        print(
            f"| {kind} | {frames / fps:.1f} s, {frames} frames | {latents.numel() * 4 / 1e6:.0f} MB"
            f" | {whole / 1e6:.0f} MB, {whole * 4 / 1e6:.0f} MB | {(memory('VmHWM') - before) / 1e6:.0f} MB"
            f" | {path.stat().st_size / 1e6:.1f} MB | {time.process_time() - begin:.0f} s |",
            flush=True,
        )


def main() -> None:
    """Measure every kind and length in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS])
    parser.add_argument("--seconds", nargs="+", type=float, default=[5, 20])
    parser.add_argument("--size", nargs=2, type=int, default=[1920, 1088])
    parser.add_argument("--one", action="store_true", help="measure in this process")
    given = parser.parse_args()
    if given.one:
        measure(given.kinds[0], given.seconds[0], (given.size[0], given.size[1]))
        return
    print("| decoder | video | latents | all frames, uint8, float32 | peak beyond these | file | CPU time |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for kind in given.kinds or KINDS:
        for seconds in given.seconds:
            size = map(str, given.size)
            command = [sys.executable, "-m", "proofs.vision.video.memory", kind, "--one", "--seconds"]
            subprocess.run([*command, str(seconds), "--size", *size], check=True)


if __name__ == "__main__":
    main()
