"""Vectors made beside the jobs and compared by a worker."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.redact import Redactor
from storage.embeddings import Slot, VectorFiles
from tests.vision.conftest import cpu_models
from vision import store
from vision.engine.engine import Engine
from vision.protocol import Answered, Declined, Embed, Nearest, Select
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import nearest, queries
from vision.worker.nearest import nearest as finder_nearest

WIDTH = 8


@pytest.fixture
def vectors(tmp_path: Path) -> np.ndarray:
    """Vectors of unit length, and their file."""
    made = np.random.default_rng(0).standard_normal((60, WIDTH)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    made.tofile(tmp_path / "vectors")
    return made


def bits(*places: int) -> bytes:
    """These places as a question has them."""
    return sum(1 << place for place in {*places}).to_bytes(-(-(max(places, default=-1) + 1) // 8), "little")


def asked(folder: Path, wanted: np.ndarray, places: object, first: object = (), most: int = 5):
    text = [bits(*some) for some in (places, first)]  # type: ignore[misc]
    aims = tuple(one.astype("<f2").tobytes() for one in np.atleast_2d(wanted))
    return finder_nearest(Nearest("q", str(folder / "vectors"), aims, *text, most))[:2]


@pytest.mark.parametrize("places", [range(60), range(3, 40), range(0, 60, 2), range(0, 60, 7)])
def test_the_nearest_are_those_of_a_plain_search(tmp_path: Path, vectors, places, monkeypatch) -> None:
    monkeypatch.setattr(nearest, "EXACT", len(vectors))
    wanted = vectors[5]
    scores = vectors @ wanted
    right = sorted(places, key=lambda place: -scores[place])[:5]
    assert asked(tmp_path, wanted, places) == ((), tuple(right))


def test_those_that_come_first_are_before_others_and_count_once(tmp_path: Path, vectors) -> None:
    wanted = vectors[5]
    scores = vectors @ wanted
    first = (9, 2, 30)
    before, behind = asked(tmp_path, wanted, range(60), first)
    assert before == tuple(sorted(first, key=lambda place: -scores[place]))
    assert behind[0] == 5 and len(behind) == 2 and not set(before) & set(behind)
    assert asked(tmp_path, wanted, range(60), first, most=2) == (before[:2], ())


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Vectors around forty centres beside a common mean, in a file of their model: (5000, 64); three hundred
    are compared exactly."""
    monkeypatch.setattr(nearest, "EXACT", 300)
    monkeypatch.setattr(nearest, "OF_ALL", 300)
    monkeypatch.setattr(nearest, "ROUGH", 1200)
    random = np.random.default_rng(0)
    centres = random.standard_normal((40, 64))[random.integers(0, 40, 5000)]
    made = centres + random.standard_normal((5000, 64)) + 1.5
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made.astype("<f2").astype(np.float32)


def put(folder: Path, vectors: np.ndarray, first: int = 0) -> Path:
    """Write vectors as the studio does, from a place on."""
    files = VectorFiles(folder)
    rows = {first + number: one.astype("<f2").tobytes() for number, one in enumerate(vectors)}
    asyncio.run(files.put("m", rows))
    return files.path("m")


def found(path: Path, aim: np.ndarray, places: object, most: int = 5) -> list[int]:
    known = (aim.astype("<f2").tobytes(),), bits(*places), b"", most  # type: ignore[misc]
    return list(finder_nearest(Nearest("q", str(path), *known)).others)


@pytest.mark.parametrize("step", [1, 3, 7, 11])
def test_of_many_nearly_all_of_the_nearest_are_found_in_order(tmp_path: Path, many, step: int) -> None:
    path, places, hits = put(tmp_path, many), range(0, 5000, step), 0
    for aim in many[::250]:
        right = sorted(places, key=lambda place, aim=aim: -(many[place] @ aim))[:20]
        seen = found(path, aim, places, 20)
        scores = many[seen] @ aim
        assert set(seen) <= set(places) and (np.diff(scores) <= 1e-4 * scores[0]).all()
        assert seen[0] == right[0]
        hits += len({*seen} & {*right})
    assert hits >= 0.97 * 20 * len(many[::250])


