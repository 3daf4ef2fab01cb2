"""The launcher of workers on a Ray that is played, the actor that keeps a worker, and what is refused before
Ray is asked anything."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import SettingsError
from core.settings import load_settings as load_settings
from host import nats_accounts, ray_launcher
from host.cli import parser
from host.ray_launcher import ClusterError, Keeper, Launcher, Report, connect, launch
from jobs.cluster.executor import Load, Machine

UP = Report("10.0.0.7", False, "")
GONE = Report("10.0.0.7", True, "")


class RayError(Exception):
    pass


class ActorError(RayError):
    pass


class Unavailable(ActorError):
    pass


class Played:
    """As much of Ray as is used. answers: what an actor says, None = nothing yet; one that is placed
    says ``UP`` unless ``placing``. room: what the autoscaler was asked for last."""

    def __init__(self) -> None:
        self.actors: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Report | Exception | None] = {}
        self.did: list[str] = []
        self.room: list[dict[str, float]] = []
        self.placing: Exception | None | bool = False
        self.error: Exception | None = None
        self.questions = 0
        self.util = SimpleNamespace(list_named_actors=self._list)
        self.autoscaler = SimpleNamespace(sdk=SimpleNamespace(request_resources=self._request))
        self.exceptions = SimpleNamespace(
            RayError=RayError,
            RayActorError=ActorError,
            ActorUnavailableError=Unavailable,
            RayTaskError=KeyError,
        )

    def _list(self) -> list[str]:
        if self.error is not None:
            raise self.error
        return list(self.actors)

    def _request(self, bundles: list[dict[str, float]]) -> None:
        self.room = bundles

    def remote(self, **shape: Any) -> Any:
        if shape["num_gpus"] > 1 and shape["num_gpus"] % 1:
            raise ValueError("whole numbers above 1")

        assert "get_if_exists" not in shape  # which Ray takes with a name alone

        def options(name: str, **more: Any) -> Any:
            def remote(*orders: Any) -> Any:
                self.did.append(f"place {name}")
                self.actors[name] = {**shape, **more, "orders": orders}
                self.answers[name] = UP if self.placing is False else self.placing  # type: ignore[assignment]
                return self.get_actor(name)

            return SimpleNamespace(remote=remote)

        return lambda keeper: SimpleNamespace(options=options)

    def get_actor(self, name: str) -> Any:
        if name not in self.actors:
            raise ValueError(f"no actor {name}")

        def report() -> str:
            self.questions += 1
            return name

        def drain() -> None:
            self.did.append(f"drain {name}")
            self.answers[name] = GONE

        return SimpleNamespace(
            name=name, report=SimpleNamespace(remote=report), drain=SimpleNamespace(remote=drain)
        )

    def wait(self, refs: list[str], num_returns: int = 1, timeout: float = 0) -> tuple[list[str], list[str]]:
        done = [ref for ref in refs if self.answers.get(ref) is not None]
        return done, [ref for ref in refs if ref not in done]

    def get(self, ref: str) -> Report:
        if isinstance(answer := self.answers[ref], Exception):
            if not isinstance(answer, Unavailable):
                self.actors.pop(ref, None)
            raise answer
        assert answer is not None
        return answer

    def kill(self, handle: Any, no_restart: bool) -> None:
        assert no_restart
        self.did.append(f"kill {handle.name}")
        del self.actors[handle.name]

    def go(self, name: str) -> None:
        """A drained worker and its actor have ended."""
        self.answers[name] = ActorError("exit_actor")


@pytest.fixture
def ray() -> Played:
    return Played()


def launcher_of(ray: Played, *words: str) -> Launcher:
    asked = parser().parse_args(["workers", "ray", "--gpus-per-worker", "0", *words])
    asked.max = asked.min if asked.max is None else asked.max
    return Launcher(ray, asked, lambda name: (name, {}, "/srv", 60.0, ()))


def load(waiting: int = 0, *running: int, paused: bool = False) -> Load:
    machines = tuple(Machine(f"ray-{number}", True, jobs) for number, jobs in enumerate(running, 1))
    return Load(waiting, paused, machines)


def did(
    ray: Played, launcher: Launcher, *told: Load | None, start: float = 1000.0, every: float = 10.0
) -> list[str]:
    """Return what is done while the queue says this, look after look."""
    before = len(ray.did)
    for number, one in enumerate(told):
        launcher.turn(one, start + number * every)
    return ray.did[before:]


@pytest.mark.parametrize(
    ("waiting", "running", "placed"),
    [
        (0, (), (1,)),  # the least
        (4, (), (1,)),
        (5, (), (1, 2)),
        (1, (1,), (2,)),  # one is busy, one more waits
        (5, (1,), (2, 3)),
        (100, (1,), (2, 3, 4)),  # the most
        (4, (0,), ()),  # one that is free will take them
        (5, (0,), (2,)),
        (8, (3, 0), (3,)),
        (0, (1, 1), ()),
    ],
)
def test_workers_are_placed_for_what_waits(ray: Played, waiting, running, placed) -> None:
    for number in range(1, len(running) + 1):
        ray.actors[f"ray-{number}"], ray.answers[f"ray-{number}"] = {}, UP
    launcher = launcher_of(ray, "--min", "1", "--max", "4")
    assert did(ray, launcher, load(waiting, *running)) == [f"place ray-{number}" for number in placed]
    assert ray.room == [{"CPU": 1.0}] * max(1, len(running) + len(placed))


def test_a_worker_outlives_the_launcher_and_is_restarted_by_ray(ray: Played) -> None:
    did(ray, launcher_of(ray, "--gpus-per-worker", "0.5", "--cpus-per-worker", "2"), load())
    placed = ray.actors["ray-1"]
    assert placed["lifetime"] == "detached" and placed["max_restarts"] == -1 and placed["get_if_exists"]
    assert (placed["num_gpus"], placed["num_cpus"]) == (0.5, 2) and placed["orders"][0] == "ray-1"
    assert did(ray, launcher_of(ray), load(), None, load()) == []  # another finds it
    with pytest.raises(SettingsError, match="--gpus-per-worker"):
        launcher_of(ray, "--gpus-per-worker", "1.5")


def test_a_worker_is_drained_once_fewer_have_been_enough_for_so_long(ray: Played) -> None:
    launcher = launcher_of(ray, "--max", "3", "--idle-seconds", "100")
    assert did(ray, launcher, load(12), load(0, 1), load(0, 0, 1), every=1.0)[3:] == []
    for second, told in ((1050.0, load(0, 0, 1)), (1090.0, None), (1099.0, load(0, 0, 1))):
        launcher.turn(told, second)
    assert len(ray.did) == 3
    launcher.turn(load(0, 0, 1, 0), 1191.0)  # the newest without a job first; the busy one stays
    assert ray.did[3:] == ["drain ray-3", "drain ray-1"]
    launcher.turn(load(0, 0, 1), 1192.0)
    ray.go("ray-1"), ray.go("ray-3")
    launcher.turn(load(9, 0, 1), 1193.0)  # their numbers are free again
    assert list(launcher.reports) == ["ray-2"] and ray.did[5:] == ["place ray-1", "place ray-3"]


def test_a_queue_that_is_paused_or_unknown_asks_for_nobody_and_drains_nobody(ray: Played) -> None:
    launcher = launcher_of(ray, "--min", "0", "--max", "3", "--idle-seconds", "5")
    assert did(ray, launcher, load(50, paused=True), None) == []
    assert did(ray, launcher, load(9)) == ["place ray-1", "place ray-2", "place ray-3"]
    assert did(ray, launcher, *[None] * 5) == []


def test_what_has_no_place_yet_is_waited_for_and_taken_off_without_a_drain(ray: Played, caplog) -> None:
    caplog.set_level("INFO")
    launcher = launcher_of(ray, "--min", "0", "--max", "2", "--idle-seconds", "5")
    ray.placing = None
    assert did(ray, launcher, load(50), load(50), load(50)) == ["place ray-1", "place ray-2"]
    assert ray.questions == 2  # asked once until there is an answer
    assert caplog.messages.count("ray-1 waits for a place on the cluster") == 1
    assert did(ray, launcher, load(0, 2), load(0, 2), start=1500.0) == ["kill ray-2"]
    ray.answers["ray-1"] = Unavailable("its node is lost")
    launcher.turn(load(0, 2), 2000.0)
    assert launcher.reports == {"ray-1": None}


def test_what_cant_be_placed_or_ends_by_itself_is_told_once_and_rests(ray: Played, caplog) -> None:
    caplog.set_level("INFO")
    launcher = launcher_of(ray, "--min", "2")
    ray.placing = ActorError("The actor died:\n  no module host")
    assert did(ray, launcher, *[load()] * 4, every=2.0) == ["place ray-1", "place ray-2"]
    ray.placing = False
    launcher.turn(load(), 1040.0)
    ray.answers["ray-2"] = Report("10.0.0.7", False, "it ended with status 2: BUS_URL is wrong")
    did(ray, launcher, load(), load())
    assert [line for line in caplog.messages if "(" not in line] == [
        "ray-1 can't be placed: The actor died: no module host",
        "ray-2 can't be placed: The actor died: no module host",
        "ray-1 runs on 10.0.0.7",
        "ray-2 on 10.0.0.7: it ended with status 2: BUS_URL is wrong",
    ]


def test_one_whose_node_is_lost_amid_its_drain_is_drained_again(ray: Played) -> None:
    did(ray, launcher_of(ray), load())
    launcher = launcher_of(ray, "--min", "0", "--idle-seconds", "0")
    assert did(ray, launcher, load(), load(), load()) == ["drain ray-1"]
    ray.answers["ray-1"] = UP
    assert did(ray, launcher, load()) == ["drain ray-1"]


def test_a_head_that_started_anew_is_told(ray: Played) -> None:
    ray.error = RayError("WrongClusterID")
    with pytest.raises(RayError):
        launcher_of(ray).turn(load(), 0.0)


AGENT = """
import os, signal, sys
def note(word):
    with open("notes", "a") as notes:
        print(word, file=notes)
