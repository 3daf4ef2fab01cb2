"""One confined process that puts many films through the film gate's own code: starting one for each would
make 20,000 take hours.

Speaks as ``tests.security.gate_loop`` does. Started by ``tests.security.films``.
"""

from __future__ import annotations

import json
import struct
import sys
import time

from studio.films import frames, video_process
from studio.pictures import confine
from tests.security.gate_loop import peak_of


def main() -> None:
    video_process.prepare("frames")
    status = open("/proc/self/status")  # opened before this process is shut in, and until it ends
    confine.limit(
        video_process.MAX_MEMORY, 100_000
    )  # seconds of all; each one's are looked at on the other side
    shut = confine.shut_in()
    source, sink, end = sys.stdin.buffer, sys.stdout.buffer, frames.END
    while head := source.read(4):
        data, began = source.read(struct.unpack(">I", head)[0]), time.process_time()
        frames.END = began + end  # as if the process had just begun
        header, body = video_process.answer(data, "frames", most=16, max_pixels=100_000)
        took, peak = time.process_time() - began, peak_of(status)
        line = json.dumps({**header, "seconds": took, "peak": peak, "shut": shut}).encode()
        sink.write(struct.pack(">II", len(line), len(body)) + line + body)
        sink.flush()


if __name__ == "__main__":
    main()
