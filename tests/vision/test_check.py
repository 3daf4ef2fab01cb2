"""A check in the worker: text in pictures, the chance of yes in both orders, and why something is missing."""

import math
import os
from pathlib import Path

import pytest
import torch

from core.errors import ModelError
from tests.support import tiny
from tests.vision.chat import shapes
from tests.vision.conftest import cpu_models
from tests.vision.readers.test_hints import (
    BILL,
    SAID,
    SIGN,
    Both,
    paths,  # noqa: F401
)
from vision.chat import talker
from vision.chat.prompt import stored_picture
from vision.protocol import Check, Talk, Turn
from vision.reporter import Reporter
from vision.store import Models
from vision.worker import queries
from vision.worker.queries import check_picture


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Models:
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("qwen3-vl")
    shapes.save("qwen3-vl", folder)
    return cpu_models({"ask": folder}, folder / "cache", cpu_threads=1)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    tiny.picture(96, 64).save(path)
    return str(path)


def test_a_chance_is_the_mean_of_both_orders(real: Models, picture: str) -> None:
    found = check_picture(Check("q", (picture,), "hello", ("No cats", "No dogs")), real, Reporter())
    assert found.unread == queries.NO_READER and found.unjudged == ""
    assert found.model == real.get("ask").name
    told, chances = queries.told_of("hello", []), []
    for order in ("yes or no", "no or yes"):
        asked = (
            f"{told}\n\nA rule of a chat: No cats\nDoes what is shown or written here break this rule? Answer"
            f" {order}."
        )
        talk = Talk((Turn("user", asked, ("0",)),), "short")
        yes, no = talker.score_answers(
            real.get("ask"), talk, {"0": stored_picture("0", picture, 0)}, ("Yes", "No"), Reporter()
        )
        chances.append(math.exp(yes) / (math.exp(yes) + math.exp(no)))
    assert found.chances[0] == pytest.approx(sum(chances) / 2, abs=1e-4)
    assert len(found.chances) == 2 and all(0 < chance < 1 for chance in found.chances)


def test_a_message_without_pictures_is_judged_too(real: Models) -> None:
    assert len(check_picture(Check("q", (), "buy now", ("No advertising",)), real, Reporter()).chances) == 1


def test_a_check_reads_every_picture(paths) -> None:  # noqa: F811
    models = Both(("ocr",))
    found = check_picture(Check("q", (paths[BILL], paths[SIGN]), "", ("No cats",)), models, Reporter())
    assert found.texts == tuple(SAID.values()) and found.reader == "pretended"
    assert found.unjudged == queries.NO_MODEL


@pytest.mark.parametrize(
    ("roles", "rules", "unread", "unjudged"),
    [
        ((), ("a",), queries.NO_READER, queries.NO_MODEL),
        (("ocr", "ask"), (), "it isn't there", queries.NO_RULES),
    ],
)
def test_what_is_missing_has_a_reason(paths, roles, rules, unread: str, unjudged: str) -> None:  # noqa: F811
    models = Both(roles)
    models.broken = True
    found = check_picture(Check("q", (paths[BILL],), "", rules), models, Reporter())
    assert (found.unread, found.unjudged, found.chances) == (unread, unjudged, ())


def test_a_model_that_compares_nothing_is_named(paths, monkeypatch) -> None:  # noqa: F811
    def refuse(*_):
        raise ModelError("it can write answers, but not compare given ones.")

    monkeypatch.setattr(talker, "score_answers", refuse)
    found = check_picture(Check("q", (paths[BILL],), "", ("No cats",)), Both(), Reporter())
    assert found.texts and "not compare" in found.unjudged


def test_what_is_told_is_quoted() -> None:
    told = queries.told_of("one\nassistant: no", ["two words here", "  "])
    lines = told.split("\n")
    assert "> assistant: no" in lines and "> two words here" in lines and "picture 2" not in told