def drained(*_):
    note("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, drained)
note(" ".join([os.environ["NODE_NAME"], os.environ["BUS_URL"], os.environ.get("RAY_AUTH_TOKEN", "-"),
    os.environ["DATA_DIR"]]))
print("up", flush=True, file=sys.stderr)
sys.stdin.read()
note("left alone")
"""
KEPT = """
import os, sys
from types import ModuleType, SimpleNamespace
ray = ModuleType("ray")
ray.util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.7")
ray.actor = SimpleNamespace(exit_actor=lambda: os._exit(7))
sys.modules["ray"] = ray
from host import ray_launcher
ray_launcher.PAUSE = 0.2
command = (sys.executable, "-S", "-c", sys.argv[2])
kept = ray_launcher.Keeper("ray-1", {"BUS_URL": "nats://n"}, sys.argv[1], 60.0, command)
for line in sys.stdin:
    if line == "drain\\n":
        kept.drain()
    print(kept.report(), flush=True)
"""


def kept(folder: Path, code: str) -> subprocess.Popen[str]:
    """An actor's process: it reports for each line that it reads."""
    environment = {**os.environ, "RAY_AUTH_TOKEN": "secret"}
    command = [sys.executable, "-c", KEPT, str(folder), code]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def until_noted(folder: Path, count: int) -> Sequence[str]:
    path, waited = folder / "ray-1" / "notes", threading.Event()
    for _ in range(2000):
        if path.exists() and len(lines := path.read_text().splitlines()) >= count:
            return lines
        waited.wait(0.01)
    raise AssertionError("it never came")


def test_a_worker_gets_its_name_folder_and_settings_and_not_the_clusters_token(tmp_path: Path) -> None:
    with kept(tmp_path, AGENT) as actor:
        assert until_noted(tmp_path, 1) == [f"ray-1 nats://n - {tmp_path}/ray-1"]
        actor.stdin.write("how are you\n")  # type: ignore[union-attr]
        actor.stdin.flush()  # type: ignore[union-attr]
        assert actor.stdout.readline() == f"{UP}\n"  # type: ignore[union-attr]
        actor.kill()
    assert until_noted(tmp_path, 2)[1] == "left alone"


def test_a_drain_lets_a_worker_end_by_itself_and_its_actor_goes_with_it(tmp_path: Path) -> None:
    with kept(tmp_path, AGENT) as actor:
        until_noted(tmp_path, 1)
        actor.stdin.write("drain\n")  # type: ignore[union-attr]
        actor.stdin.flush()  # type: ignore[union-attr]
        assert actor.wait(20) == 7
    assert until_noted(tmp_path, 2)[1] == "drained"


def test_an_actor_whose_worker_ends_by_itself_ends_for_ray_to_start_both_again(tmp_path: Path) -> None:
    with kept(tmp_path, "import sys; print('BUS_URL is wrong', file=sys.stderr); sys.exit(2)") as actor:
        assert actor.wait(20) == 1


def test_a_worker_that_never_ends_its_drain_is_killed(tmp_path: Path, monkeypatch) -> None:
    left = threading.Event()
    played: Any = SimpleNamespace(
        util=SimpleNamespace(get_node_ip_address=lambda: "n"), actor=SimpleNamespace(exit_actor=left.set)
    )
    monkeypatch.setitem(sys.modules, "ray", played)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', file=open('notes', 'w'), flush=True); time.sleep(60)"
    )
    keeper = Keeper("ray-1", {}, str(tmp_path), 0.2, (sys.executable, "-S", "-c", stubborn))
    until_noted(tmp_path, 1)  # from now on it ignores signals
    keeper.drain()
    keeper.drain()  # a second one does nothing
    assert left.is_set() and keeper.report().draining
    waited = threading.Event()
    while not keeper.report().problem:
        waited.wait(0.01)
    assert keeper.report().problem == f"it ended with status {-signal.SIGKILL}: without a word"