def test_what_is_written_at_a_place_anew_is_found_there(tmp_path: Path, many) -> None:
    """A place is used again after a deletion; and the file grows between two questions."""
    path, aim = put(tmp_path, many[:4000]), many[4500]
    other = found(path, aim, range(4000), 1)
    put(tmp_path, 2 * aim[None], 7)
    put(tmp_path, many[4000:], 4000)
    assert found(path, aim, range(5000), 2) == [7, 4500]
    asyncio.run(VectorFiles(tmp_path).erase([Slot("m", 7, 128)]))
    assert found(path, aim, range(5000), 1) == [4500]
    assert found(path, aim, range(4000), 1) == other


def test_a_file_that_was_lost_or_is_of_another_model_is_read_anew(tmp_path: Path, many) -> None:
    path = put(tmp_path, many)
    found(path, many[3], range(5000))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        found(path, many[3], range(5000))
    put(tmp_path, many[::-1][:2000])
    assert found(path, many[4000], range(5000), 1) == [999]
    path.unlink()
    wide = np.column_stack((many, many))
    put(tmp_path, wide)
    assert found(path, wide[3], range(5000), 1) == [int((wide @ wide[3]).argmax())]


def test_a_file_that_got_shorter_is_mapped_anew(tmp_path: Path, many) -> None:
    path = put(tmp_path, many)
    found(path, many[3], range(5000))
    with path.open("r+b") as file:
        file.truncate(256 * 1000)
    assert max(found(path, many[3], range(5000), 300)) < 1000


def turned(cosines: np.ndarray) -> np.ndarray:
    """Vectors of unit length that are so alike to the first axis, scattered over the others: (N, WIDTH)."""
    others = np.random.default_rng(1).standard_normal((len(cosines), WIDTH - 1))
    others *= np.sqrt(1 - cosines**2)[:, None] / np.linalg.norm(others, axis=1, keepdims=True)
    return np.column_stack((cosines, others)).astype(np.float32)


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (0.2, 0.1), (0.7, 0.2)])
def test_what_clearly_shows_something_else_ends_a_search_in_any_model(
    tmp_path: Path, shift: float, scale: float
) -> None:
    """Ten boats of two hundred; the models differ in how alike a text and a picture are at all."""
    random = np.random.default_rng(0)
    scores = np.concatenate((random.normal(0.6, 0.05, 10), random.normal(0, 0.1, 190))) * scale + shift
    turned(scores).tofile(tmp_path / "vectors")
    aim, text = np.eye(WIDTH, dtype="<f2")[0].tobytes(), bits(*range(200))
    question = Nearest("q", str(tmp_path / "vectors"), (aim,), text, bits(3, 150), 300, clear=True)
    assert finder_nearest(question)[0] == (3, 150), "whose prompt has the words stays"
    assert set(finder_nearest(question)[1]) == {*range(10)} - {3}
    assert len(finder_nearest(replace(question, clear=False))[1]) == 198


