"""One confined process that puts many pictures through the gate's own code: starting one for each would make 200,000 take a day.

Speaks length-prefixed frames: a picture in; elapsed processor seconds, peak memory and the answer out. Started by ``tests.security.pictures``.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
import time

from bot import confine, picture_gate


def main() -> None:
    picture_gate.prepare()
    confine.limit(picture_gate.MAX_MEMORY, 100_000)  # seconds of all pictures together; each one's are looked at on the other side
    shut = confine.shut_in()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        data, began = source.read(struct.unpack(">I", head)[0]), time.process_time()
        header, body = picture_gate.answer(data, "clean")
        took, peak = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        line = json.dumps({**header, "seconds": took, "peak": peak, "shut": shut}).encode()
        sink.write(struct.pack(">II", len(line), len(body)) + line + body)
        sink.flush()


if __name__ == "__main__":
    main()
