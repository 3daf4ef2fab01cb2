"""What the simulation of a thousand machines reckons, and its devices, without a server."""

import asyncio
from pathlib import Path

from core.requests import ImagineRequest, to_json
from jobs.executors.base import Lost
from proofs.scale.simulation.fleet import Timers, Work
from proofs.scale.simulation.measure import Plan, reckoned
from proofs.scale.simulation.sampling import Notes, Sample, read
from tests.jobs.fake_worker import output_of
from vision.protocol import Done, Run, Step, Stopped


def run_of(job_id: str) -> Run:
    request = ImagineRequest(prompt="a red house", seed=7)
    return Run(job_id, request.kind, to_json(request), {})


async def test_a_device_of_timers_draws_in_its_time_and_stops_between_two_steps() -> None:
    notes, steps = Notes(), list[Step]()
    device = Timers(2, Work(3, 0.01, 100), notes)
    first = asyncio.create_task(device.run("cuda:0", run_of("a"), steps.append))
    second = asyncio.create_task(device.run("cuda:0", run_of("b"), lambda step: device.cancel("b")))
    await asyncio.sleep(0)
    assert device.free() == {} and device.devices[0].running == 2
    assert isinstance(await device.run("cuda:0", run_of("c"), steps.append), Lost)
    assert await second == Stopped("b")
    assert await first == Done("a", output_of(ImagineRequest(prompt="a red house", seed=7)))
    assert [(step.step, len(step.preview or b"")) for step in steps] == [(1, 100), (2, 100), (3, 100)]
    assert set(notes.times["on its device"]) == {"a", "b"} and device.free() == {"cuda:0": 2}


def sample(at: float, cpu: float, **more: float) -> Sample:
    return Sample(at, cpu, 2**20, int(at) * 10, int(at) * 5, int(at) * 1000, 0.01, more)


def test_figures_are_of_the_measured_time_and_of_the_plans_seconds(tmp_path: Path) -> None:
    bot, fleet = Notes(), Notes()
    bot.samples = [sample(at, at / 4, waiting=3, devices=2) for at in range(0, 30, 2)]
    fleet.samples = [sample(at, at / 8, running=1, slots=4) for at in range(0, 30, 2)]
    for number in range(30):  # one each second, claimed after half a second
        bot.times.setdefault("asked", {})[f"{number}"] = float(number)
        bot.times.setdefault("started", {})[f"{number}"] = number + 0.5
        bot.times.setdefault("told", {})[f"{number}"] = number + 5.0
        fleet.times.setdefault("on its device", {})[f"{number}"] = number + 0.75
    found = {}
    for name, notes in {"bot": bot, "fleet": fleet}.items():
        notes.write(tmp_path / name)
        found[name] = read(tmp_path / name)
    plan = Plan(2, 2.0, slow=2.0, measured=5.0)
    figures = reckoned(plan, found, 10.0, 20.0, {"nats": 0.1, "postgres": 0.2})
    assert figures.bot == 0.5 and figures.cpu["fleet"] == 0.25 and figures.cpu["postgres"] == 0.2
    assert (figures.asked, figures.told) == (2.0, 2.0)
    assert (figures.messages, figures.bytes) == (30.0, 2000.0)
    assert set(figures.claimed) == {0.5} and set(figures.handed) == {0.75}
    assert (figures.busy, figures.left, figures.devices, figures.failed) == (0.25, 3, 2, 0)
    assert "2 2: 2.0 2.0 | 0.50 250.0 ms" in str(figures)
