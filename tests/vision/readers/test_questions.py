"""Questions about drawings: understood as people put them, answered from what was measured."""

import json
import random

import pytest

from core.profiles import DEMO
from demo.evaluate.answers import WAYS, cases, right
from vision.protocol import Turn
from vision.readers.answers import Answerer
from vision.readers.questions import Measurer, Question, asks_for_text
from vision.readers.scene import Scene, Thing

HOUSE = Thing("house", 0.97, "red", (0.1, 0.3, 0.4, 0.7), 0.09)
TREE = Thing("tree", 0.96, "green", (0.6, 0.3, 0.9, 0.7), 0.09)
BOTH, ALONE = Scene((HOUSE, TREE), "white"), Scene((HOUSE,), "snow")
MAYBE = Scene((Thing("fish", 0.8, "blue", (0.4, 0.4, 0.6, 0.6), 0.04),), "white")
LIKELY = Scene((Thing("fish", 0.92, "blue", (0.4, 0.4, 0.6, 0.6), 0.04),), "white")
STRANGE = Scene((Thing("fish", 0.4, "blue", (0.4, 0.4, 0.6, 0.6), 0.04),), "white")


@pytest.fixture(scope="module")
def demo() -> Measurer:
    found = Measurer.of(json.loads((DEMO / "ask" / "atelier.json").read_text()))
    assert found is not None and Measurer.of({}) is None
    return found


def talk(demo: Measurer, scene: Scene, *said: str) -> str | None:
    """The answer to the last of some questions that follow each other."""
    before: Question | None = None
    for text in said[:-1]:
        before = demo.understand(text, before)
    return Answerer(demo).answer(demo.understand(said[-1], before), scene, before)


@pytest.mark.parametrize(
    ("scene", "question", "answer"),
    [
        (ALONE, "What is this?", "A red house in the snow."),
        (BOTH, "what do you see", "A red house to the left of a green tree, on a white background."),
        (BOTH, "What color is the cottage?", "The house is red."),
        (BOTH, "How many trees are there?", "I count one tree."),
        (BOTH, "Where's the tree?", "The tree is on the right."),
        (BOTH, "What is left of the tree?", "A red house."),
        (BOTH, "Is the house left of the tree?", "Yes: to the left of the tree is a red house."),
        (BOTH, "Is the house on the right?", "No: the house is on the left."),
        (BOTH, "Is the house blue?", "No: the house is red."),
        (BOTH, "Are there two houses?", "No, I see a red house, on the left."),
        (BOTH, "what is the green thing", "A green tree."),
        (ALONE, "Is the house in the snow?", "Yes: it is in the snow."),
        (ALONE, "Is it night?", "No: it is in the snow."),
        (ALONE, "Is it in a field?", "No: it is in the snow."),
        (ALONE, "Is it snowy?", "Yes: it is in the snow."),
        (ALONE, "describe the landscape", "It is in the snow."),
        (ALONE, "What is the setting?", "It is in the snow."),
        (ALONE, "What did the artist draw?", "A red house in the snow."),
        (ALONE, "pls tell me whats shown", "A red house in the snow."),
        (ALONE, "what r we looking at", "A red house in the snow."),
        (ALONE, "Give me a short description of this picture.", "A red house in the snow."),
        (ALONE, "Would you happen to see a house?", "Yes, I see a red house, on the left."),
        (LIKELY, "what is it", "Something blue, perhaps a fish on a white background. I'm not sure: "),
        (ALONE, "do u see a house", "Yes, I see a red house, on the left."),
        (ALONE, "theres a house right?", "Yes, I see a red house, on the left."),
        (BOTH, "there is a house on the right", "No: the house is on the left."),
        (BOTH, "Is there one tree or more than one?", "I count one tree."),
        (BOTH, "Which object is located left of the tree?", "A red house."),
        (ALONE, "Is an artist there?", "I don't know “artist”, so I can't tell. "),
        (ALONE, "Which way does it move?", "This is a single picture, so I can't see anything move."),
        (MAYBE, "What is this?", "Something blue, perhaps a fish on a white background. I'm not sure: "),
        (STRANGE, "What is this?", "Something blue that I can't name on a white background. I'm not sure: "),
        (
            ALONE,
            "Is there a dragon?",
            "I don't know “dragon”, so I can't tell. I only know drawings of twelve",
        ),
        (BOTH, "Is there a wooden house?", "I don't know “wooden”, so I can't tell. "),
        (BOTH, "Is the house wooden?", "I don't know “wooden”, so I can't tell. "),
        (BOTH, "Is there a girl?", "I don't know “girl”, so I can't tell. "),
        (BOTH, "Where is the map?", "I don't know “map”, so I can't tell. "),
        (BOTH, "Is there any sign of a tree?", "Yes, I see a green tree, on the right."),
        (BOTH, "How many windows has the house?", "I don't know “windows”, so I can't tell. "),
        (BOTH, "What season is it?", "I don't know “season”, so I can't tell. "),
        (ALONE, "I left my glasses at work, what's in the picture?", "A red house in the snow."),
        (ALONE, "Tell me in a few words what the picture contains", "A red house in the snow."),
        (ALONE, "Write me an alt text for this picture.", "A red house in the snow."),
        (ALONE, "Right then, everything you can see, please", "A red house in the snow."),
        (ALONE, "If it isn't too much trouble, where is this set?", "It is in the snow."),
        (BOTH, "Is the tree on the left or on the right?", "The tree is on the right."),
        (BOTH, "is the house red or blue or what", "The house is red."),
        (BOTH, "What has the artist put to the left of the tree?", "A red house."),
        (BOTH, "Where did the tree go?", "The tree is on the right."),
        (BOTH, "My son says there's a tree in it, is he right?", "Yes, I see a green tree, on the right."),
        (BOTH, "Is there a castle in it? I can't see one.", "I don't know “castle”, so I can't tell. "),
        (BOTH, "Could you tell me where the castle is?", "I don't know “castle”, so I can't tell. "),
    ],
)
def test_a_question_is_answered_from_what_was_measured(
    demo: Measurer, scene: Scene, question: str, answer: str
) -> None:
    said = talk(demo, scene, question) or ""
    assert said.startswith(answer) if answer.endswith(" ") or "twelve" in answer else said == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (("What colour is the house?", "And the tree?"), "The tree is green."),
        (("What is this?", "and on the left?"), "A red house."),
        (("What is left of the tree?", "and its colour?"), "The house is red."),
        (("How many houses are there?", "and cats?"), "None, I see no cat, only "),
        (("Where is the house?", "what colour is it?"), "The house is red."),
        (("Where is the house?", "are you sure?"), "I looked again and see: red house, 97% sure"),
    ],
)
def test_a_question_that_follows_on_is_about_what_was_asked_before(
    demo: Measurer, said: tuple[str, ...], answer: str
) -> None:
    assert (talk(demo, BOTH, *said) or "").startswith(answer)


