"""Remote workers in docs/evidence/scale.md: kills of bots, of agents and of the bus in mid-run, and a pulled
cable. ``python -m proofs.jobs.cluster.proof bots --kills 100``.

Jobs are a fake worker's, whose steps are counted on the disk: a step that was drawn twice is seen.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.jobs.cluster.live import Jobs, Plan, kill, start, started, wait
from tests.support import nats

HOSTS = ("h1", "h2")
PATIENCE = 180.0


@dataclass
class Figures:
    """lost: seconds from a loss until the rows say so. drawn: steps; needed: how many of them jobs have.
    given_up: jobs whose every try was cut off."""

    kills: int = 0
    jobs: int = 0
    drawn: int = 0
    needed: int = 0
    retried: int = 0
    given_up: int = 0
    lost: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def again(self) -> float:
        """The share of steps that were drawn again."""
        return self.drawn / self.needed - 1 if self.needed else 0.0

    def __str__(self) -> str:
        told = ""
        if self.lost:
            told = f"; told after {statistics.median(self.lost):.1f} s, at most {max(self.lost):.1f} s"
        return (
            f"{self.kills} kills, {self.jobs} jobs: {len(self.problems)} lost or doubled,"
            f" {self.retried} tried again, {self.given_up} given up after the last try,"
            f" {self.drawn - self.needed} of {self.needed} steps drawn again"
            f" ({self.again:.2%}){told}"
        )


def measure(folder: Path, what: str, kills: int, plan: Plan, *, slots: int = 4, seed: int = 0) -> Figures:
    """Kill bots, agents or the bus so many times while a plan's jobs run."""
    chance, jobs, figures = random.Random(seed), Jobs(folder, plan), Figures(jobs=plan.count)
    server = nats.Server(folder)
    server.start()
    bot_words = ("bot", server.url, folder, plan.count, plan.steps, plan.delay)
    with ExitStack() as stack:
        stack.callback(server.stop)
        agents = {host: start("agent", server.url, host, folder, slots) for host in HOSTS}
        stack.callback(lambda: [kill(agent) for agent in agents.values()])
        bots = [start(*bot_words)]
        stack.callback(lambda: kill(bots[0]))
        while figures.kills < kills and jobs.over() < plan.count:
            wait(lambda: jobs.count("running") or jobs.over() == plan.count, PATIENCE)
            time.sleep(chance.uniform(0.2, 2.0))
            figures.kills += 1
            if what == "bus":
                server.kill()
                time.sleep(chance.uniform(0.1, 0.6))
                server.start()
            elif what == "bots":
                kill(bots[0])
                bots[0] = start(*bot_words)
                time.sleep(2.0)
            else:
                host = chance.choice(HOSTS)
                _kill_agent(jobs, figures, agents, host, server.url, slots)
        wait(lambda: jobs.over() == plan.count, PATIENCE + 3 * plan.count * plan.steps * plan.delay)
    _count(jobs, figures)
    return figures


def _count(jobs: Jobs, figures: Figures) -> None:
    figures.drawn, figures.needed = jobs.steps(), jobs.plan.count * jobs.plan.steps
    figures.retried = sum(attempts > 1 for _, attempts, _ in jobs.rows())
    figures.given_up, figures.problems = jobs.count("failed"), jobs.problems()


def _kill_agent(
    jobs: Jobs, figures: Figures, agents: dict[str, subprocess.Popen[bytes]], host: str, url: str, slots: int
) -> None:
    """Kill an agent, note after what time its jobs are taken from it, and start another."""
    before = _on(jobs, host)
    kill(agents[host])
    if before:
        figures.lost.append(wait(lambda: not _on(jobs, host), PATIENCE))
    agents[host] = start("agent", url, host, jobs.folder, slots)
    wait(lambda: _on(jobs, host) or not jobs.count("queued"), PATIENCE)


def _on(jobs: Jobs, host: str) -> int:
    return sum(status == "running" and (device or "").startswith(host) for status, _, device in jobs.rows())


