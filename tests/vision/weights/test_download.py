"""Downloads that are cut off, slow, damaged or refused, or meet no network and no room on the disk."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from filelock import FileLock
from safetensors.numpy import save_file

from core.errors import ModelError, NotFetched
from core.settings import ROOT
from tests.support.hub import COMMIT, Hub, serving
from vision.weights import files, hub

SOURCE = files.parse(f"owner/name@{COMMIT}")
FETCH = """
import pathlib, sys
from vision.weights import files, hub
hub.fetch(files.parse(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


class Usage(NamedTuple):
    """Of a disk, bytes."""

    total: int
    used: int
    free: int


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with a pipeline of two parts, of 300 and 100 kB."""
    folder = tmp_path_factory.mktemp("hub")
    parts = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **parts}))
    for part, count in (("unet", 75_000), ("vae", 25_000)):
        (folder / part).mkdir()
        (folder / part / "config.json").write_text("{}")
        weights = {"weight": np.random.default_rng(count).random(count, np.float32)}
        save_file(weights, folder / part / "diffusion_pytorch_model.safetensors")
    with serving(folder, monkeypatch) as found:
        yield found


def size_of(played: Hub, name: str) -> int:
    return (played.folder / name).stat().st_size


def asked_for(played: Hub, name: str) -> list[int]:
    return [begun for handed, begun in played.handed if handed == name]


@pytest.mark.parametrize("place", range(2))
def test_what_was_cut_off_goes_on_at_the_byte_where_it_ended(played: Hub, tmp_path: Path, place: int) -> None:
    name = played.largest(place)
    played.cuts[name] = [10_000, *[0] * hub.TRIES]
    with pytest.raises(NotFetched, match="owner/name can't be downloaded: "):
        hub.fetch(SOURCE, tmp_path)
    assert hub.complete_snapshot(SOURCE, tmp_path) is None
    assert asked_for(played, name) == [0, *[10_000] * hub.TRIES]
    played.handed.clear()
    folder = hub.fetch(SOURCE, tmp_path)
    assert asked_for(played, name) == [10_000], "what had come wasn't asked for again"
    assert hub.complete_snapshot(SOURCE, tmp_path) == folder
    assert all(
        (folder / one).read_bytes() == (played.folder / one).read_bytes()
        for one in (name, "model_index.json")
    )
    assert not list(folder.rglob("*.part"))


def test_a_process_that_is_killed_leaves_what_had_come_to_the_next(played: Hub, tmp_path: Path) -> None:
    name = played.largest()
    played.slow, played.rate = name, 50_000.0
    process = subprocess.Popen([sys.executable, "-c", FETCH, SOURCE.spec, str(tmp_path)], cwd=ROOT)
    folder = tmp_path / "hub" / "models--owner--name" / "snapshots" / COMMIT
    part = folder / f"{name}.part"
    while not (part.is_file() and part.stat().st_size):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    come, played.rate = part.stat().st_size, 0.0
    assert 0 < come < size_of(played, name)
    played.handed.clear()
    assert hub.fetch(SOURCE, tmp_path) == folder
    assert asked_for(played, name) == [come]


def test_a_broken_line_that_brings_something_each_time_is_asked_again_and_again(played, tmp_path) -> None:
    name = played.largest()
    step = size_of(played, name) // (3 * hub.TRIES) + 1
    played.cuts[name] = [step] * 4 * hub.TRIES
    hub.fetch(SOURCE, tmp_path)
    assert len(asked_for(played, name)) == 3 * hub.TRIES


def test_a_model_cut_off_by_another_program_is_not_taken_for_complete(played: Hub, tmp_path: Path) -> None:
    folder = hub.fetch(SOURCE, tmp_path)
    (tmp_path / hub.LOCK_FILE).unlink()
    assert hub.complete_snapshot(SOURCE, tmp_path) == folder
    (folder / played.largest()).unlink()
    assert hub.complete_snapshot(SOURCE, tmp_path) is None


def test_a_slow_line_is_reported_as_it_comes_and_the_share_never_goes_back(
    played, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(hub, "REPORT_EVERY", 0.0)
    name, said = played.largest(), list[float]()
    played.cuts[name] = [20_000, 30_000]
    hub.fetch(SOURCE, tmp_path, report=said.append)
    assert said == sorted(said) and said[-1] == 1.0
    share = size_of(played, name) / sum(size_of(played, name) for name in {name for name, _ in played.handed})
    assert sum(fraction > 1 - share for fraction in said) >= 8, "of the largest file alone"


def test_a_part_of_another_version_is_no_part_of_the_model(played: Hub, tmp_path: Path) -> None:
    name = played.largest()
    part = tmp_path / "hub" / "models--owner--name" / "snapshots" / COMMIT / f"{name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 5000)
    with pytest.raises(NotFetched, match="arrived damaged"):
        hub.fetch(SOURCE, tmp_path)
    assert not part.exists()
    hub.fetch(SOURCE, tmp_path)


def test_two_workers_of_a_machine_fetch_a_model_once_and_both_say_how_far_it_is(played, tmp_path) -> None:
    said: list[list[float]] = [[], []]
    played.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(hub.fetch, SOURCE, tmp_path, report=one.append) for one in said]
        while not any(said):
            time.sleep(0.01)
        played.gate.set()
        assert both[0].result() == both[1].result()
    assert len(played.handed) == len({name for name, _ in played.handed})
    assert [one[-1] for one in said] == [1.0, 1.0]


def test_who_waits_for_another_process_reports_what_has_come(played, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hub, "REPORT_EVERY", 0.01)
    lock = tmp_path / "hub" / ".locks" / "models--owner--name" / f"{COMMIT}.lock"
    lock.parent.mkdir(parents=True)
    said: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        with FileLock(lock):
            waits = pool.submit(hub.fetch, SOURCE, tmp_path, report=said.append)
            while len(said) < 3:
                time.sleep(0.01)
            assert not played.handed
        waits.result()
    assert said == sorted(said) and said[-1] == 1.0


REFUSED = [
    (
        "GatedRepo",
        NotFetched,
        "only to those who accept its licence: .*huggingface.co/owner/name and to set HF_TOKEN",
    ),
    ("RepoNotFound", ModelError, "The hub has no owner/name, or not for everyone: .* HF_TOKEN"),
    ("RevisionNotFound", ModelError, f"owner/name has no revision {COMMIT}"),
    (503, NotFetched, "the hub answers 503"),
    (429, NotFetched, "the hub answers 429"),
]


@pytest.mark.parametrize(("refuses", "kind", "told"), REFUSED)
def test_what_the_hub_refuses_is_told_with_what_to_do(played, tmp_path, refuses, kind, told) -> None:
    played.refuses = refuses
    with pytest.raises(ModelError, match=told) as caught:
        hub.fetch(SOURCE, tmp_path)
    assert type(caught.value) is kind


@pytest.mark.parametrize("proxy", [False, True])
def test_without_a_network_the_sentence_says_where_to_look(tmp_path, monkeypatch, proxy: bool) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(NotFetched, match="The operator needs to check this machine's network") as caught:
        hub.fetch(SOURCE, tmp_path)
    assert ("HTTPS_PROXY" in str(caught.value)) is proxy


def test_where_the_hub_is_forbidden_nothing_is_waited_for(played, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids .* `hf download owner/name`") as caught:
        hub.fetch(SOURCE, tmp_path)
    assert type(caught.value) is ModelError


def test_a_disk_without_room_is_told_in_numbers_before_the_weights_come(
    played, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**10, 10**10 - 10**6, 10**6))
    with pytest.raises(NotFetched, match=r"needs 1\.0 GB of disk .* 0\.0 GB are free: .*HF_HOME"):
        hub.fetch(SOURCE, tmp_path)
    assert {name for name, _ in played.handed} == {"model_index.json"}
    monkeypatch.undo()


def test_a_disk_that_is_full_in_the_middle_is_told_and_nothing_is_lost(played, tmp_path, monkeypatch) -> None:
    name = played.largest()
    part = tmp_path / "hub" / "models--owner--name" / "snapshots" / COMMIT / f"{name}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")  # which takes nothing
    with pytest.raises(
        NotFetched, match="can't be stored: the disk is full. The operator needs to check the disk"
    ):
        hub.fetch(SOURCE, tmp_path)
    part.unlink()
    played.handed.clear()
    hub.fetch(SOURCE, tmp_path)
    assert {one for one, _ in played.handed} == {name}


def test_of_a_pipeline_only_its_own_parts_are_fetched(played: Hub, tmp_path: Path) -> None:
    shutil.copytree(played.folder / "vae", played.folder / "vae_1_0")
    folder = hub.fetch(SOURCE, tmp_path / "cache")
    assert (folder / "vae").is_dir() and not (folder / "vae_1_0").exists()


def test_a_name_that_leads_out_of_the_folder_is_no_file_of_a_model(played: Hub, tmp_path: Path) -> None:
    played.more = ["../evil.json", "/evil.json", "..\\evil.json", "vae/../../evil.json", "vae/..", ".."]
    folder = hub.fetch(SOURCE, tmp_path)
    assert not [name for name, _ in played.handed if "evil" in name]
    assert sorted(path.name for path in folder.parent.iterdir()) == [COMMIT]


def test_another_commit_than_the_one_that_is_meant_is_not_fetched(played: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="names another commit"):
        hub.fetch(files.parse(f"owner/name@{'f' * 40}"), tmp_path)
    assert not played.handed


@pytest.mark.parametrize(
    ("name", "told"), [("Qwen/Qwen-Image-2.1", "not for commercial use"), ("owner/name", "")]
)
def test_a_licence_with_conditions_is_told_before_the_first_byte(
    played, tmp_path, caplog, name, told
) -> None:
    played.refuses = 503
    with contextlib.suppress(ModelError):
        hub.fetch(files.parse(name), tmp_path)
    assert (told in caplog.text) if told else not caplog.text
