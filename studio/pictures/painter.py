"""A child process that paints strokes over a mask. Runs as ``python -m studio.pictures.painter``.

stdin: the strokes as JSON, then the mask below them as a file, if there is one. Arguments: width, height, and
how many bytes the strokes have. stdout: one JSON line, then the mask as a file. Like the process that reads
pictures it gives up memory, time, files and network before it reads anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

from core.errors import ImageError
from studio.pictures import bits, confine

MAX_MEMORY = 440 * 2**20  # bytes above what the interpreter and its imports need
MAX_SECONDS = 10  # of processor time
OTHER_SIZE = "The mask below the strokes has {}×{} px; the canvas has {}×{} px."


def main() -> None:
    """Answer one request from stdin on stdout, in a process that can do nothing else."""
    width, height, length = map(int, sys.argv[1:4])
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # nothing here multiplies matrices
    import numpy  # noqa: F401 - afterwards no file can be opened

    from studio.pictures import strokes  # noqa: F401

    confine.limit(MAX_MEMORY, MAX_SECONDS)
    confine.shut_in()
    header, body = answer(sys.stdin.buffer.read(), width, height, length)
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    sys.stdout.buffer.write(body)


def answer(data: bytes, width: int, height: int, length: int) -> tuple[dict[str, object], bytes]:
    """Return (header, the mask as a file). The header has the number of painted pixels and the SHA-256 of all
    of them, a byte each; or "error", which says in a sentence why there is no mask."""
    try:
        return _painted(json.loads(data[:length]), data[length:], width, height)
    except ImageError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "These strokes need too much memory."}, b""


def _painted(painted: list, base: bytes, width: int, height: int) -> tuple[dict[str, object], bytes]:
    import numpy as np

    from studio.pictures import strokes

    below = np.zeros((height, width), np.uint8)
    if base:
        read = bits.read(base)
        if (read.width, read.height) != (width, height):
            raise ImageError(OTHER_SIZE.format(read.width, read.height, width, height))
        rows = np.frombuffer(read.rows, np.uint8).reshape(height, -1)
        below = np.unpackbits(rows, axis=1, count=width)
    found = strokes.replay(below, painted)
    mask = bits.Bits(width, height, np.packbits(found, axis=1).tobytes())
    digest = hashlib.sha256(found.tobytes()).hexdigest()
    return {"painted": mask.painted, "sha256": digest}, bits.write(mask)


if __name__ == "__main__":
    main()