@pytest.mark.parametrize("count", [0, 1, 3, 4, 11, 60, 3000])
def test_nothing_is_left_out_where_all_show_the_same(count: int) -> None:
    """Drawings of one thing: most are good, some are less so."""
    scores = 0.6 - np.random.default_rng(0).gamma(2, 0.05, count)
    for some in (scores.astype(np.float32), np.full(count, 0.3, np.float32)):
        assert nearest.least(some, some) == -np.inf


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (0.2, 0.1), (0.7, 0.2)])
def test_what_no_picture_shows_is_told_in_any_model(tmp_path: Path, shift: float, scale: float) -> None:
    """Models differ in how alike a text and a picture are at all."""
    random = np.random.default_rng(0)
    scores = random.normal(0, 0.1, (200, WIDTH - 1)) * scale + shift
    scores[3, 0] = 0.8 * scale + shift  # the first text is shown by one picture
    pictures = np.column_stack((scores, np.ones(200))).astype(np.float32)
    pictures.tofile(tmp_path / "vectors")
    texts = [one.astype("<f2").tobytes() for one in np.eye(WIDTH)[: WIDTH - 1]]
    text = bits(*range(200))

    def nearest_to(aim: bytes, *first: int) -> object:
        known = (aim,), text, bits(*first), 300, True, tuple(texts)
        return finder_nearest(Nearest("q", str(tmp_path / "vectors"), *known))

    shown, other = nearest_to(texts[0]), nearest_to(texts[1])
    assert not shown.none_shows and shown.others[0] == 3
    assert other.none_shows and len(other.others) == nearest.NEAREST
    assert nearest_to(texts[1], 7) == ((7,), (), True), "whose prompt has the words stays, alone"


def test_like_two_objects_is_like_both(tmp_path: Path, vectors) -> None:
    aims = vectors[[3, 8]]
    scores = (vectors @ aims.T).mean(1)
    assert asked(tmp_path, aims, range(60))[1][0] == int(scores.argmax())


def test_places_behind_the_end_of_the_file_are_left_out(tmp_path: Path, vectors) -> None:
    before, behind = asked(tmp_path, vectors[5], (58, 59, 60, 1000), (59, 2000))
    assert (before, behind) == ((59,), (58,))
    assert asked(tmp_path, vectors[5], ()) == ((), ())


class Open:
    """The inbox of a worker that goes on."""

    def check_open(self) -> None:
        pass


def answered(models: Models, question: Embed | Select) -> Answered | Declined:
    engine, said = Engine(wake=threading.Event()), []
    queries.begin_question(question, models, engine, Open(), said.append, Redactor([]))  # type: ignore[arg-type]
    engine.run()
    [answer] = said
    return answer


def test_texts_and_pictures_get_the_vectors_that_the_model_gives(folders, tmp_path: Path) -> None:
    spec = str(folders["clip"])
    models = cpu_models({"clip": spec}, tmp_path, cpu_threads=1)
    colours = ((200, 30, 30), (10, 20, 220))
    for number, colour in enumerate(colours):
        Image.new("RGB", (700, 90), colour).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    paths = tuple(str(tmp_path / f"{number}.png") for number in (0, 2, 1, 9))
    answer = answered(models, Embed("q", spec, ("a red boat",), paths))
    assert isinstance(answer, Answered) and answer.answer[2] == answer.answer[4] == b""
    found = [np.frombuffer(one, "<f2").astype(np.float32) for one in answer.answer if one]
    matcher = models.get("clip", Reporter())
    shrunk = [Image.new("RGB", (512, 66), colour) for colour in colours]
    [text], pictures = matcher.embed_words(["a red boat"]), matcher.embed_images(shrunk)
    right = np.stack([text.numpy(), *pictures.numpy()])
    assert np.abs(np.stack(found) - right).max() < 1e-3


def test_nothing_is_given_up_for_a_guest(folders, tmp_path: Path, monkeypatch) -> None:
    specs = {"image": str(folders["stable-diffusion"]), "clip": str(folders["clip"])}
    models = cpu_models(specs, tmp_path, cpu_threads=1)
    models.image(None)
    monkeypatch.setattr(store.devices, "memory", lambda device: (0, 2**30))
    answer = answered(models, Embed("q", specs["clip"], ("a red boat",)))
    assert isinstance(answer, Declined) and "doesn't fit" in answer.reason
    assert list(models.held) == [f"image:{specs['image']}"]


def test_a_model_that_there_is_not_is_declined(folders, tmp_path: Path) -> None:
    models = cpu_models({}, tmp_path, cpu_threads=1, allow_download=False)
    answer = answered(models, Embed("q", str(tmp_path / "none"), ("a red boat",)))
    assert isinstance(answer, Declined) and "isn't there" in answer.reason
