"""One confined process that puts many videos through the clip process's own code, as ``video_loop`` does for
questions. Started by ``proofs.security.clips``."""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import time

from proofs.security.gate_loop import peak_of
from studio.media import confinement, media_process, transcode

LIMITS = {"encoder": "auto", "keep": 20.0, "seconds": 60.0, "pixels": 1920 * 1088}


def main() -> None:
    media_process.prepare("take", "auto", os.devnull)
    status = open("/proc/self/status")  # opened before this process is shut in, and until it ends
    confinement.limit(
        media_process.VIDEO_MEMORY, 100_000
    )  # seconds of all; each one's are looked at on the other side
    shut = confinement.shut_in()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        data, began = source.read(struct.unpack(">I", head)[0]), time.process_time()
        target = io.BytesIO()
        header, poster = transcode.make_video("take", [io.BytesIO(data)], target, **LIMITS)
        body = b"" if "error" in header else target.getvalue()
        took, peak = time.process_time() - began, peak_of(status)
        told = {**header, "video": len(body), "seconds": took, "peak": peak, "shut": shut}
        line = json.dumps(told).encode()
        sink.write(struct.pack(">II", len(line), len(body) + len(poster)) + line + body + poster)
        sink.flush()


if __name__ == "__main__":
    main()
