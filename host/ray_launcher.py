"""``atelier workers ray``: as many workers on a Ray cluster as the queue asks for, until SIGINT or SIGTERM.
Ray places them, starts them again when they or their nodes are lost, and its autoscaler hears how many are
wanted. They go on without this program, and it finds them again when it is started anew. Whoever has the
cluster's token runs code on all of its nodes, so a cluster that asks for none is refused."""

import argparse
import asyncio
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from core.errors import AtelierError, BusError, SettingsError
from core.settings import Settings, for_workers
from host import nats_accounts
from host.process import ServiceManager, set_up_logs, stop_on_signals
from host.worker_app import NO_BUS
from jobs.cluster.executor import LOAD_SUBJECT, AskLoad, Load
from jobs.cluster.nats import connected
from jobs.queue import Health

COMMAND = (sys.executable, "-m", "bot", "worker", "--attached")
PATIENCE = 2.0  # seconds for bot and actors to answer, and between two looks
PAUSE = 10.0  # seconds before a worker is placed again that could not be placed or has ended by itself
WITHOUT_TOKEN = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
log = logging.getLogger(__name__)


class ClusterError(AtelierError):
    """The cluster can't be reached, lets nobody or everybody in, or has no place."""


class Report(NamedTuple):
    """How a worker is. node: where. problem: what it said when it ended by itself."""

    node: str
    draining: bool
    problem: str


class Keeper:
    """The actor: starts the worker as a child process, and ends when that ends by itself, so that Ray starts
    both again. When this ends, so does the worker, which gives back what it runs: its standard input closes.
    settings: as the environment has them. folder: of all workers on a node. patience: seconds for a drain."""

    def __init__(
        self, name: str, settings: Mapping[str, str], folder: str, patience: float, command: Sequence[str]
    ) -> None:
        import ray

        self._node, self._leave = ray.util.get_node_ip_address(), ray.actor.exit_actor
        self._patience, self._draining, self._problem = patience, False, ""
        own = Path(folder).expanduser().absolute() / name
        own.mkdir(parents=True, exist_ok=True)
        self._said = own / "agent.err"
        # the cluster's own variables, its token among them, are of no use to a worker
        around = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                command,
                env={**around, **settings, "NODE_NAME": name, "DATA_DIR": str(own)},
                cwd=own,  # which has no .env
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # a node of Ray's that ends kills the groups of its workers
            )
        threading.Thread(target=self._end_with_it, daemon=True).start()

    def report(self) -> Report:
        """Return how the worker is."""
        return Report(self._node, self._draining, self._problem)

    def drain(self) -> None:
        """Have the worker take nothing new, end what it can within its GRACE_SECONDS, and go with it."""
        if self._draining:  # a second signal would end it at once
            return
        self._draining = True
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._patience)
        self._process.kill()
        self._leave()

    def _end_with_it(self) -> None:
        status = self._process.wait()
        self._process.communicate()  # closes its standard input
        words = self._said.read_bytes()[-4096:].decode(errors="replace").strip() or "without a word"
        self._problem = f"it ended with status {status}: {words.splitlines()[-1][:300]}"
        sleep(PAUSE)
        if not self._draining:
            os._exit(1)