# A cable that is pulled, between network namespaces


def can_pull() -> bool:
    """Whether namespaces can be made here."""
    probe = ["sh", "-c", "ip netns add at-probe && ip netns del at-probe"]
    return subprocess.run(probe, capture_output=True).returncode == 0


@contextmanager
def cables(hosts: Sequence[str]) -> Iterator[dict[str, Callable[[bool], None]]]:
    """A namespace for each host with a cable to this one, which has the address 10.91.0.1; what plugs it in
    or pulls it."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    names = {host: f"at-{host}" for host in hosts}
    with ExitStack() as stack:
        ip("link", "add", "at-bridge", "type", "bridge")
        stack.callback(ip, "link", "del", "at-bridge")
        ip("addr", "add", "10.91.0.1/24", "dev", "at-bridge")
        ip("link", "set", "at-bridge", "up")
        for number, name in enumerate(names.values(), 2):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip("link", "add", f"at-{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"at-{number}", "master", "at-bridge", "up")
            ip("-n", name, "addr", "add", f"10.91.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")

        def plug(number: int) -> Callable[[bool], None]:
            return lambda is_in: ip("link", "set", f"at-{number}", "up" if is_in else "down")

        yield {host: plug(number) for number, host in enumerate(hosts, 2)}


def pulled(
    folder: Path, plan: Plan, away: float, *, slots: int = 4, hosts: Sequence[str] = HOSTS
) -> tuple[Figures, float]:
    """Pull the first host's cable for ``away`` seconds while it runs jobs; figures, and for how many seconds
    after that steps were drawn there or elsewhere."""
    jobs, figures = Jobs(folder, plan), Figures(jobs=plan.count, kills=1)
    server = nats.Server(folder, host="10.91.0.1")
    with cables(hosts) as plug, ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        for host in hosts:
            prefix = ("ip", "netns", "exec", f"at-{host}")
            stack.enter_context(started("agent", server.url, host, folder, slots, prefix=prefix))
        words = (server.url, folder, plan.count, plan.steps, plan.delay)
        stack.enter_context(started("bot", *words))
        wait(lambda: _on(jobs, "h1") == slots, PATIENCE)
        time.sleep(1.0)
        plug["h1"](False)
        began = time.monotonic()
        figures.lost.append(wait(lambda: not _on(jobs, "h1"), 60.0))
        drew = _still_drawn(jobs, began + away) - began
        plug["h1"](True)
        wait(
            lambda: jobs.count("rendered") == plan.count, PATIENCE + 3 * plan.count * plan.steps * plan.delay
        )
        time.sleep(3.0)  # what h1 may still say
    _count(jobs, figures)
    return figures, drew


def _still_drawn(jobs: Jobs, until: float) -> float:
    """When the last step was drawn, watched until a moment."""
    last, seen = time.monotonic(), jobs.steps()
    while time.monotonic() < until:
        time.sleep(0.05)
        if (now := jobs.steps()) != seen:
            last, seen = time.monotonic(), now
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("bots", "agents", "bus", "cable"))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=0, help="default: about four for each kill")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds of a step")
    parser.add_argument("--away", type=float, default=20.0, help="seconds that the cable is out")
    parser.add_argument("--alone", action="store_true", help="the host with that cable is the only one")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count = arguments.jobs or (16 if arguments.what == "cable" else 4 * arguments.kills)
    plan = Plan(count, arguments.steps, arguments.delay)
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        if arguments.what == "cable":
            hosts = HOSTS[:1] if arguments.alone else HOSTS
            figures, drew = pulled(Path(name), plan, arguments.away, hosts=hosts)
            print(f"cable out for {arguments.away:g} s; steps were drawn for {drew:.1f} s of it")
        else:
            figures = measure(Path(name), arguments.what, arguments.kills, plan, seed=arguments.seed)
    print(figures, *figures.problems[:10], sep="\n")
    raise SystemExit(bool(figures.problems))


if __name__ == "__main__":
    main()
