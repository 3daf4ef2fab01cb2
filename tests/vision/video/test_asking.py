"""/video by film models: what their own card leaves open is filled in, and films come out whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.events import Film, Output
from core.requests.video import VideoRequest
from tests import tiny
from tests.vision.conftest import Recorder
from tests.vision.video import tiny_films
from vision.capabilities import video
from vision.protocol import WorkerConfig
from vision.store import Models
from vision.video.generate import load_ends
from vision.video.reader import FilmReader

SHA, SHA_2, CLIP, CLIP_ENDS = (letter * 64 for letter in "abcd")


@pytest.fixture(scope="module")
def models(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Models]:
    """Family → models of a worker with a film model of it."""
    root = tmp_path_factory.mktemp("asked")
    made = {}
    for name in ("ltx", "ltx2", "wan", "animatediff"):
        specs = {"image": str(folders["stable-diffusion"]), "video": str(tiny_films.save(name, root / name))}
        made[name] = Models(WorkerConfig("cpu", specs, str(root / "cache"), cpu_threads=1))
    return made


@pytest.fixture
def ask(models: dict[str, Models], tmp_path: Path) -> Callable[..., Output]:
    """Make films of a family's model from a request, with the files that it names."""
    made = iter(range(100))

    def run(family: str, paths: dict[str, str] | None = None, **more) -> Output:
        request = VideoRequest(**{"prompt": "a red ball", "seconds": 0.5, "seed": 7, **more})
        folder = tmp_path / f"job{next(made)}"
        folder.mkdir()
        return video.run(request, paths or {}, models[family], Recorder(), folder)

    return run


def length(film: Film) -> int:
    with Path(film.path).open("rb") as file, FilmReader(file) as reader:
        count = sum(len(chunk) for chunk in reader.chunks())
    assert count == film.frames
    return count


def picture(tmp_path: Path, size: tuple[int, int] = (96, 64)) -> str:
    path = tmp_path / "picture.png"
    tiny.picture(*size).save(path)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "step"), [("ltx", 8), ("wan", 4), ("animatediff", 1)])
def test_words_become_a_film_of_a_length_that_the_family_has(ask, family: str, step: int) -> None:
    output = ask(family)
    [film] = output.films
    assert (length(film) - 1) % step == 0
    assert (film.seed, film.width % 2, film.height % 2) == (7, 0, 0)
    assert film.width > film.height
    assert output.parameters["model"]
    assert output.parameters["fps"] == film.fps


def test_a_set_has_seeds_that_count_up(ask) -> None:
    assert [film.seed for film in ask("animatediff", num_images=2).films] == [7, 8]


def test_a_film_of_a_picture_has_its_shape(ask, tmp_path) -> None:
    film = ask("animatediff", {SHA: picture(tmp_path)}, image=SHA).films[0]
    assert film.width / film.height == pytest.approx(1.5, rel=0.2)


def test_a_film_goes_on_from_the_latents_that_were_kept_of_it(ask) -> None:
    before = ask("ltx").films[0]
    assert set(load_ends(Path(before.ends), "ltx")) == {"head", "tail"}
    after = ask(
        "ltx",
        {CLIP: before.path, CLIP_ENDS: before.ends},
        operation="extend",
        clip=CLIP,
        clip_ends=CLIP_ENDS,
    ).films[0]
    assert length(after) > before.frames
    assert (after.width, after.height, after.fps) == (before.width, before.height, before.fps)


@pytest.mark.parametrize("operation", ["extend_back", "loop", "remix"])
def test_other_operations_keep_the_size_of_the_film(ask, operation: str) -> None:
    before = ask("ltx").films[0]
    after = ask("ltx", {CLIP: before.path}, operation=operation, clip=CLIP).films[0]
    assert (after.width, after.height) == (before.width, before.height)
    assert length(after) == before.frames if operation == "remix" else length(after) > before.frames


def test_a_clip_of_another_size_keeps_it(ask, tmp_path) -> None:
    before = ask("animatediff", {SHA: picture(tmp_path, (90, 70))}, image=SHA).films[0]
    after = ask("ltx", {CLIP: before.path, CLIP_ENDS: before.ends}, operation="extend", clip=CLIP).films[0]
    assert (after.width, after.height) == (before.width, before.height)


def test_what_a_family_can_not_do_is_refused_with_the_reason(ask, tmp_path) -> None:
    with pytest.raises(UserError, match="can't do"):
        ask("wan", {SHA: picture(tmp_path)}, image=SHA)


def test_what_has_no_effect_is_said(ask) -> None:
    notes = ask("animatediff", sound=True, fps=30, seconds=0.52).parameters["notes"]
    assert any("no sound" in note for note in notes)
    assert any("0.52 s became" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [None, False])
def test_a_model_that_draws_sound_gives_its_film_some_unless_it_is_to_be_silent(ask, wanted) -> None:
    film = ask("ltx2", sound=wanted).films[0]
    with Path(film.path).open("rb") as file, FilmReader(file) as reader:
        assert reader.has_sound == film.sound == (wanted is None)


def test_frames_of_a_remix_are_all_drawn_anew(ask) -> None:
    before = ask("animatediff").films[0]
    after = ask("animatediff", {CLIP: before.path}, operation="remix", clip=CLIP, strength=1.0).films[0]
    old, new = (_first(film) for film in (before, after))
    assert np.abs(old - new).mean() > 5


def _first(film: Film) -> np.ndarray:
    with Path(film.path).open("rb") as file, FilmReader(file) as reader:
        return np.asarray(Image.fromarray(next(reader.chunks(1))[0]), float)
