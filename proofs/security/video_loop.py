"""One confined process that puts many videos through the video gate's own code: starting one for each would
make 20,000 take hours.

Speaks as ``proofs.security.gate_loop`` does. Started by ``proofs.security.videos``.
"""

from __future__ import annotations

import json
import struct
import sys
import time

from proofs.security.gate_loop import peak_of
from studio.media import confinement, media_process, video_decode


def main() -> None:
    media_process.prepare("frames")
    status = open("/proc/self/status")  # opened before this process is shut in, and until it ends
    confinement.limit(
        media_process.VIDEO_MEMORY, 100_000
    )  # seconds of all; each one's are looked at on the other side
    shut = confinement.shut_in()
    source, sink, end = sys.stdin.buffer, sys.stdout.buffer, video_decode.END
    while head := source.read(4):
        data, began = source.read(struct.unpack(">I", head)[0]), time.process_time()
        video_decode.END = began + end  # as if the process had just begun
        header, body = media_process.answer_request(data, "frames", most=16, max_pixels=100_000)
        took, peak = time.process_time() - began, peak_of(status)
        line = json.dumps({**header, "seconds": took, "peak": peak, "shut": shut}).encode()
        sink.write(struct.pack(">II", len(line), len(body)) + line + body)
        sink.flush()


if __name__ == "__main__":
    main()