class Launcher:
    """Keeps workers on a cluster. ray: as ``connect`` returns it. asked: of the command. orders: what a
    Keeper is given, by its worker's name. Raises SettingsError for what Ray can't set aside for a worker."""

    def __init__(self, ray: Any, asked: argparse.Namespace, orders: Callable[[str], Sequence[Any]]) -> None:
        self._ray, self._asked, self._orders = ray, asked, orders
        gpus, cpus = asked.gpus_per_worker, asked.cpus_per_worker
        self._bundle = {kind: count for kind, count in (("GPU", gpus), ("CPU", cpus)) if count}
        try:
            self._actor = ray.remote(
                num_gpus=gpus,
                num_cpus=cpus,
                scheduling_strategy="SPREAD",
                lifetime="detached",
                max_restarts=-1,
                max_concurrency=4,
                # else Ray kills the child of an actor that ends: it could not give back what it runs
                runtime_env={"env_vars": {"RAY_kill_child_processes_on_worker_exit": "false"}},
            )(Keeper)
        except ValueError as error:
            raise SettingsError([f"--gpus-per-worker, --cpus-per-worker: {error}"]) from error
        self._handles, self._questions = dict[str, Any](), dict[str, Any]()  # questions without an answer yet
        self._told = dict[str, str]()  # what the log has of each worker
        self._resting = dict[str, float]()  # workers that could not be placed, until when
        self._counts = deque[tuple[float, int]]()  # (when, workers wanted), within the window
        self.reports = dict[str, Report | None]()  # of each that is there, None = it says nothing now

    def turn(self, load: Load | None, now: float) -> None:
        """Look, place what is missing, drain what is too much. load: the queue, None = nobody could be asked.
        now: monotonic seconds. Raises RayError."""
        self._look(now)
        running = {machine.name: machine.running for machine in load.machines} if load is not None else {}
        staying = [name for name, report in self.reports.items() if report is None or not report.draining]
        waits = 0 if load is None or load.paused else load.waiting
        busy = sum(running.get(name, 0) > 0 for name in staying)
        count = len(staying) if load is None else busy + math.ceil(waits / self._asked.waiting_per_worker)
        target = self._target(now, count, len(staying))
        where = f"({len(self.reports)} workers, {'?' if load is None else waits} jobs wait)"
        free = [name for name in _names(self._asked) if name not in self.reports]
        for name in free[: max(0, target - len(staying))]:
            if self._resting.get(name, now) <= now:
                log.info("%s is placed %s", name, where)
                options = self._actor.options(name=name, get_if_exists=True)  # another launcher may be faster
                self._handles[name] = options.remote(*self._orders(name))
        # first those that have no place yet, then those with the least to do, the newest before the others
        worth = lambda name: (self.reports[name] is not None, running.get(name, 0))  # noqa: E731
        for name in sorted(reversed(staying), key=worth)[: max(0, len(staying) - target)]:
            log.info("%s is drained %s", name, where)
            if self.reports[name] is not None or running.get(name):
                self._handles[name].drain.remote()
            else:
                self._questions.pop(name, None)
                self._ray.kill(self._handles.pop(name), no_restart=True)
        self._ray.autoscaler.sdk.request_resources(bundles=[self._bundle] * target)

    def _target(self, now: float, count: int, staying: int) -> int:
        """Return how many workers are wanted: the most of the last ``--idle-seconds``, within the bounds."""
        if not self._counts:  # of the time before this nothing is known
            self._counts.append((now, staying))
        self._counts.append((now, count))
        while now - self._counts[0][0] > self._asked.idle_seconds:
            self._counts.popleft()
        return min(max(self._asked.min, *(count for _, count in self._counts)), self._asked.max)

    def _look(self, now: float) -> None:
        """Ask all workers how they are, whoever has placed them, and log what is news."""
        ray, before = self._ray, self.reports
        there = self._handles.keys() | set(ray.util.list_named_actors())
        for name in there - self._questions.keys():
            with suppress(ValueError):  # it has just ended
                self._handles[name] = self._handles.get(name) or ray.get_actor(name)
                self._questions[name] = self._handles[name].report.remote()
        if self._questions:
            ray.wait(list(self._questions.values()), num_returns=len(self._questions), timeout=PATIENCE)
        self.reports = dict.fromkeys(sorted(self._questions, key=lambda name: (len(name), name)))
        for name in list(self.reports):
            level, what = logging.INFO, "waits for a place on the cluster"
            try:
                if ray.wait([self._questions[name]], timeout=0)[0]:
                    self.reports[name] = report = ray.get(self._questions.pop(name))
                    what = f"runs on {report.node}"
                    if report.problem and not report.draining:
                        level, what = logging.WARNING, f"on {report.node}: {report.problem}"
            except ray.exceptions.ActorUnavailableError:  # it is on its way to another node
                pass
            except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError) as error:
                del self._handles[name], self.reports[name]
                level, what = logging.INFO, "has gone"
                if before.get(name) is None:
                    self._resting[name] = now + PAUSE
                    level, what = logging.WARNING, f"can't be placed: {_described(error)}"
            if self._told.get(name) != what:
                self._told[name] = what
                log.log(level, "%s %s", name, what)


def _names(asked: argparse.Namespace) -> list[str]:
    return [f"{asked.name}-{number}" for number in range(1, asked.max + 1)]


