"""Agents on a Ray cluster: one detached actor each, which Ray starts again on another node when its own is
lost. Only here is Ray imported.

Whoever has the cluster's token runs code on all of its nodes, so a cluster that asks for none is refused.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from host.launching.fleet import ClusterError, Sighting
from host.launching.keeper import Keeper, Orders, Report

NEEDS = "`atelier workers ray` needs Ray: make setup EXTRAS=ray,scale"
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
NO_TOKEN = (
    f"{TOKEN}, {TOKEN_PATH} or ~/.ray/auth_token: holds the cluster's token. Nothing is placed without one:"
    " whoever reaches a cluster that asks for none runs code on it. `ray get-auth-token --generate` makes"
    " one, for all nodes and for this command."
)
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PATIENCE = 5.0  # seconds for the head to answer
HEAD_PATIENCE = 60.0  # seconds for it to say whether it asks for a token, the start of a process included
ANSWERED = 2.0  # seconds for the actors to answer
AT_ONCE = 4  # calls of an actor
NAMESPACE = "atelier"  # before the bus's prefix: two studios on one cluster don't see each other's agents
# Else a worker of Ray that ends kills its children: an agent could not give back what it runs
SPARE_CHILDREN = {"env_vars": {"RAY_kill_child_processes_on_worker_exit": "false"}}
KILLED = "ray.kill"  # in Ray's words about an actor that a launcher has taken off
log = logging.getLogger(__name__)
WITHOUT_TOKEN = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


@dataclass(frozen=True)
class Needs:
    """What an agent takes of a node. gpus, cpus: may be parts of one. Raises SettingsError."""

    gpus: float
    cpus: float

    def __post_init__(self) -> None:
        problems = [
            f"{name} {count:g}: takes 0, a part of one, or a whole number."
            for name, count in (("--gpus-per-worker", self.gpus), ("--cpus-per-worker", self.cpus))
            if count < 0 or (count > 1 and count % 1)
        ]
        if not problems and not self.resources:
            problems = ["--gpus-per-worker 0 --cpus-per-worker 0: one of them is to be more than 0."]
        if problems:
            raise SettingsError(problems)

    def __str__(self) -> str:
        return " and ".join(f"{count:g} {kind}" for kind, count in self.resources.items()) or "nothing"

    @property
    def resources(self) -> dict[str, float]:
        """What is asked, as Ray counts it."""
        return {kind: count for kind, count in (("GPU", self.gpus), ("CPU", self.cpus)) if count}

    def places(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """Return how many agents nodes with these resources have room for."""
        return sum(
            min((int(node.get(kind, 0.0) / count) for kind, count in self.resources.items()), default=0)
            for node in nodes
        )


def check_address(address: str) -> None:
    """Raise SettingsError for what can't be the address of a head."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "/" in address:
        raise SettingsError(
            [f"--address {address or '(empty)'}: takes the head's host:port, such as 10.0.0.1:6379."]
        )
    if host.strip("[]") in LOOPBACK:  # Ray takes it for this machine's other address, and waits for ever
        raise SettingsError(
            [f"--address {address}: takes the address that `ray start --head` printed, not loopback."]
        )


def take_token(environ: MutableMapping[str, str], home: Path) -> None:
    """Have Ray use its token, before it is imported. Raises SettingsError without one."""
    mode = environ.get(MODE, "token") or "token"
    if mode != "token":
        raise SettingsError([f"{MODE}={mode}: only token is taken here."])
    path = Path(environ.get(TOKEN_PATH) or home / ".ray" / "auth_token").expanduser()
    try:
        token = environ.get(TOKEN) or path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        token = ""
    if not token.strip():
        raise SettingsError([NO_TOKEN])
    environ[MODE] = "token"


