"""The container and the service, as far as they can be checked without building or starting them. A check
whose tool isn't here is skipped and says so; ``make deploy-check`` fetches the linter first."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.settings import ROOT, env_example

UNIT = ROOT / "deploy" / "atelier.service"


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What the command printed; fails the test if the command fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} isn't installed")
    return found


def test_the_dockerfile_passes_its_linter() -> None:
    assert _run(_tool("hadolint"), "Dockerfile").strip() == ""


def test_the_container_runs_without_root_and_stops_and_reports_as_the_program_does() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.+)$", text, re.M) == ["1000:1000"]
    assert "STOPSIGNAL SIGTERM" in text and "HEALTHCHECK" in text and "/healthz" in text


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """It also looks whether the program is there, which an installed clone would have."""
    text = UNIT.read_text(encoding="utf-8")
    text, count = re.subn(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.M)
    text = re.sub(r"^User=.+", "User=root", text, flags=re.M)
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    assert count == 1
    assert _run(_tool("systemd-analyze"), "verify", tmp_path / UNIT.name).strip() == ""


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")])
def test_compose_takes_its_files(files: tuple[str, ...], tmp_path: Path) -> None:
    docker = _tool("docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True, timeout=60).returncode:
        pytest.skip("docker has no compose")
    for name in files:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".env").write_text(env_example(), encoding="utf-8")
    _run(docker, "compose", *(part for name in files for part in ("-f", name)), "config", cwd=tmp_path)


def test_compose_names_the_service_that_the_card_is_given_to_and_lets_it_end_in_time() -> None:
    base, card = (yaml.safe_load((ROOT / name).read_text()) for name in ("compose.yaml", "compose.gpu.yaml"))
    assert card["services"].keys() <= base["services"].keys() == {"atelier"}
    grace = re.search(r"^GRACE_SECONDS=(\d+)$", env_example(), re.M)
    stop = base["services"]["atelier"]["stop_grace_period"]
    unit = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(encoding="utf-8"), re.M)
    assert grace and unit
    assert int(grace[1]) < min(int(stop.removesuffix("s")), int(unit[1]))
