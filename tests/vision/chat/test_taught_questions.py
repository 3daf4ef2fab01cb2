"""Questions to a model that was taught only some: how they are understood, and what it says of others."""

import json

import pytest

from core.profiles import DEMO
from vision.chat.prompt import Repertoire

TRUTH = {
    "What is in the picture?": "a large red house in the snow",
    "What colour is the house?": "red",
    "Is there a house?": "yes",
    "Is there a cat?": "no",
    "How many fish are there?": "none",
    "What is in the background?": "in the snow",
    "Where is the house?": "redgo",
}


@pytest.fixture(scope="module")
def demo() -> Repertoire:
    found = Repertoire.of(json.loads((DEMO / "ask" / "atelier.json").read_text()))
    assert found is not None and Repertoire.of({}) is None
    return found


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What's in this image?", "a large red house in the snow"),
        ("Please tell me what color is the cottage?", "red"),
        ("Is there a blue house?", "no"),
        ("do you see any kitten", "no"),
        ("How many goldfish are there?", "none"),
        ("Is there snow?", "yes"),
        ("Is it night?", "no"),
        ("What is left of the house?", "I see nothing there, only this: a large red house in the snow"),
        ("Where is the house?", None),
        ("How many the red?", None),
    ],
)
def test_questions_are_asked_as_they_were_taught(demo: Repertoire, question: str, answer: str | None) -> None:
    assert demo.answer(question, TRUTH.__getitem__) == answer


def test_words_never_learned_are_named_and_others_offered(demo: Repertoire) -> None:
    said = demo.answer("Is there a dragon over a castle?", TRUTH.__getitem__) or ""
    assert "“dragon”, “castle”" in said and "What colour is the house?" in said