class RayCluster:
    """A cluster that this process is connected to. ray: as ``connect`` returns it. prefix: of agents' names.
    orders: of an agent, by its name. Ray ends this process when the head is away for a minute."""

    def __init__(self, ray: Any, prefix: str, needs: Needs, orders: Callable[[str], Orders]) -> None:
        self._ray, self._prefix, self._needs, self._orders = ray, prefix, needs, orders
        self._actor = ray.remote(AgentKeeper)
        self._handles: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}  # questions that have no answer yet

    def nodes(self) -> list[dict[str, float]]:
        """Return the resources of each node that lives."""
        with self._errors():
            return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def places(self) -> int:
        """Return how many agents there is room for. Raises ClusterError where there is none."""
        nodes = self.nodes()
        found = self._needs.places(nodes)
        if found == 0:
            kinds = ("GPU", "CPU")
            has = "; ".join(", ".join(f"{node.get(kind, 0):g} {kind}" for kind in kinds) for node in nodes)
            raise ClusterError(
                f"no node of the Ray cluster has {self._needs} for a worker; its {len(nodes)} have {has}."
                " Change --gpus-per-worker (0 = processors) or --cpus-per-worker."
            )
        return found

    def look(self) -> list[Sighting]:
        """As of ``Cluster``."""
        with self._errors():
            there = {name for name in self._ray.util.list_named_actors() if self._is_ours(name)}
            names = there | self._handles.keys()
            for name in sorted(names - self._asked.keys()):
                try:
                    handle = self._handles.get(name) or self._ray.get_actor(name)
                except ValueError:  # it has just ended
                    continue
                self._handles[name] = handle
                self._asked[name] = handle.report.remote()
            if self._asked:
                asked = list(self._asked.values())
                self._ray.wait(asked, num_returns=len(asked), timeout=ANSWERED)
            return [one for name in sorted(self._asked) if (one := self._sighting(name)) is not None]

    def _sighting(self, name: str) -> Sighting | None:
        errors = self._ray.exceptions
        done, _ = self._ray.wait([self._asked[name]], timeout=0)
        if not done:
            return Sighting(name)
        try:
            report: Report = self._ray.get(self._asked.pop(name))
        except errors.ActorUnavailableError:  # its node has gone, and it is on its way to another
            return Sighting(name)
        except errors.ActorDiedError as error:
            self._handles.pop(name, None)
            return None if KILLED in str(error) else Sighting(name, failed=describe(error))
        except errors.RayTaskError as error:
            return Sighting(name, failed=describe(error))
        return Sighting(name, report)

    def place(self, name: str) -> None:
        """As of ``Cluster``."""
        options = self._actor.options(
            name=name,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=AT_ONCE,
            num_gpus=self._needs.gpus,
            num_cpus=self._needs.cpus,
            scheduling_strategy="SPREAD",
            runtime_env=SPARE_CHILDREN,
        )
        with self._errors():
            try:
                self._handles[name] = options.remote(self._orders(name))
            except ValueError:  # another launcher was faster; the next look finds it
                log.info("%s is there already", name)

    def drain(self, name: str) -> None:
        """As of ``Cluster``."""
        if (handle := self._handles.get(name)) is not None:
            with self._errors():
                handle.drain.remote()

    def remove(self, name: str) -> None:
        """As of ``Cluster``."""
        handle = self._handles.pop(name, None)
        self._asked.pop(name, None)
        if handle is not None:
            with self._errors():
                self._ray.kill(handle, no_restart=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what Ray's errors mean here."""
        try:
            yield
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"the Ray cluster is lost: {describe(error)}") from error

    def _is_ours(self, name: str) -> bool:
        before, _, number = name.rpartition("-")
        return before == self._prefix and number.isdigit()

    def close(self) -> None:
        """Leave the cluster; the agents stay."""
        self._ray.shutdown()


class AgentKeeper(Keeper):
    """The actor: a Keeper that knows its node's address."""

    def __init__(self, orders: Orders) -> None:
        import ray

        super().__init__(orders, ray.util.get_node_ip_address())


def connect(address: str, studio: str) -> Any:
    """Return Ray, connected to the cluster whose head is at ``address``, with its token: see ``take_token``.
    studio: BUS_PREFIX. Raises ClusterError, which says what is wrong."""
    try:
        import ray
        from ray._raylet import GcsClient  # asked first, for its errors are plain and come at once
        from ray.exceptions import AuthenticationError
    except ModuleNotFoundError as error:
        raise ClusterError(NEEDS) from error
    _reach(address)
    if _lets_everybody_in(address):
        raise ClusterError(
            f"the Ray cluster at {address} lets everybody in who reaches it: start its head and nodes with"
            f" {MODE}=token and a token."
        )
    try:
        GcsClient(address=address)
    except AuthenticationError as error:
        raise ClusterError(f"the Ray cluster at {address} has another token than this command.") from error
    except Exception as error:  # no head, or a sick one
        raise ClusterError(f"the Ray cluster at {address} can't be used: {describe(error)}") from error
    try:
        ray.init(
            address=address, namespace=f"{NAMESPACE}-{studio}", log_to_driver=False, configure_logging=False
        )
    except Exception as error:  # Ray's own kinds are many; the commonest: another version of Ray or Python
        raise ClusterError(f"the Ray cluster at {address} can't be used: {describe(error)}") from error
    return ray


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ClusterError(f"no head of a Ray cluster answers at {address} ({why}).") from error


def _lets_everybody_in(address: str) -> bool:
    """Return whether a head answers without a token. Another process asks: Ray knows one mode in each.
    ClusterError when it says nothing."""
    environment = {name: value for name, value in os.environ.items() if name not in (TOKEN, TOKEN_PATH)}
    command = [sys.executable, "-c", WITHOUT_TOKEN, address]
    environment[MODE] = "disabled"
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, timeout=HEAD_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"the head of the Ray cluster at {address} says nothing for"
            f" {HEAD_PATIENCE:.0f} s: look at its log."
        ) from error
    return asked.returncode == 0


def describe(error: Exception) -> str:
    """Return what an error of Ray's says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:500] or type(error).__name__
