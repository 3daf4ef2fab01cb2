"""The editor's pure modules under Node paint the shared masks, keep the shared documents and go back as a
plain model does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import ROOT
from proofs.web.editor.model_check import check
from tests.web.editor.node import Node, open_node

SHARED = Path(ROOT) / "tests" / "studio" / "editor"
SEQUENCES = 12


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with open_node() as found:
        yield found


def test_every_shared_mask_is_painted_to_the_bit(node: Node) -> None:
    vectors = json.loads((SHARED / "masks.json").read_text(encoding="utf-8"))
    assert len(vectors) > 20
    for vector in vectors:
        asked = {name: vector[name] for name in ("width", "height", "base", "strokes")}
        found = node.ask(**asked)
        assert (found["painted"], found["sha256"]) == (vector["painted"], vector["sha256"]), vector["name"]
        assert found["png"] == vector["sha256"], vector["name"]


def test_every_valid_document_comes_back_as_it_was(node: Node) -> None:
    for case in json.loads((SHARED / "documents.json").read_text(encoding="utf-8"))["valid"]:
        once = node.ask(document=case["document"])
        assert node.ask(document=once) == once, case["name"]
        for name, value in case["document"].items():
            if name not in ("layers", "mask"):
                assert once[name] == value, (case["name"], name)
        for mine, given in zip(once["layers"], case["document"]["layers"], strict=True):
            assert mine | given == mine, case["name"]
        assert once["mask"] | case["document"].get("mask", {}) == once["mask"], case["name"]


@pytest.mark.parametrize("seed", range(1_000_000, 1_000_000 + SEQUENCES))
def test_random_commands_go_as_the_model_says(node: Node, seed: int) -> None:
    assert check(node, seed) is None


def test_what_is_painted_on_layers_is_forgotten_from_the_oldest_step_on(node: Node) -> None:
    commands: list[dict[str, object]] = [
        {
            "do": "restore",
            "id": "base",
            "value": 0,
            "points": [[400 * at, 80]],
            "radii": [40],
            "taken_back": False,
        }
        for at in range(1, 5)
    ]
    asked = {"width": 300, "height": 24, "commands": [{"do": "words", "words": "a"}, *commands]}
    limits = {"steps": 200, "room": 10**9, "strokes": 500}
    assert [seen["past"] for seen in node.ask(**asked, limits={**limits, "clips": 10**9})] == [1, 2, 3, 4, 5]
    few = node.ask(**asked, limits={**limits, "clips": 1500})
    assert [seen["past"] for seen in few][-1] < 4
    assert few[-1]["state"] == node.ask(**asked, limits={**limits, "clips": 10**9})[-1]["state"]
