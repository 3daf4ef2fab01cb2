"""What a program of the simulation notes of itself: its processor time, messages, memory, and how long its
event loop stood still; and when each job did what."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic  # the machine's, so that programs' times can be compared
from types import FrameType
from typing import Any

import psutil

from jobs.cluster.nats import Bus

EVERY = 1.0  # s between two samples
LOOK = 0.004  # s of processor time between two looks at where it goes
TICK = 0.01  # s between two looks at whether the loop stands still


@dataclass(frozen=True)
class Sample:
    """at: monotonic seconds. cpu: seconds of processor time since the start. memory: bytes. heard, said:
    messages; bytes: of both. stall: longest of the loop since the last sample, seconds. more: numbers of the
    program's own."""

    at: float
    cpu: float
    memory: int
    heard: int
    said: int
    bytes: int
    stall: float
    more: dict[str, float]


class Notes:
    """Samples, and times of jobs by what happened then."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.times: dict[str, dict[str, float]] = {}
        self._stall = 0.0

    def note(self, what: str, job_id: str) -> None:
        """Something happens to a job now."""
        self.times.setdefault(what, {}).setdefault(job_id, monotonic())

    async def sample_for_ever(
        self, buses: list[Bus], more: Callable[[], dict[str, float]], slow: float = 1.0
    ) -> None:
        """Take a sample each second, ``slow`` times slower."""
        process, next_at = psutil.Process(), monotonic()
        while True:
            before = monotonic()
            await asyncio.sleep(TICK * slow)
            now = monotonic()
            self._stall = max(self._stall, now - before - TICK * slow)
            if now < next_at:
                continue
            next_at = now + EVERY * slow
            counts = [bus._client.stats for bus in buses]  # of the library: what goes over the line

            def total(name: str, counts: list[Any] = counts) -> int:
                return sum(one[name] for one in counts)

            size = total("in_bytes") + total("out_bytes")
            memory, cpu = process.memory_info().rss, time.process_time()
            said = total("in_msgs"), total("out_msgs")
            self.samples.append(Sample(now, cpu, memory, *said, size, self._stall, more()))
            self._stall = 0.0

    def write(self, path: Path) -> None:
        """Leave them for whoever measures."""
        samples = [vars(sample) for sample in self.samples]
        path.write_text(json.dumps({"samples": samples, "times": self.times}))


def read(path: Path) -> Notes:
    """Return what a program has left."""
    found = json.loads(path.read_text())
    notes = Notes()
    notes.samples, notes.times = [Sample(**one) for one in found["samples"]], found["times"]
    return notes


class Profile:
    """Where a program's processor time goes: its stack, looked at each few milliseconds of it. Costs it next
    to nothing."""

    def __init__(self) -> None:
        self._inside: Counter[str] = Counter()  # in a function, or in what it calls
        self._own: Counter[str] = Counter()
        self._looks = 0

    def begin(self) -> None:
        """Look from now on."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, LOOK, LOOK)

    def _look(self, _: int, frame: FrameType | None) -> None:
        self._looks += 1
        names = list[str]()
        while frame is not None:
            code = frame.f_code
            names.append(f"{'/'.join(code.co_filename.split('/')[-2:])} {code.co_qualname}")
            frame = frame.f_back
        self._own[names[0]] += 1
        self._inside.update(set(names))

    def write(self, path: Path) -> None:
        """Write the shares of the functions that had most."""
        lines = [f"{self._looks} looks", "with what is called:"]
        lines += [f"{count / self._looks:6.1%} {name}" for name, count in self._inside.most_common(90)]
        lines += ["alone:", *(f"{n / self._looks:6.1%} {name}" for name, n in self._own.most_common(40))]
        path.write_text("\n".join(lines))
