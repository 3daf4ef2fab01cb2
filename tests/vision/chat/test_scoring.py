"""Given answers are compared by their log-probability."""

from collections.abc import Callable

import pytest
import torch

from core.errors import JobCancelled, ModelError
from tests.vision.chat import shapes
from tests.vision.chat.mixes import PICTURES
from vision.chat.talker import Talker, score_answers
from vision.engine.engine import Engine, Fiber
from vision.protocol import Talk, Turn
from vision.reporter import Reporter

LABELS = ("a cat", "a", "two red boats and a house", "a cat on")
EXAMPLES = (
    Turn("user", "What is this?", ("p1",), "x"),
    Turn("assistant", "a boat", (), "x"),
    Turn("user", "What is this?", ("p0",), "y"),
)


def by_hand(talker: Talker, talk: Talk, label: str) -> float:
    """One call for one whole conversation, as the processor makes it."""
    model = talker.model
    messages, shas = model.prompts.messages(talk.turns, False)
    said = {"role": "assistant", "content": [{"type": "text", "text": label}]}
    shown, given = iter(shas), [*messages, said]
    for message in given:
        message["content"] = [
            {"type": "image", "image": PICTURES[next(shown)].open()} if part["type"] == "image" else part
            for part in message["content"]
        ]
    how = {"tokenize": True, "return_dict": True, "return_tensors": "pt", **model.prompts.told}
    before = model.processor.apply_chat_template(messages, add_generation_prompt=True, **how)["input_ids"]
    whole = model.processor.apply_chat_template(given, **how)
    with torch.no_grad():
        chances = torch.log_softmax(model.model(**whole).logits[0].float(), dim=-1)
    ids, total = whole["input_ids"][0].tolist(), 0.0
    for place in range(before.shape[1], len(ids)):
        total += float(chances[place - 1, ids[place]])
        if ids[place] in model.ends:
            break
    return total


@pytest.mark.parametrize("name", ["smolvlm", "qwen3-vl", "qwen3.5", "gemma3"])
def test_the_score_is_the_log_probability_of_the_whole_answer(
    talker_of: Callable[[str], Talker], name: str
) -> None:
    talker, talk = talker_of(name), Talk(EXAMPLES)
    scores = score_answers(talker, talk, PICTURES, LABELS, Reporter())
    assert scores == pytest.approx([by_hand(talker, talk, label) for label in LABELS], abs=1e-3)
    assert len(set(scores)) == len(LABELS)
    assert "y" in talker.decoder.kept
    again = score_answers(talker, talk, PICTURES, LABELS[::-1], Reporter())  # from what is kept
    assert again[::-1] == pytest.approx(scores, abs=1e-4)


def test_many_labels_are_read_in_several_calls(talker_of: Callable[[str], Talker], monkeypatch) -> None:
    talker, labels = talker_of("smolvlm"), [f"label {n}" for n in range(5)]
    whole = score_answers(talker, Talk(EXAMPLES), PICTURES, labels, Reporter())
    monkeypatch.setattr("vision.chat.talker.ROWS", 2)
    assert score_answers(talker, Talk(EXAMPLES), PICTURES, labels, Reporter()) == pytest.approx(
        whole, abs=1e-4
    )
    assert score_answers(talker, Talk(EXAMPLES), PICTURES, [], Reporter()) == []


def test_scoring_pauses_for_others_and_can_be_stopped(talker_of: Callable[[str], Talker]) -> None:
    talker, pauses, engine, ends = talker_of("smolvlm"), [], Engine(), []

    class Scorer(Reporter):
        def __call__(self, fiber: Fiber) -> list[float]:
            self.fiber = fiber
            return score_answers(talker, Talk(EXAMPLES), PICTURES, LABELS, self)

        def check(self) -> None:
            pauses.append(1)
            if len(pauses) > 4:
                raise JobCancelled

    scorer = Scorer()
    engine.begin("score", scorer, check=scorer.check, done=lambda result, error: ends.append(error))
    engine.run()
    engine.stop()
    assert isinstance(ends[0], JobCancelled)


def test_a_model_that_answers_alone_says_that_it_cannot_compare(loaded: Callable[[str], Talker]) -> None:
    assert "idefics" in shapes.SHAPES
    with pytest.raises(ModelError, match="compare"):
        score_answers(loaded("idefics"), Talk(EXAMPLES), PICTURES, LABELS, Reporter())
