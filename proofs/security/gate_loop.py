"""One confined process that puts many pictures through the gate's own code: starting one for each would make
200,000 take a day.

Speaks length-prefixed frames: a picture in; elapsed processor seconds, peak memory and the answer out.
Started by ``proofs.security.pictures``.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from typing import TextIO

from studio.media import confinement, media_process


def main() -> None:
    media_process.prepare()
    status = open("/proc/self/status")  # opened before this process is shut in, and until it ends
    confinement.limit(
        media_process.MAX_MEMORY, 100_000
    )  # seconds of all pictures together; each one's are looked at on the other side
    shut = confinement.shut_in()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        data, began = source.read(struct.unpack(">I", head)[0]), time.process_time()
        header, body = media_process.answer_request(data, "clean")
        took, peak = time.process_time() - began, peak_of(status)
        line = json.dumps({**header, "seconds": took, "peak": peak, "shut": shut}).encode()
        sink.write(struct.pack(">II", len(line), len(body)) + line + body)
        sink.flush()


def peak_of(status: TextIO) -> int:
    """Bytes this program has held at most. ru_maxrss would count what the process was forked from as well."""
    status.seek(0)
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
