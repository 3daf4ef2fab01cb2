"""The launcher on real nodes of Ray that are started here, killed, and let down by their head.
docs/evidence/scale.md has the figures, which are printed (``make ray-test ARGS=-s``)."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from core.settings import ROOT
from core.settings import load_settings as load
from host import nats_accounts
from jobs.cluster.nats import connected
from jobs.cluster.protocol import Beat
from tests.host.ray import nodes
from tests.jobs.cluster.live import Jobs, Plan, kill
from tests.support import nats

ONE, TWO = "127.0.0.3", "127.0.0.4"
LIVE = (sys.executable, "-m", "proofs.host.ray.live")
PATIENCE = 150.0  # seconds for what has no goal of its own
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


class Stage:
    """A bus with accounts, a cluster of two nodes, and what is started on it."""

    def __init__(self, folder: Path, server: nats.Server, cluster: nodes.Cluster, creds: str) -> None:
        self.folder, self.server, self.cluster, self.creds = folder, server, cluster, creds
        self.started: list[subprocess.Popen[bytes]] = []

    def _start(self, who: str, *words: object) -> subprocess.Popen[bytes]:
        account = {"BUS_CREDS": _account(self.creds, who), "DATA_DIR": str(self.folder)}
        environment = {**self.cluster.environment, "BUS_URL": self.server.url, **account}
        process = subprocess.Popen([*LIVE, *map(str, words)], env=environment, cwd=ROOT)
        self.started.append(process)
        return process

    def launch(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a launcher of workers on processors, with ``words`` behind its command."""
        where = ("--address", self.cluster.address, "--folder", str(self.folder / "workers"))
        creds = ("--creds", str(self.folder / "nats.conf"))
        return self._start("launcher", "launcher", *where, *creds, "--gpus-per-worker", "0", *words)

    def ask(self, plan: Plan) -> Jobs:
        """Start the bot, which asks for a plan's jobs."""
        self._start("bot", "bot", self.folder, plan.count, plan.steps, plan.delay)
        return Jobs(self.folder, plan)

    def agents(self, *hosts: str) -> list[int]:
        """Return the agents' processes on some nodes, all without any."""
        return [pid for host in hosts or (ONE, TWO) for pid in self.cluster.agents(host)]


def _account(text: str, who: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"# BUS_CREDS={who}:"))[
        len("# BUS_CREDS=") :
    ]


@contextmanager
def stage(places: Mapping[str, int], more: Mapping[str, str] | None = None) -> Iterator[Stage]:
    nodes.need()
    nats.need()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="launching-")))
        text = nats_accounts.server_config("at", ["ray-1", "ray-2", "ray-3"], launcher=True)
        server = stack.enter_context(nats.server(text))
        (folder / "nats.conf").write_text(text)
        cluster = stack.enter_context(nodes.cluster(places, more))
        found = Stage(folder, server, cluster, text)
        stack.callback(lambda: [kill(process) for process in found.started])
        yield found


