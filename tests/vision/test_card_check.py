"""The check of a card: each measurement on tiny models here, and a run that goes on where it was."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.vision.video import tiny_videos
from tools import card_check
from tools.card_check import MEASUREMENTS, Card, Row, in_a_process, main, measure, run_all, table
from vision.weights import memory

TINY = {
    "flux2-klein-4b": "flux2-klein",
    "z-image-turbo": "z-image",
    "stable-diffusion-xl": "stable-diffusion-xl",
    "qwen3-vl-2b": "qwen3-vl",
    "vit": "vit",
}


@pytest.fixture
def models(folders: dict[str, Path], tmp_path: Path) -> Path:
    """Tiny models by the names of the large ones."""
    root = tmp_path / "models"
    root.mkdir()
    for name, tiny in TINY.items():
        (root / name).symlink_to(folders[tiny])
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*MEASUREMENTS} - {"film", "reckoned"}))
def test_a_measurement_runs_on_tiny_models(
    name: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "installed", lambda device: frozenset())  # compiling takes minutes here
    found = measure(name, Card("cpu", tmp_path, models))
    told = [f"{row['what']}: {row['measured']}" for row in found["rows"]]
    assert told and not [one for one in told if "Error" in one], told
    if name in ("stays", "large", "teaching"):  # what no clock decides
        assert all(row["ok"] is not False for row in found["rows"]), told


@pytest.mark.slow
def test_a_film_is_timed(models: Path, tmp_path: Path) -> None:
    tiny_videos.save("wan-5b", models / card_check.FILM)
    (row,) = measure("film", Card("cpu", tmp_path, models))["rows"]
    assert row["ok"] is None and "Error" not in row["measured"], row


@pytest.mark.slow
def test_the_command_measures_in_processes_and_writes_the_table(models: Path, tmp_path: Path, capsys) -> None:
    given = ["looks", "--out", str(tmp_path), "--models", str(models), "--device", "cpu"]
    assert main(given) == 0
    assert "| looks | variations and enlarged pictures" in capsys.readouterr().out
    assert (tmp_path / "card-check.md").read_text().startswith("# ")


def row(what: str, ok: bool | None = True) -> dict:
    return {"seconds": 1.0, "rows": [card_check.asdict(Row(what, "1", "1", ok))]}


def test_what_was_measured_is_not_measured_again_and_the_time_ends_it(tmp_path: Path) -> None:
    begun: list[str] = []

    def begin(name: str, seconds: float) -> dict:
        begun.append(name)
        return row(name)

    assert run_all(["stays"], tmp_path, begin, 30, "a card")["found"] == {"stays": row("stays")}
    run_all(["stays", "half"], tmp_path, begin, 30, "a card")
    assert begun == ["stays", "half"]
    run_all(["stays", "half", "film"], tmp_path, begin, 0, "a card")
    assert begun == ["stays", "half"], "no time was left"
    run_all(["stays"], tmp_path, begin, 30, "another card")
    assert begun[2:] == ["stays"]
    assert json.loads((tmp_path / "card-check.json").read_text())["device"] == "another card"


def test_a_measurement_that_fails_is_a_line_and_stops_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(card: Card) -> None:
        card.tell("first", "1")
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    monkeypatch.setitem(MEASUREMENTS, "half", broken)
    rows = measure("half", Card("cpu", tmp_path, tmp_path))["rows"]
    assert [(one["what"], one["ok"]) for one in rows] == [("first", None), ("half", False)]
    assert rows[1]["measured"] == "RuntimeError: CUDA error: an illegal memory access"
    text = table({"device": "a card", "found": {"half": {"rows": rows}}})
    assert "| half | half | RuntimeError: CUDA error: an illegal memory access |  | **no** |" in text


@pytest.mark.slow
def test_a_process_that_ends_without_a_word_is_a_line(tmp_path: Path) -> None:
    found = in_a_process("nothing", 60, ["--out", str(tmp_path)], tmp_path)  # there is no such measurement
    assert found["rows"][0]["ok"] is False and "ended with 2; see nothing.log" in found["rows"][0]["measured"]


def test_a_model_for_which_the_disk_has_no_room_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(card_check.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    rows = measure("half", Card("cpu", tmp_path, tmp_path))["rows"]
    assert "z-image-turbo takes 21 GB of disk" in rows[0]["measured"] and not list(tmp_path.iterdir())