def connect(address: str, namespace: str) -> Any:
    """Return Ray, connected to the cluster whose head is at ``address``, with its token. namespace: of the
    actors that are seen. Raises SettingsError, and ClusterError, which says what is wrong."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address or host in ("localhost", "127.0.0.1", "[::1]"):
        wanted = "takes the head's host:port, such as 10.0.0.1:6379, not loopback"  # Ray would wait for ever
        raise SettingsError([f"--address {address or '(empty)'}: {wanted}."])
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    found = os.environ.get("RAY_AUTH_TOKEN") or (token.read_text() if token.is_file() else "")
    if not found.strip():
        made = "`ray get-auth-token --generate` makes one, for all nodes and for this command"
        places = "RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
        raise SettingsError([f"{places}: holds the cluster's token; {made}."])
    os.environ["RAY_AUTH_MODE"] = "token"  # before Ray is imported
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        import ray
        import ray.autoscaler.sdk
        from ray._raylet import GcsClient  # asked first, for its errors are plain and come at once

        # Another process asks whether the head lets everybody in: Ray knows one mode in each
        others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
        others["RAY_AUTH_MODE"] = "disabled"
        command = [sys.executable, "-c", WITHOUT_TOKEN, address]
        if not subprocess.run(command, env=others, capture_output=True, timeout=60).returncode:
            raise ClusterError("it lets everybody in: start its nodes with RAY_AUTH_MODE=token and a token")
        GcsClient(address=address)
        ray.init(address=address, namespace=namespace, log_to_driver=False, configure_logging=False)
    except ModuleNotFoundError as error:
        raise ClusterError("`atelier workers ray` needs Ray: make setup EXTRAS=ray,scale") from error
    except Exception as error:  # Ray's own kinds are many: another token, another version of Ray or Python
        raise ClusterError(f"the Ray cluster at {address} can't be used: {_described(error)}") from error
    return ray


def _described(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def launch(settings: Settings, asked: argparse.Namespace, command: Sequence[str] = COMMAND) -> int:
    """Keep workers there until a signal comes. command: of a worker. Return the exit status. Raises
    SettingsError for what can't be meant, ClusterError for a cluster that can't be used."""
    if asked.stop:
        asked.min = asked.max = asked.idle_seconds = 0
    asked.max = asked.min if asked.max is None else asked.max
    problems = [NO_BUS] if not settings.bus_url else []
    if not 0 <= asked.min <= asked.max:
        problems.append(f"--min {asked.min} --max {asked.max}: it must be 0 ≤ min ≤ max.")
    if asked.waiting_per_worker < 1 or asked.idle_seconds < 0:
        problems.append("--waiting-per-worker takes 1 or more, --idle-seconds 0 or more.")
    if problems:
        raise SettingsError(problems)
    creds = nats_accounts.read_accounts(asked.creds, _names(asked)) if asked.creds is not None else {}
    own = {name: {"BUS_CREDS": account} for name, account in creds.items()}
    all_ = {"DEVICES": "auto" if asked.gpus_per_worker else "cpu", **for_workers()}
    set_up_logs(settings, name="launcher")
    namespace = f"atelier-{settings.bus_prefix}-{asked.name}"
    ray = connect(asked.address or os.environ.get("RAY_ADDRESS", ""), namespace)
    try:
        late = settings.grace_seconds + 60.0  # then a worker that is drained is killed
        orders = lambda name: (name, all_ | own.get(name, {}), asked.folder, late, command)  # noqa: E731
        return asyncio.run(_keep(settings, Launcher(ray, asked, orders), asked))
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the Ray cluster is lost: {_described(error)}") from error
    finally:
        ray.shutdown()


async def _keep(settings: Settings, launcher: Launcher, asked: argparse.Namespace) -> int:
    stopping, problem, load = asyncio.Event(), "nobody was asked yet", None
    stop_on_signals(stopping, "The workers keep running; `atelier workers ray --stop` stops them.")
    health = lambda: Health(not problem, None, len(launcher.reports), 0, problem)  # noqa: E731
    async with connected(settings, "launcher") as bus, ServiceManager(os.environ).serving(health, stopping):
        if not asked.stop:
            wanted = f"Managing {asked.min} to {asked.max} workers"
            print(f"{wanted}. Ctrl+C stops this command; the workers keep running.", flush=True)
        await bus.until_up(PATIENCE)
        while not stopping.is_set():
            try:
                load, said = await bus.request(LOAD_SUBJECT, AskLoad(), Load, patience=PATIENCE), ""
            except BusError as error:
                load, said = None, f"nobody says how many jobs wait: {error}"
            if said != problem:
                log.log(logging.WARNING if said else logging.INFO, said or "the bot says how many jobs wait")
            problem = said
            await asyncio.to_thread(launcher.turn, load, monotonic())
            if asked.stop and not launcher.reports:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await stopping.wait()
    return 0
