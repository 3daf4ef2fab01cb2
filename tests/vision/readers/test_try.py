"""Trying a set in the worker: both ways, the better one answers, and what is kept is given up."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.errors import JobCancelled, ModelError, UserError
from core.requests import TryRequest, to_json
from tests.vision.conftest import Recorder
from vision.capabilities import capability, examples
from vision.images import chart
from vision.protocol import Done, Run, Talk, Turn
from vision.readers import few_shot
from vision.readers.few_shot import Learned
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.main import answer_run

COLOURS = {"red": (210, 40, 40), "blue": (40, 60, 210)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pictures of one colour each, by name: four red, four blue, one more red."""
    folder, found = tmp_path_factory.mktemp("pictures"), {}
    for number in range(9):
        colour = COLOURS["blue" if 4 <= number < 8 else "red"]
        image = Image.new("RGB", (64, 64), tuple(min(255, c + 4 * number) for c in colour))
        name = f"{number:064x}"
        image.save(folder / f"{name}.png")
        found[name] = str(folder / f"{name}.png")
    return found


def talk(paths: dict[str, str]) -> Talk:
    *seen, asked = paths
    turns = list[Turn]()
    for number, name in enumerate(seen):
        label = "a red one" if number < 4 else "a blue one"
        turns += [Turn("user", "What is this?", (name,), name), Turn("assistant", label, (), name)]
    return Talk((*turns, Turn("user", "What is this?", (asked,), "job")))


def request(paths: dict[str, str]) -> TryRequest:
    return TryRequest(set_id="x" * 12, name="colours", image=list(paths)[-1])


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_head_answers_where_there_is_no_chat_model(
    name: str, models_of: Callable[..., Models], paths: dict[str, str]
) -> None:
    models, reporter = models_of(clip=name), Recorder()
    output = capability("examples")(request(paths), paths, models, reporter, talk(paths))
    assert output.scores[0][0] == "a red one" and sum(p for _, p in output.scores) == pytest.approx(1)
    [way] = output.parameters["ways"]
    assert way["tested"] == 8 and way["right"] >= 7 and output.parameters["examples"] == 8
    assert output.parameters["model"] == way["name"] and output.parameters["notes"] == []
    sheet = Image.open(io.BytesIO(output.grid.data))
    assert sheet.width == chart.WIDTH and reporter.steps[-1][0] == reporter.steps[-1][1]


def test_features_are_read_once_and_forgotten_with_the_picture(
    models_of: Callable[..., Models], paths: dict[str, str]
) -> None:
    models = models_of(clip="clip")
    run = capability("examples")
    first = run(request(paths), paths, models, Reporter(), talk(paths))
    gone = {**paths, list(paths)[0]: "/nowhere"}
    again = run(request(paths), gone, models, Reporter(), talk(paths))
    assert again.scores == first.scores, "the picture needn't be opened again"
    models.forget([list(paths)[0]])
    with pytest.raises(Exception, match="nowhere|read"):
        run(request(paths), gone, models, Reporter(), talk(paths))


def both(monkeypatch: pytest.MonkeyPatch, told: Learned | Exception, models: Models, paths: dict[str, str]):
    """What comes of a try whose chat model says ``told``."""

    def tell(*given):
        if isinstance(told, Exception):
            raise told
        return told

    class Talker:
        name = "chatty"

    get = models.get
    monkeypatch.setattr(few_shot, "tell_by_chat", tell)
    monkeypatch.setitem(models.config.models, "ask", "somewhere")
    monkeypatch.setattr(
        models, "get", lambda role, reporter: Talker() if role == "ask" else get(role, reporter)
    )
    return capability("examples")(request(paths), paths, models, Reporter(), talk(paths))


@pytest.mark.parametrize(("right", "name"), [(16, "chatty"), (8, "Head on")])
def test_the_way_that_is_right_more_often_answers_and_both_are_shown(
    right: int,
    name: str,
    models_of: Callable[..., Models],
    paths: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = capability("examples")(request(paths), paths, models_of(clip="clip"), Reporter(), talk(paths))
    told = Learned(torch.tensor([[0.1, 0.9]]), 16, right, right / 16)
    output = both(monkeypatch, told, models_of(clip="clip"), paths)
    assert output.parameters["model"].startswith(name)
    assert output.scores[0][0] == ("a blue one" if name == "chatty" else "a red one")
    assert [way["accuracy"] for way in output.parameters["ways"]][1] == right / 16
    heights = [Image.open(io.BytesIO(one.grid.data)).height for one in (alone, output)]
    assert heights[1] == 2 * heights[0] + examples.GAP


def test_a_chat_model_without_room_is_told_and_the_head_answers(
    models_of: Callable[..., Models], paths: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = both(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"), models_of(clip="clip"), paths)
    assert output.parameters["notes"] == [examples.NO_CHAT] and output.scores[0][0] == "a red one"


@pytest.mark.parametrize("error", [ModelError("It can't compare."), UserError("Too long.")])
def test_a_chat_model_that_cannot_is_told_and_the_head_answers(
    error: Exception, models_of: Callable[..., Models], paths: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = both(monkeypatch, error, models_of(clip="clip"), paths)
    assert output.parameters["notes"] == [str(error)] and len(output.parameters["ways"]) == 1


def test_a_try_is_stopped_between_two_calls(models_of: Callable[..., Models], paths: dict[str, str]) -> None:
    models = models_of(clip="clip")
    models.forget(list(paths))
    with pytest.raises(JobCancelled):
        capability("examples")(request(paths), paths, models, Recorder(stop_after=1), talk(paths))


def test_the_worker_hands_a_try_its_examples(
    models_of: Callable[..., Models], paths: dict[str, str], tmp_path: Path
) -> None:
    run = Run("job", "examples", to_json(request(paths)), paths, talk(paths))
    done = answer_run(run, models_of(clip="clip"), Reporter())
    assert isinstance(done, Done) and done.output.scores[0][0] == "a red one"
