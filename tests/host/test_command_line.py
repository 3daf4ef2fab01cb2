"""Sub-commands that a host types: what they say of themselves, models, backup and restore."""

import os
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from core.settings import ROOT, load_settings
from host import app, cli
from storage.database import open_database
from vision import describe_models


def _atelier(data_dir: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(data_dir), **settings}
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
async def test_a_damaged_database_is_named_at_the_start_and_restored_on_request(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path)}, tmp_path / "none.env")
    async with open_database(settings.database, tmp_path / "backups"):
        pass
    made = _atelier(tmp_path, "backup")
    assert made.returncode == 0 and "Copied to" in made.stdout
    file = tmp_path / "atelier.db"
    data = bytearray(file.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    file.write_bytes(data)
    started = _atelier(tmp_path, "run")
    assert started.returncode == 1 and "restore" in started.stderr and "Traceback" not in started.stderr
    restored = _atelier(tmp_path, "restore")
    assert restored.returncode == 0, restored.stderr
    async with open_database(settings.database, tmp_path / "backups"):
        pass


@pytest.mark.slow
def test_a_sound_database_is_replaced_only_on_demand(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "atelier.db").close()
    assert _atelier(tmp_path, "backup").returncode == 0
    before = (tmp_path / "atelier.db").stat().st_ino
    asked = _atelier(tmp_path, "restore")
    assert asked.returncode == 1 and "is fine" in asked.stdout and "Nothing was changed" in asked.stdout
    assert (tmp_path / "atelier.db").stat().st_ino == before and not list(tmp_path.glob("*.replaced-*"))
    assert "no backup nowhere" in _atelier(tmp_path, "restore", "--yes", "nowhere").stderr
    (name,) = os.listdir(tmp_path / "backups")
    with closing(sqlite3.connect(tmp_path / "backups" / "old.db")) as old, old:
        old.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
    refused = _atelier(tmp_path, "restore", "--yes", "old.db")
    assert refused.returncode == 1 and "old.db has schema 0001" in refused.stderr
    assert (tmp_path / "atelier.db").stat().st_ino == before
    assert f"{name} is now the database" in _atelier(tmp_path, "restore", "--yes", name).stdout
    assert list(tmp_path.glob("atelier.db.replaced-*")) and not list(tmp_path.glob("*.damaged-*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["what?now a#b", "50%25"])
async def test_a_data_folder_with_any_name_holds_the_database_and_its_backups(tmp_path, name: str) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path / name)}, tmp_path / "none.env")
    async with open_database(settings.database, settings.backups):
        pass
    assert (tmp_path / name / "atelier.db").is_file() and [path.name for path in tmp_path.iterdir()] == [name]
    made = _atelier(tmp_path / name, "backup")
    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / name / "backups").iterdir())) == 1


@pytest.mark.slow
def test_a_backup_lies_where_the_host_wants_backups(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "atelier.db").close()
    made = _atelier(tmp_path, "backup", BACKUP_DIR=str(tmp_path / "other disk"))
    assert made.returncode == 0 and not (tmp_path / "backups").exists()
    assert len(list((tmp_path / "other disk").iterdir())) == 1


def test_each_command_says_in_its_help_what_it_does_and_how_it_is_typed(capsys) -> None:
    parser = cli.parser()
    names = re.findall(r"^    ([\w-]+)", parser.format_help(), re.MULTILINE)
    assert {"run", "doctor", "models", "restore", "workers"} <= set(names)
    for name in names:
        with pytest.raises(SystemExit):
            parser.parse_args([name, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        example = told.partition("For example: ")[2].partition(" > ")[0]
        assert re.search(r" [A-Z][^\[\]]+\. (positional|options)", told), told
        words = [word for word in shlex.split(example) if "=" not in word]
        assert words[:2] == ["atelier", name] and parser.parse_args(words[1:]).command == name, example


def test_a_port_that_somebody_has_stops_the_start_before_a_worker_begins(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for name in ("WEB_PORT", "METRICS_PORT", "SANDBOX_PORT"):
            run = _atelier(tmp_path, "sandbox", **{name: port})
            assert run.returncode == 1 and "worker for" not in run.stderr, run.stderr
            told = f"{name}={port}: that port of 127.0.0.1 is taken by"
            assert told in run.stderr and f"(process {os.getpid()})" in run.stderr


def test_models_are_told_before_any_is_loaded(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PHOTO_READERS", "off")
    monkeypatch.setenv("VIT_MODEL", "owner/name")
    seen = list[str]()

    def tried(models, cache, **how):
        for role in models:
            seen.append(capsys.readouterr().out)
            yield role, None
            seen.append(capsys.readouterr().out)
            yield role, "it is cut off" if role == "clip" else ""

    monkeypatch.setattr(describe_models, "try_models", tried)
    assert cli.main(["models"]) == 1
    assert "image      stable-diffusion\n" in seen[0] and "are loaded now" in seen[0]
    assert "vit        owner/name\n           isn't downloaded yet; the first job" in seen[0]
    assert " 0 MB" not in seen[0] and "?" not in seen[0]
    assert seen[1] == "image      … " and "it is cut off\n" in seen[4]


def test_restoring_without_a_backup_says_so(tmp_path: Path) -> None:
    run = _atelier(tmp_path, "restore")
    assert run.returncode == 1 and "no intact backup" in run.stderr


def test_a_backup_of_nothing_says_so_and_makes_nothing(tmp_path: Path) -> None:
    run = _atelier(tmp_path / "typo", "backup")
    assert run.returncode == 1 and "no database at" in run.stderr and not (tmp_path / "typo").exists()


async def test_a_running_studio_keeps_a_backup_of_the_day(tmp_path: Path) -> None:
    from tests.bot.conftest import open_studio

    async with open_studio(tmp_path) as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
        assert list((tmp_path / "backups").glob("*daily.db"))
    async with open_studio(tmp_path):
        pass
    assert len(list((tmp_path / "backups").glob("*daily.db"))) == 1


async def test_a_disk_whose_clock_is_days_behind_is_not_filled_with_backups(tmp_path: Path) -> None:
    from tests.bot.conftest import open_studio

    def back_dated(source: object, target: Path) -> None:
        replace(source, target)
        os.utime(target, (time.time() - 3 * 86400,) * 2)

    replace = os.replace
    with mock.patch("storage.engines.sqlite.os.replace", back_dated):
        async with open_studio(tmp_path) as studio:
            await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert len(list((tmp_path / "backups").glob("*daily.db"))) == 1


@pytest.mark.parametrize("words", [["run"], ["sandbox"], []])
def test_a_studio_is_adopted_only_where_the_host_says_so(words: list[str], monkeypatch) -> None:
    asked = list[bool]()
    monkeypatch.setattr(app, "run", lambda settings, *, adopt, **given: asked.append(adopt) or 0)
    assert cli.main(words) == 0 and (not words or cli.main([*words, "--adopt"]) == 0)
    assert asked == [False, True][: 1 + len(words)]