def test_boxes_are_of_what_is_named_and_of_nothing_that_is_unknown(demo: Measurer) -> None:
    assert json.loads(demo.boxes("Where is the tree?", BOTH)) == [
        {"bbox_2d": [600, 300, 900, 700], "label": "green tree"}
    ]
    assert len(json.loads(demo.boxes("everything", BOTH))) == 2
    assert demo.boxes("Where is the dragon?", BOTH) == demo.boxes("Where is the cat?", BOTH) == "[]"


@pytest.mark.parametrize(
    ("question", "is_about_text"),
    [
        ("What does the sign say?", True),
        ("read it to me", True),
        ("what is written there", True),
        ("Tell me in a few words what you see", False),
        ("My son says there is a cat", False),
        ("Is there any sign of a cat?", False),
        ("An alt text for this, please", False),
    ],
)
def test_what_is_written_is_asked_for_by_its_own_words(question: str, is_about_text: bool) -> None:
    assert asks_for_text(question) == is_about_text


def test_what_is_no_question_is_left_to_the_chat_model(demo: Measurer) -> None:
    assert talk(demo, BOTH, "ok thanks") is None and talk(demo, BOTH, "Do you like it?") is None


def test_the_answer_that_was_taught_is_found_again(demo: Measurer) -> None:
    turns = (
        Turn("user", "What is this?", ("a",)),
        Turn("assistant", "our summer house"),
        Turn("user", "how many trees are there?"),
        Turn("assistant", "None"),
        Turn("user", "what is that"),
    )
    asked, before, answers = demo.follow(turns, ("a",))
    assert answers[asked] == "our summer house" and before is not None and before.kind == "count"
    _, before, answers = demo.follow(turns, ("b",))
    assert before is None and not answers


def test_forms_of_many_people_are_understood(demo: Measurer) -> None:
    hits = list[bool]()
    for case in random.Random(0).sample(list(cases(60)), 300):
        things = [
            Thing(one.name, 0.97, one.colour, (one.x - 0.05, one.y - 0.05, one.x + 0.05, one.y + 0.05), 0.01)
            for one in case.drawn.things
        ]
        if case.kind == "unknown picture":
            continue
        way = WAYS.get(case.truth)
        scene = Scene(
            tuple(things), case.drawn.ground, () if way is None else ((way[0] * 0.3, way[1] * 0.3),)
        )
        hits.append(right(case, Answerer(demo).answer(demo.understand(case.question), scene) or ""))
    assert sum(hits) > 0.95 * len(hits)
