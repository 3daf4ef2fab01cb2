"""The benchmarks' own honesty: equality checks that can fail, missed goals that are shown. Nothing is timed
here."""

import argparse
import logging
import random
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import __main__ as bench
from benchmarks import report, serving
from benchmarks.measure import (
    ROUNDED,
    Chart,
    Figure,
    Goal,
    Result,
    Unequal,
    apart,
    check,
    interleaved,
    mean_apart,
)
from benchmarks.models import DEMO, image_model, tiny_image_model
from benchmarks.rows import LONGEST_FIRST, ROWS, exactness, row
from benchmarks.rows.bot import PARTS
from benchmarks.serving import Mix, Run, Served, at_once, poisson
from core.settings import ROOT
from vision.engine.engine import Passes
from vision.families import Mode
from vision.images import encode

MIX = Mix(steps=((4, 0.5), (8, 0.5)), guidances=(1.0, 5.0), side=64)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "differences", [[0.1, 3.0], [float("nan")], []], ids=["too far apart", "not a number", "nothing compared"]
)
def test_an_inequality_ends_a_row(differences: list[float]) -> None:
    with pytest.raises(Unequal):
        check("pictures", differences, 2.0)


def test_a_wrong_picture_of_one_way_is_noticed() -> None:
    asks = poisson(MIX, 3, 1.0, seed=0)

    def run(level: int) -> Run:
        return Run(
            [
                Served(ask, picture=np.full((4, 4, 3), level if ask.number == 2 else 7, np.uint8))
                for ask in asks
            ],
            1.0,
        )

    assert serving.same_pictures([{"one by one": run(7), "engine": run(8)}], 2).worst == 1
    with pytest.raises(Unequal):
        serving.same_pictures([{"one by one": run(7), "engine": run(12)}], 2)


@pytest.mark.slow
def test_a_grid_with_one_wrong_seed_is_noticed_and_one_rounded_otherwise_is_not(tmp_path: Path) -> None:
    """What event_loop, redo and serving_tax allow: a level here and there, which enlarging makes several of;
    but not another seed's picture."""
    model = image_model(DEMO, tmp_path)

    def grid(*drawn: Image.Image) -> np.ndarray:
        return np.asarray(encode.draw_sheet([model.enlarged(image) for image in drawn]))

    right, wrong = (
        model.pipeline(Mode.TEXT)(
            "a red house",
            num_inference_steps=4,
            height=128,
            width=128,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]
        for seed in (0, 1)
    )
    level = np.random.default_rng(0).random((128, 128, 3)) < 0.01
    rounded = Image.fromarray((np.asarray(right).astype(int) + level).clip(0, 255).astype(np.uint8))
    assert apart(grid(rounded), grid(right)) > 2 > ROUNDED > mean_apart(grid(rounded), grid(right)) > 0
    with pytest.raises(Unequal):
        check(
            "grids", [mean_apart(grid(right, right, right, wrong), grid(right, right, right, right))], ROUNDED
        )


