"""What is kept of a thousand machines is what looking at all of them would give."""

import asyncio
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from unittest import mock

import msgspec
import pytest

from jobs.cluster.executor import BusExecutor
from jobs.cluster.protocol import Beat, Holding, Timing
from jobs.cluster.registry import DeviceRegistry, RunInFlight
from jobs.executors.base import Device, Lost
from vision.protocol import Run

HOSTS, DEVICES = ("h1", "h2", "h3"), ("cuda:0", "cuda:1")


def looked_at(seen: DeviceRegistry, runs: list[RunInFlight]) -> list[Device]:
    """The devices by all hosts and all runs."""
    ours: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in runs:
        if not one.ended and not one.outcome.done():
            ours[one.host][one.device].append(one.token)
    found = [device for host in seen.hosts for device in host.devices(ours[host.name])]
    return sorted(found, key=lambda device: device.name)


def beat(chance: random.Random, host: str, runs: list[RunInFlight]) -> Beat:
    named = [one for one in runs if one.host == host and chance.random() < 0.7]
    holding = (
        Holding(one.run.job_id, one.token, one.device, "", over=chance.random() < 0.3) for one in named
    )
    devices = tuple(Device(name, chance.choice(("ready", "starting")), slots=3) for name in DEVICES)
    instance, models = chance.choice(("a" * 32, "b" * 32)), chance.choice(("same", "same", "other"))
    return Beat(instance, devices, tuple(holding), models, "1", 0.0, chance.random() < 0.1)


@pytest.mark.parametrize("seed", range(3))
async def test_devices_are_those_of_all_hosts_and_runs_after_whatever_happens(seed: int) -> None:
    chance, now = random.Random(seed), 0.0
    seen, runs = DeviceRegistry(Timing(), "same"), list[RunInFlight]()
    for number in range(400):
        now += chance.expovariate(1.0)
        host, what = chance.choice(HOSTS), chance.randrange(8)
        going = [one for one in runs if not one.ended]
        if what <= 2:
            seen.hosts.hear(host, beat(chance, host, runs), now)
        elif what == 3:
            run = Run(f"job{number}", "imagine", "{}", {}, token=f"{number:032x}")
            outcome = asyncio.get_running_loop().create_future()
            runs.append(RunInFlight(run, host, chance.choice(DEVICES), mock.Mock(), outcome))
            seen.runs.add(runs[-1])
        elif what == 4 and going:
            one = chance.choice(going)
            one.end(Lost(one.run.job_id, "by chance"))
        elif what == 5 and going:
            seen.runs.leave(chance.choice(going))
        elif what == 6 and runs:
            for one in seen.runs.settle(chance.choice(runs).run.job_id):
                runs.remove(one)
        elif what == 7:
            if chance.random() < 0.5:
                seen.hosts.hear_other(host, "odd", now)
            seen.hosts.fallen_silent(now)
        if chance.random() < 0.5:
            assert seen.devices_of(host) == tuple(d for d in looked_at(seen, runs) if _is_of(d, host))
        else:
            assert sorted(seen.devices, key=lambda device: device.name) == looked_at(seen, runs)
        ready = [one for one in looked_at(seen, runs) if one.state == "ready" and one.running < one.slots]
        assert seen.free == {one.name: one.slots - one.running for one in ready}
        for name in HOSTS:
            own = [one for one in runs if one.host == name]
            going = [one for one in own if not one.ended and not one.outcome.done()]
            assert list(seen.runs.of_host(name)) == own
            assert seen.runs.going_on(name) == going
        assert all(seen.runs.get(one.token) is one for one in runs)
        for one in runs:
            assert seen.runs.of_job(one.run.job_id) is (None if one.ended else one)


def _is_of(device: Device, host: str) -> bool:
    return device.name.partition("/")[0] == host


async def test_a_host_is_looked_at_again_only_when_something_has_changed_there() -> None:
    seen = DeviceRegistry(Timing(), "")
    for host in HOSTS:
        seen.hosts.hear(host, beat(random.Random(0), host, []), 0.0)
    before, kept = seen.devices, seen.devices_of("h2")
    assert seen.devices is before
    again = beat(random.Random(0), "h1", [])
    seen.hosts.hear("h1", msgspec.structs.replace(again, clock=1.0), 0.5)
    assert seen.devices is before, "it says nothing new"
    other = msgspec.structs.replace(beat(random.Random(1), "h1", []), instance=again.instance)
    seen.hosts.hear("h1", other, 1.0)
    assert seen.devices is not before and seen.devices_of("h2") is kept


async def test_a_run_of_another_token_of_the_same_job_stays_when_the_first_is_settled() -> None:
    seen, loop = DeviceRegistry(Timing(), ""), asyncio.get_running_loop()
    first, second = (
        RunInFlight(
            Run("job", "imagine", "{}", {}, token=token), "h1", "cuda:0", mock.Mock(), loop.create_future()
        )
        for token in ("1" * 32, "2" * 32)
    )
    seen.runs.add(first)
    seen.runs.add(second)
    seen.runs.leave(first)
    assert seen.runs.of_job("job") is second
    assert seen.runs.settle("job") == [first] and seen.runs.get(second.token) is second
    again = replace(second)  # the same run, taken up once more
    seen.runs.add(again)
    seen.runs.leave(again)
    assert seen.runs.settle("job") == [again] and not seen.runs.of_host("h1")


async def test_a_sign_of_life_that_says_nothing_new_wakes_nobody(tmp_path: Path) -> None:
    bus, woken = mock.Mock(is_up=True), mock.Mock()
    executor = BusExecutor(bus, tmp_path)
    executor.changed = woken
    device = Device("cuda:0", "ready", slots=2)
    first = Beat("a" * 32, (device,), (), "", "1", 0.0)
    for said in (first, first, replace_clock(first, 1.0)):
        executor.hear_beat(said, "beat.h1")
    assert woken.call_count == 1 and executor.free() == {"h1/cuda:0": 2}
    busy = Beat("a" * 32, (device,), (Holding("job", "1" * 32, "cuda:0", ""),), "", "1", 2.0)
    executor.hear_beat(busy, "beat.h1")
    assert woken.call_count == 2 and executor.free() == {"h1/cuda:0": 1}


def replace_clock(beat: Beat, clock: float) -> Beat:
    return Beat(beat.instance, beat.devices, beat.runs, beat.models, beat.release, clock)
