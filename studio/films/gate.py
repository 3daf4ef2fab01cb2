"""A child process that touches strangers' films: bytes in, a few clean pictures out. Runs as ``python -m
studio.films.gate``.

stdin: bytes. stdout: one JSON line, then bytes. Like the picture process it first gives up memory, time,
files and network (``studio.pictures.confine``), so a bomb or a parser bug ends this process and nothing else.
Commands: ``frames MOST PIXELS`` (a film → PNGs, one after the other, whose times and lengths the line tells)
and ``strip TIMES LENGTHS MARKED`` (pictures of ours → one picture, see ``studio.films.strip``).
"""

from __future__ import annotations

import io
import json
from typing import Any

from studio.films import frames, streams, strip
from studio.films.kinds import READ, kind_of
from studio.pictures import confine

MAX_MEMORY = 600 * 2**20  # bytes above what the interpreter and its imports need
MAX_SECONDS = {"frames": 5, "strip": 5}  # of processor time


def main() -> None:
    """Answer one request from stdin on stdout, in a process that can do nothing else."""
    confine.serve(prepare, answer, MAX_MEMORY, MAX_SECONDS)


def prepare() -> None:
    """Import all that reading and drawing will need, and use it once: afterwards no file can be opened."""
    import warnings

    from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps, ImageStat, PngImagePlugin  # noqa: F401

    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the check of a frame's size is stricter
    Image.init()
    tiny = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP"):
        out = io.BytesIO()
        tiny[0].save(out, form, save_all=True, append_images=tiny[1:], duration=100)
        answer(out.getvalue(), "frames", "4", "256")


def answer(data: bytes, command: str, *given: str) -> tuple[dict[str, Any], bytes]:
    """Return (header, bytes); a header with "error" says in a few words why there is no picture."""
    try:
        if command == "strip":
            times, lengths, marked = (json.loads(text) for text in given)
            return strip.strip(data, times, lengths, marked)
        return _frames(data, *map(int, given))
    except ValueError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "needs too much memory to read."}, b""


def _frames(data: bytes, most: int, max_pixels: int) -> tuple[dict[str, Any], bytes]:
    kind = kind_of(data)
    if kind is None:
        raise ValueError(f"can't be read as a film; {READ} are.")
    try:
        found = frames.looked_at(data, kind, most, max_pixels)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # libraries raise whatever they like
        raise streams.Damaged("is damaged or incomplete.") from error
    pictures = {
        round(seconds, 3): png for seconds, png in reversed(found.pictures)
    }  # none a millisecond apart
    at = sorted(pictures)
    header = {
        "frames": [[seconds, len(pictures[seconds])] for seconds in at],
        "seconds": round(found.seconds, 3),
        "whole": round(found.whole, 3),
    }
    return header, b"".join(pictures[seconds] for seconds in at)


if __name__ == "__main__":
    main()
