"""Agents as actors, on a Ray that is played; and what is refused before Ray is asked anything."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import SettingsError
from core.settings import load
from host.cli import _parser
from host.launching import accounts, on_ray
from host.launching.command import launch
from host.launching.fleet import ClusterError, Sighting
from host.launching.keeper import Orders, Report
from host.launching.on_ray import Needs, RayCluster

REPORT = Report("ray-1", "10.0.0.7", 7, False, False, 1, "", "1")


class RayError(Exception):
    pass


class Unavailable(RayError):
    pass


class Died(RayError):
    pass


class TaskError(RayError):
    pass


class Played:
    """As much of Ray as is used. ``answers``: of actors by name, None = not yet. ``error``: of the head."""

    def __init__(self) -> None:
        self.actors: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Any] = {}
        self.killed: list[str] = []
        self.drained: list[str] = []
        self.asked = 0
        self.error: Exception | None = None
        self.util = SimpleNamespace(list_named_actors=self._list)
        self.exceptions = SimpleNamespace(
            RayError=RayError, ActorUnavailableError=Unavailable, ActorDiedError=Died, RayTaskError=TaskError
        )

    def _list(self) -> list[str]:
        if self.error is not None:
            raise self.error
        return list(self.actors)

    def remote(self, cls: type) -> Any:
        def options(**options: Any) -> Any:
            def remote(orders: Orders) -> Any:
                if options["name"] in self.actors:
                    raise ValueError("the name is taken")
                self.actors[options["name"]] = {**options, "orders": orders}
                return self.get_actor(options["name"])

            return SimpleNamespace(remote=remote)

        return SimpleNamespace(options=options)

    def get_actor(self, name: str) -> Any:
        if name not in self.actors:
            raise ValueError(f"no actor {name}")

        def report() -> str:
            self.asked += 1
            return name

        return SimpleNamespace(
            name=name,
            report=SimpleNamespace(remote=report),
            drain=SimpleNamespace(remote=lambda: self.drained.append(name)),
        )

    def wait(self, refs: list[str], num_returns: int = 1, timeout: float = 0) -> tuple[list[str], list[str]]:
        done = [ref for ref in refs if self.answers.get(ref) is not None]
        return done, [ref for ref in refs if ref not in done]

    def get(self, ref: str) -> Report:
        if isinstance(answer := self.answers[ref], Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def kill(self, handle: Any, no_restart: bool) -> None:
        assert no_restart
        self.killed.append(handle.name)
        self.actors.pop(handle.name, None)

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
            {"Alive": True, "Resources": {"CPU": 3.0}},
            {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
        ]


@pytest.fixture
def ray() -> Played:
    return Played()


def cluster_of(ray: Played, needs: Needs = Needs(1, 0)) -> RayCluster:  # noqa: B008
    return RayCluster(ray, "ray", needs, lambda name: Orders(name, {}, "/srv"))


def test_an_agent_is_an_actor_that_outlives_the_launcher_and_is_restarted(ray: Played) -> None:
    cluster = cluster_of(ray, Needs(0.5, 2))
    cluster.place("ray-1")
    placed = ray.actors["ray-1"]
    assert placed["lifetime"] == "detached" and placed["max_restarts"] == -1
    assert placed["max_task_retries"] == 0 and placed["orders"].name == "ray-1"
    assert (placed["num_gpus"], placed["num_cpus"]) == (0.5, 2)
    cluster.place("ray-1")  # whoever came first


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (None, [Sighting("ray-1")]),
        (REPORT, [Sighting("ray-1", REPORT)]),
        (Unavailable("its node is lost"), [Sighting("ray-1")]),
        (Died("it was killed by ray.kill"), []),
        (
            Died("The actor died:\n  no module host"),
            [Sighting("ray-1", failed="The actor died: no module host")],
        ),
        (TaskError("disk full"), [Sighting("ray-1", failed="disk full")]),
    ],
)
def test_what_an_actor_says_or_doesnt(ray: Played, answer: Any, seen: list[Sighting]) -> None:
    cluster = cluster_of(ray)
    cluster.place("ray-1")
    ray.answers["ray-1"] = answer
    assert cluster.look() == seen


def test_a_question_is_asked_once_until_it_is_answered(ray: Played) -> None:
    cluster = cluster_of(ray)
    cluster.place("ray-1")
    for _ in range(5):
        assert cluster.look() == [Sighting("ray-1")]
    assert ray.asked == 1
    ray.answers["ray-1"] = REPORT
    assert cluster.look() == cluster.look() == [Sighting("ray-1", REPORT)]
    assert ray.asked == 2


def test_those_of_another_launcher_are_found_and_strangers_left_alone(ray: Played) -> None:
    cluster_of(ray).place("ray-2")
    ray.actors |= {"other-1": {}, "ray": {}, "ray-x": {}, "ray-1-1": {}}
    ray.answers["ray-2"] = REPORT
    cluster = cluster_of(ray)
    assert cluster.look() == [Sighting("ray-2", REPORT)]
    cluster.drain("ray-2")
    cluster.remove("ray-2")
    assert ray.drained == ray.killed == ["ray-2"] and cluster.look() == []


def test_a_head_that_started_anew_is_told(ray: Played) -> None:
    cluster = cluster_of(ray)
    ray.error = RayError("WrongClusterID: it has restarted")
    with pytest.raises(ClusterError, match="the Ray cluster is lost: WrongClusterID"):
        cluster.look()


@pytest.mark.parametrize(
    ("needs", "places"),
    [(Needs(1, 1), 2), (Needs(0, 1), 11), (Needs(0, 2), 5), (Needs(0.5, 0), 4), (Needs(0.5, 4), 2)],
)
def test_places_are_counted_node_by_node(ray: Played, needs: Needs, places: int) -> None:
    assert cluster_of(ray, needs).places() == places


def test_a_cluster_without_what_is_needed_is_refused_with_what_it_has(ray: Played) -> None:
    with pytest.raises(ClusterError) as caught:
        cluster_of(ray, Needs(4, 1)).places()
    text = str(caught.value)
    assert "4 GPU and 1 CPU" in text and "2 GPU, 8 CPU; 0 GPU, 3 CPU" in text and "--gpus-per-worker" in text


@pytest.mark.parametrize("wrong", [(-1, 1), (1.5, 1), (0, 0), (1, 2.5)])
def test_needs_that_no_node_can_meet_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(SettingsError):
        Needs(*wrong)


@pytest.mark.parametrize("address", ["", "10.0.0.1", "ray://10.0.0.1:10001", ":6379", "10.0.0.1:x"])
def test_what_is_no_heads_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="host:port"):
        on_ray.check_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "localhost:6379", "[::1]:6379"])
def test_loopback_is_refused_for_ray_would_wait_for_ever(address: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        on_ray.check_address(address)


def test_without_a_token_nothing_is_done(tmp_path: Path) -> None:
    for environ in ({}, {"RAY_AUTH_TOKEN": " "}, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}):
        with pytest.raises(SettingsError, match="RAY_AUTH_TOKEN"):
            on_ray.take_token(environ, tmp_path)
    with pytest.raises(SettingsError, match="RAY_AUTH_MODE=disabled"):
        on_ray.take_token({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "x" * 32}, tmp_path)


def test_a_token_is_taken_from_each_place_that_ray_knows(tmp_path: Path) -> None:
    elsewhere = tmp_path / "token"
    elsewhere.write_text("x" * 32)
    for environ in ({"RAY_AUTH_TOKEN": "x" * 32}, {"RAY_AUTH_TOKEN_PATH": str(elsewhere)}):
        on_ray.take_token(environ, tmp_path)
        assert environ["RAY_AUTH_MODE"] == "token"
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("x" * 32)
    on_ray.take_token({}, tmp_path)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match="make setup EXTRAS=ray,scale"):
        on_ray.connect("10.0.0.1:6379", "at")


def test_accounts_are_read_as_they_are_printed(tmp_path: Path) -> None:
    path = tmp_path / "nats.conf"
    path.write_text(
        "# BUS_CREDS=bot:b\n# BUS_CREDS=worker-ray-1:one\nBUS_CREDS=worker-ray-2:two\nworker-ray-3:three\n"
        'users: [ { user: "worker-ray-4", password: "four" } ]\n'
    )
    found = accounts.read(path)
    assert found == {
        f"ray-{n}": f"worker-ray-{n}:{word}" for n, word in ((1, "one"), (2, "two"), (3, "three"))
    }
    accounts.check(found, ["ray-1", "ray-3"])
    with pytest.raises(SettingsError, match="no account for ray-4, ray-5"):
        accounts.check(found, ["ray-1", "ray-4", "ray-5"])


@pytest.mark.parametrize("content", [b"", b"nothing here\n", b"\xff\xfe"])
def test_a_file_without_accounts_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "creds"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="--creds"):
        accounts.read(path)
    with pytest.raises(SettingsError, match="can't be read"):
        accounts.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "bus", "problem"),
    [
        ("--address 10.0.0.1:6379", "", "BUS_URL"),
        ("--address 10.0.0.1:6379 --name a.b", "nats://10.0.0.1:4222", "--name 'a.b'"),
        ("--address 10.0.0.1:6379 --gpus-per-worker -1", "nats://10.0.0.1:4222", "--gpus-per-worker -1"),
        ("", "nats://10.0.0.1:4222", "--address"),
        ("--address 10.0.0.1:6379", "nats://10.0.0.1:4222", "token"),
        ("--address 10.0.0.1:6379 --min 3 --max 2", "nats://10.0.0.1:4222", "--min 3 --max 2"),
    ],
)
def test_the_command_refuses_what_cant_be_meant(
    words: str, bus: str, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load({"BUS_URL": bus, "DATA_DIR": str(tmp_path)}, Path("/nowhere"))
    with pytest.raises(SettingsError) as caught:
        launch(settings, _parser().parse_args(["workers", "ray", *words.split()]))
    assert problem in " ".join(caught.value.problems)


def test_a_head_that_takes_a_connection_and_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "HEAD_PATIENCE", 0.5)
    monkeypatch.setattr(on_ray, "WITHOUT_TOKEN", "import time; time.sleep(60)")
    with pytest.raises(ClusterError, match=r"10.0.0.1:6379 says nothing"):
        on_ray._lets_everybody_in("10.0.0.1:6379")