def wait(condition: Callable[[], object], patience: float = PATIENCE) -> float:
    """Wait for something; return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience, "it never came"
        time.sleep(0.1)
    return time.monotonic() - began


def tell(what: str, seconds: float) -> None:
    load = os.getloadavg()[0]
    print(f"\n{what}: {seconds:.1f} s (load {load:.0f})", flush=True)


def test_agents_come_move_and_go_and_no_job_is_lost() -> None:
    with stage({ONE: 1, TWO: 2}) as on:
        launcher = on.launch("--min", "1", "--max", "2", "--waiting-per-worker", "2", "--idle-seconds", "8")
        up = wait(on.agents)
        tell("agents up, from the launcher's start", up)
        plan = Plan(16, 40, 0.1)
        jobs = on.ask(plan)
        wait(lambda: on.agents(ONE) and on.agents(TWO))  # more wait than one takes
        wait(lambda: jobs.count("running") == 2)
        # The launcher ends, and nothing else does; another finds what it has left
        before = on.agents()
        kill(launcher)
        time.sleep(3.0)
        assert on.agents() == before
        launcher = on.launch("--min", "1", "--max", "2", "--waiting-per-worker", "2", "--idle-seconds", "8")
        # A node is lost
        wait(lambda: jobs.count("running") == 2)
        assert on.agents() == before
        on.cluster.kill(ONE)
        moved = wait(lambda: len(on.agents(TWO)) == 2)
        tell("a killed node's agent on the other", moved)
        wait(lambda: jobs.count("rendered") == plan.count, 600)
        assert jobs.problems() == []
        # Nothing waits any more
        tell("drained, once nothing waits", wait(lambda: len(on.agents()) == 1))
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(60) == 0 and len(on.agents()) == 1
        assert on.launch("--stop").wait(120) == 0
        assert on.agents() == []
        assert (up <= 30, moved <= 60) == (True, True)


def test_ray_lost_on_a_node_or_the_head_gives_jobs_back_and_ends_neither_bot_nor_agents_at_once() -> None:
    """Ray ends a node whose head is away for so long."""
    with stage({ONE: 1, TWO: 1}, {"RAY_gcs_rpc_server_reconnect_timeout_s": "25"}) as on:
        launcher = on.launch("--min", "2", "--max", "2")
        wait(lambda: len(on.agents()) == 2)
        plan = Plan(10, 80, 0.1)
        jobs = on.ask(plan)
        wait(lambda: jobs.count("running") == 2)
        # Ray dies on a node, and its machine lives: its agent gives back what it has
        agents = on.agents(ONE)
        on.cluster.kill_ray(ONE)
        tell("Ray killed on a node, its agent ends", wait(lambda: not on.cluster.alive(agents)))
        wait(lambda: jobs.count("running") == 1)
        # The head dies: work goes on, until Ray ends its nodes and with them the agents, which give back
        agents, done = on.agents(TWO), jobs.count("rendered")
        on.cluster.kill("127.0.0.2")
        wait(lambda: jobs.count("rendered") >= done + 1)
        assert on.cluster.alive(agents) == agents != []
        tell("without its head, the launcher ends", wait(lambda: launcher.poll() is not None))
        assert launcher.poll() != 0
        tell("and then the agents", wait(lambda: not on.cluster.alive(agents)))
        wait(lambda: jobs.count("running") == 0)
        assert jobs.count("rendered") < plan.count and on.started[1].poll() is None
        rows = jobs.rows()
        assert all(attempts <= 1 for status, attempts, _ in rows if status == "rendered")
        assert all(attempts == 0 for status, attempts, _ in rows if status == "queued")
        # A new head, nodes and launcher: the bot has waited
        on.cluster.stop()
        on.cluster.start_head()
        on.cluster.start_node(ONE, 2)
        on.launch("--min", "2", "--max", "2")
        wait(lambda: jobs.count("rendered") == plan.count, 300)
        assert jobs.problems() == [] and {attempts for _, attempts, _ in jobs.rows()} == {1}


async def test_the_programs_own_command_places_an_agent_that_the_bot_hears() -> None:
    with stage({ONE: 1}) as on:
        where = ("--address", on.cluster.address, "--folder", str(on.folder / "workers"))
        words = ("workers", "ray", *where, "--creds", str(on.folder / "nats.conf"), "--gpus-per-worker", "0")
        command = [sys.executable, "-m", "bot", *words]
        own = {"BUS_URL": on.server.url, "BUS_CREDS": _account(on.creds, "launcher")}
        own |= {"DATA_DIR": str(on.folder)}
        environment = {**on.cluster.environment, **own, "GRACE_SECONDS": "1"}
        launcher = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT)
        bot = {"BUS_URL": on.server.url, "BUS_CREDS": _account(on.creds, "bot")}
        heard = asyncio.Queue[tuple[str, Beat]]()
        async with connected(load(bot, Path("/nowhere"))) as bus, asyncio.timeout(PATIENCE):
            await bus.listen("beat.*", Beat, lambda beat, subject: heard.put_nowait((subject, beat)))
            subject, beat = await heard.get()
            assert subject == "beat.ray-1" and [device.name for device in beat.devices] == ["cpu"]
            launcher.terminate()
            assert await launcher.wait() == 0
            stop = await asyncio.create_subprocess_exec(*command, "--stop", env=environment, cwd=ROOT)
            while not beat.draining:
                _, beat = await heard.get()
            assert await stop.wait() == 0 and on.agents() == []


def test_what_lets_everybody_in_or_has_another_token_or_no_head_is_refused() -> None:
    with stage({}) as on:
        environment = {**on.cluster.environment, "BUS_URL": on.server.url, "DATA_DIR": str(on.folder)}

        def said(**more: str) -> str:
            command = [sys.executable, "-m", "bot", "workers", "ray", "--address", on.cluster.address]
            done = subprocess.run(
                command, env={**environment, **more}, cwd=ROOT, capture_output=True, text=True, timeout=120
            )
            assert done.returncode in (1, 2) and "Traceback" not in done.stderr, done.stderr
            return done.stderr  # 2: a setting, 1: the cluster

        assert "can't be used" in said(RAY_AUTH_TOKEN="f" * 32)
        assert "holds the cluster's token" in said(RAY_AUTH_TOKEN="", HOME=str(on.folder))
        on.cluster.stop()
        assert "Connection refused" in said()
        del on.cluster.environment["RAY_AUTH_TOKEN"]
        on.cluster.environment["RAY_AUTH_MODE"] = "disabled"
        on.cluster.start_head()
        assert "lets everybody in" in said()