def test_an_engine_that_confuses_its_jobs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exactness row with passes whose outputs are handed to the wrong jobs."""

    run = Passes.run

    def confused(self: Passes, calls: list[Any]) -> list[Any]:
        outputs = run(self, calls)
        return outputs[::-1] if len({call.count for call in calls}) == 1 else outputs

    model = tiny_image_model("stable-diffusion", tmp_path)
    pool = exactness.request_pool(model, random.Random(0), 6)
    pool = [
        replace(request, generation=request.generation)
        for request in pool
        if request.generation.guidance_scale > 1
    ]

    def worst() -> float:
        found = [exactness.run_trace(model, pool, random.Random(seed))[0] for seed in range(2)]
        return max(
            float((latents - request.latents).abs().max() / request.latents.std())
            for trace in found
            for request, latents, _ in trace
        )

    monkeypatch.setattr(exactness, "FEWEST", 2)
    monkeypatch.setattr(exactness, "MOST", 3)
    assert worst() < exactness.BOUND
    monkeypatch.setattr(Passes, "run", confused)
    assert worst() > exactness.BOUND


def test_all_ways_draw_the_same_trace(tmp_path: Path) -> None:
    model = tiny_image_model("stable-diffusion", tmp_path)
    runs = [serving.serve(model, at_once(poisson(replace(MIX, steps=((2, 0.5), (3, 0.5))), 4, 1.0, seed=1)))]
    assert serving.same_pictures(runs, 2).count == 8
    assert all(0 < one.first <= one.finished for run in runs[0].values() for one in run.served)


def test_a_trace_is_the_same_for_the_same_seed_and_keeps_its_rate() -> None:
    trace = poisson(MIX, 2000, rate=4.0, seed=3)
    assert trace == poisson(MIX, 2000, rate=4.0, seed=3) != poisson(MIX, 2000, rate=4.0, seed=4)
    assert trace[-1].at == pytest.approx(500, rel=0.1)
    assert sum(ask.generation.num_inference_steps for ask in trace) / 2000 == pytest.approx(
        MIX.mean_steps, rel=0.05
    )


def test_every_way_is_called_equally_often() -> None:
    calls: list[str] = []
    costs = interleaved({name: lambda name=name: calls.append(name) for name in "ab"}, 5, rounds=2)
    assert calls.count("a") == calls.count("b") == 11
    assert {len(found) for found in costs.values()} == {5}


def test_a_missed_goal_is_shown_and_rows_are_merged(tmp_path: Path) -> None:
    chart = Chart("ms", {"one": [1.0]})
    figures = (
        Figure("good", (3.0, 2.0, 9.0), "×", goal=Goal(at_least=3)),
        Figure("bad", (3.0,), "%", goal=Goal(at_most=1)),
    )
    entry = report.entry(Result(figures, (), chart), "Title", "nothing", 1.0, {}, 3)
    path = tmp_path / "results.json"
    report.keep(path, "start", entry, ROWS)
    rows = report.keep(path, "image_tail", entry, ROWS)
    assert list(rows) == ["image_tail", "start"] and rows == report.load(path)
    lines = report.table(rows).splitlines()
    assert "| 3 × | 2 to 9, n=3 | CPU | ≥ 3 | yes |" in lines[2] and "**no**" in lines[3]


def test_the_rows_are_those_of_the_modules_and_can_be_measured() -> None:
    modules = {p.stem for p in (ROOT / "benchmarks" / "rows").glob("*.py")} - {"__init__"}
    assert set(ROWS.values()) == modules
    assert set(ROWS) == {
        name for module in modules for name in import_module(f"benchmarks.rows.{module}").ROWS
    }
    assert all(row(name).title and row(name).against and callable(row(name).measure) for name in ROWS)


def test_rows_that_run_side_by_side_are_those_without_a_clock_on_the_wall() -> None:
    kept = report.load(report.FOLDER / "results.json")
    by_the_wall = {
        name for name, row in kept.items() if any(figure["clock"] == "wall" for figure in row["figures"])
    }
    assert set(kept) == set(ROWS) and set(LONGEST_FIRST) == set(ROWS) - by_the_wall


@pytest.mark.slow
def test_rows_side_by_side_are_all_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what a process of its own is told and answers, but here, where torch is loaded."""
    told: list[list[str]] = []

    def here(command: list[str], **_: object) -> SimpleNamespace:
        told.append(command[3:])
        return SimpleNamespace(returncode=bench.main(command[3:]))

    monkeypatch.setattr(bench, "subprocess", SimpleNamespace(run=here, DEVNULL=None))
    monkeypatch.setattr(logging, "disable", lambda level: None)
    options = ("--repeats=1", "--scale=0.1", "--no-save", f"--out={tmp_path}")
    with warnings.catch_warnings():
        assert bench.main(["preview", "image_tail", *options]) in (0, 1)
    assert sorted(name for name, *_ in told) == ["image_tail", "preview"]
    assert list(report.load(tmp_path / "results.json")) == ["image_tail", "preview"]
    table = capsys.readouterr().out.rpartition("| row |")[2]
    assert 0 < table.index("`preview`") < table.index("`image_tail`"), "as they were named"


def test_a_broken_row_beside_another_is_told(tmp_path: Path) -> None:
    arguments = argparse.Namespace(repeats=1, scale=0.1, out=tmp_path)
    assert bench.measure_in_process("no such row", arguments, tmp_path / "x") == bench.BROKEN


def test_the_modules_that_the_start_imports_are_there() -> None:
    names = [name for code in PARTS.values() for name in re.findall(r"\bvision\.\w+", code)]
    assert len(names) >= 2
    assert [name for name in names if find_spec(name) is None] == []