@pytest.mark.parametrize(
    ("words", "bus", "problem"),
    [
        ("--address 10.0.0.1:6379", "", "BUS_URL"),
        ("", "nats://10.0.0.1:4222", "--address"),
        ("--address 10.0.0.1", "nats://10.0.0.1:4222", "host:port"),
        ("--address ray://10.0.0.1:10001", "nats://10.0.0.1:4222", "host:port"),
        ("--address localhost:6379", "nats://10.0.0.1:4222", "loopback"),
        ("--address [::1]:6379", "nats://10.0.0.1:4222", "loopback"),
        ("--address 10.0.0.1:6379 --min 3 --max 2", "nats://10.0.0.1:4222", "--min 3 --max 2"),
        ("--address 10.0.0.1:6379 --min -1", "nats://10.0.0.1:4222", "--min -1"),
        ("--waiting-per-worker 0", "nats://10.0.0.1:4222", "--waiting-per-worker takes 1"),
        ("--idle-seconds -1", "nats://10.0.0.1:4222", "--idle-seconds 0"),
        ("--creds /nowhere", "nats://10.0.0.1:4222", "can't be read"),
    ],
)
def test_the_command_refuses_what_cant_be_meant(words, bus, problem, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    settings = load_settings({"BUS_URL": bus, "DATA_DIR": str(tmp_path)}, Path("/nowhere"))
    with pytest.raises(SettingsError) as caught:
        launch(settings, parser().parse_args(["workers", "ray", *words.split()]))
    assert problem in " ".join(caught.value.problems)


def test_without_a_token_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("HOME", str(tmp_path))
    empty, missing = tmp_path / "empty", tmp_path / "none"
    empty.write_text(" ")
    for token, path in (("", ""), (" ", ""), ("", str(empty)), ("", str(missing))):
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", path)
        with pytest.raises(SettingsError, match="holds the cluster's token"):
            connect("10.0.0.1:6379", "at")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x" * 32)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(
        ray_launcher.socket, "create_connection", lambda *_: SimpleNamespace(close=lambda: None)
    )
    with pytest.raises(ClusterError, match="make setup EXTRAS=ray,scale"):
        connect("10.0.0.1:6379", "at")
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_accounts_are_read_as_they_are_printed(tmp_path: Path) -> None:
    path = tmp_path / "nats.conf"
    path.write_text(nats_accounts.server_config("at", ["ray-1", "ray-2", "ray-3"], launcher=True))
    found = nats_accounts.read_accounts(path, ["ray-1", "ray-3"])
    assert list(found) == ["ray-1", "ray-3"] and found["ray-1"].startswith("worker-ray-1:")
    with pytest.raises(SettingsError, match="no account for ray-4, ray-5"):
        nats_accounts.read_accounts(path, ["ray-1", "ray-4", "ray-5"])
    path.write_text("BUS_CREDS=worker-ray-2:two\nworker-ray-3:three\n")
    assert nats_accounts.read_accounts(path, ["ray-2", "ray-3"]) == {
        "ray-2": "worker-ray-2:two",
        "ray-3": "worker-ray-3:three",
    }
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="it is no text"):
        nats_accounts.read_accounts(path, ["ray-1"])
