"""Downloads that are cut off, slow, or meet no network; the hub itself is played."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from core.errors import ModelError
from core.profiles import DEMO
from vision.weights import files, hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = files.parse(f"owner/name@{COMMIT}")
MODEL = DEMO / "stable-diffusion"


class Killed(BaseException):
    """Ends the process in the middle of a download."""


class PlayedHub:
    """Hands out the demo model file by file. ``cut_at``: ends the process before that file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder, self.cut_at, self.handed = folder, "", []
        self.names = [str(p.relative_to(MODEL)) for p in MODEL.rglob("*") if p.is_file()]
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda token=None: self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.hand)

    def model_info(self, name: str, revision: str | None, files_metadata: bool) -> SimpleNamespace:
        files = [SimpleNamespace(rfilename=n, size=(MODEL / n).stat().st_size) for n in self.names]
        return SimpleNamespace(sha=COMMIT, siblings=files)

    def hand(self, repo: str, name: str, *, tqdm_class: type, **how: object) -> None:
        if name == self.cut_at:
            raise Killed
        self.handed.append(name)
        target = self.folder / "hub" / "models--owner--name" / "snapshots" / COMMIT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        size = (MODEL / name).stat().st_size
        with tqdm_class(total=size, initial=0, desc=name, disable=False, name="huggingface_hub.x") as bar:
            for _ in range(4):
                bar.update(size // 4)
        shutil.copy(MODEL / name, target)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayedHub:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return PlayedHub(monkeypatch, tmp_path)


def largest(names: list[str]) -> list[str]:
    return sorted((n for n in names if n.endswith(".safetensors")), key=lambda n: (MODEL / n).stat().st_size)


@pytest.mark.parametrize("number", range(2))
def test_a_download_that_was_cut_off_goes_on_at_the_next_try(played, tmp_path, number: int) -> None:
    played.cut_at = largest(played.names)[-1 - number]
    with pytest.raises(Killed):
        hub.fetch(SOURCE, tmp_path)
    assert hub.complete_snapshot(SOURCE, tmp_path) is None
    played.cut_at = ""
    folder = hub.fetch(SOURCE, tmp_path)
    assert hub.complete_snapshot(SOURCE, tmp_path) == folder
    assert not [n for n in played.names if n.endswith(".safetensors") and not (folder / n).is_file()]


def test_a_model_cut_off_by_another_program_is_not_taken_for_complete(played: PlayedHub, tmp_path) -> None:
    played.cut_at = largest(played.names)[-1]
    with pytest.raises(Killed):
        hub.fetch(SOURCE, tmp_path)
    (tmp_path / hub.LOCK_FILE).unlink()
    assert hub.complete_snapshot(SOURCE, tmp_path) is None


def test_a_large_file_reports_while_it_comes(played: PlayedHub, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hub, "REPORT_EVERY", 0.0)
    said: list[float] = []
    hub.fetch(SOURCE, tmp_path, report=said.append)
    assert said == sorted(said) and said[-1] == 1.0
    share = (MODEL / largest(played.names)[-1]).stat().st_size / sum(
        (MODEL / n).stat().st_size for n in played.handed
    )
    assert sum(fraction > 1 - share for fraction in said) >= 4, "of the largest file alone"


def test_a_machine_without_a_network_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    base = HfHubHTTPError.__bases__[0]
    error = type("ConnectError", (base,), {"__init__": lambda self: Exception.__init__(self, "no route")})()
    assert not isinstance(error, OSError)

    class Offline:
        def __init__(self, token: str | None = None) -> None: ...

        def model_info(self, *_: object, **__: object) -> None:
            raise error

    monkeypatch.setattr(huggingface_hub, "HfApi", Offline)
    with pytest.raises(ModelError, match="can't be fetched: no route"):
        hub.fetch(SOURCE, tmp_path)
