"""Copies of quantised models on the disk: whole or not there, of models as they are, and few."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vision.weights import copies


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"as it is")
    return folder


@pytest.fixture(autouse=True)
def large_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies.shutil, "disk_usage", lambda path: disk(10**12))


def disk(free: int) -> SimpleNamespace:
    return SimpleNamespace(total=2 * 10**12, free=free)


def save(folder: Path) -> None:
    (folder / "transformer").mkdir()
    (folder / "transformer" / "weights").write_bytes(b"quantised")


def test_a_copy_is_found_again_by_the_model_and_by_how_it_is_held(house: Path, tmp_path: Path) -> None:
    root = tmp_path / "copies"
    assert copies.find(root, house, "int8") is None
    copies.write(root, house, "int8", 9, save)
    found = copies.find(root, house, "int8")
    assert found is not None and (found / "transformer" / "weights").read_bytes() == b"quantised"
    assert copies.find(root, house, "nf4") is None


@pytest.mark.parametrize("gone", [False, True])
def test_a_copy_of_a_model_that_changed_or_is_gone_is_removed(
    house: Path, tmp_path: Path, gone: bool
) -> None:
    root, file = tmp_path / "copies", house / "weights.safetensors"
    copies.write(root, house, "int8", 9, save)
    file.unlink() if gone else file.write_bytes(b"another")
    assert copies.find(root, root, "int8") is None, "whichever model is asked for"
    assert list(root.iterdir()) == []


def test_what_dies_while_it_writes_leaves_no_copy(house: Path, tmp_path: Path) -> None:
    root = tmp_path / "copies"

    def killed(folder: Path) -> None:
        save(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copies.write(root, house, "int8", 9, killed)
    assert copies.find(root, house, "int8") is None
    half = root / ".part-of-one-that-was-killed"
    half.mkdir()
    os.utime(half, (0, 0))
    copies.write(root, house, "int8", 9, save)
    assert not half.exists() and copies.find(root, house, "int8") is not None


def test_a_second_process_that_was_as_quick_changes_nothing(house: Path, tmp_path: Path, caplog) -> None:
    root = tmp_path / "copies"

    def late(folder: Path) -> None:
        copies.write(root, house, "int8", 9, save)  # the other one
        (folder / "mine").write_bytes(b"")

    copies.write(root, house, "int8", 9, late)
    found = copies.find(root, house, "int8")
    assert found is not None and not (found / "mine").exists()
    assert "no copy of what was quantised is kept" in caplog.text


def test_a_short_disk_keeps_none(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies.shutil, "disk_usage", lambda path: disk(201 * 10**9))
    copies.write(tmp_path / "copies", house, "int8", 2 * 10**9, save)
    assert copies.find(tmp_path / "copies", house, "int8") is None
    copies.write(tmp_path / "copies", house, "int8", 10**9, save)
    assert copies.find(tmp_path / "copies", house, "int8") is not None


def test_the_one_that_was_used_longest_ago_goes_first(house: Path, tmp_path: Path) -> None:
    root = tmp_path / "copies"
    for number in range(copies.MOST):
        copies.write(root, house, str(number), 9, save)
        found = copies.find(root, house, str(number))
        assert found is not None
        os.utime(found / copies.ABOUT, (number, number))
    assert copies.find(root, house, "0") is not None  # used again
    copies.write(root, house, "more", 9, save)
    left = [how for how in ("0", "1", "2", "3", "more") if copies.find(root, house, how)]
    assert left == ["0", "2", "3", "more"]
