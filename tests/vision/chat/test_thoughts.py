"""Models that think before they answer: told not to, and where they do nevertheless, nobody reads it."""

import copy
from collections.abc import Callable, Sequence

import pytest
import torch

from core.errors import JobCancelled, UserError
from tests.vision.chat import shapes
from tests.vision.chat.mixes import PICTURES
from vision.chat.model import ChatModel
from vision.chat.output_parser import THINKING
from vision.chat.prompt import WholePrompts
from vision.chat.talker import STARVED, Talker
from vision.protocol import Talk, Turn
from vision.reporter import Reporter

ASKED = Talk((Turn("user", "what is on the table", ("p0",), "a"),), max_tokens=40)
ALWAYS = shapes.QWEN + "{% if add_generation_prompt %}<think>\n{% endif %}"  # whatever it is told


class Speaking(ChatModel):
    """A model that computes as always, and then says ``says``, whatever it is asked."""

    says = ""
    begun = 0

    def read(self, prompt, begin, end, cache) -> torch.Tensor:
        logits = super().read(prompt, begin, end, cache)
        self.begun = end
        return self._saying([0], logits[None])[0]

    def write(self, tokens, lengths, deltas, cache) -> torch.Tensor:
        logits = super().write(tokens, lengths, deltas, cache)
        return self._saying([length - self.begun + 1 for length in lengths], logits)

    def _saying(self, places: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
        said = [*self.tokenizer(self.says, add_special_tokens=False)["input_ids"], min(self.ends)]
        found = torch.full_like(logits, -1.0)
        for row, place in enumerate(places):
            found[row, said[min(place, len(said) - 1)]] = 1.0
        return found


class Listener(Reporter):
    """What somebody reads while an answer grows: words, or what is done in their place."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.told: list[tuple[str, str]] = []
        self.words, self.stop_at = "", stop_at

    def doing(self, words: str) -> None:
        self.words = words

    def write(self, step: int, total: int, text: str) -> None:
        self.told.append((self.words, text))

    def check(self) -> None:
        if self.stop_at is not None and len(self.told) >= self.stop_at:
            raise JobCancelled


@pytest.fixture
def speaking(loaded: Callable[[str], Talker], monkeypatch) -> Callable[..., Talker]:
    """What it says, its chat template and more special tokens → the model."""
    monkeypatch.setattr("vision.chat.decoder.TELL_EVERY", 0.0)

    def make(says: str, template: str = shapes.QWEN_THINKS, specials: Sequence[str] = ()) -> Talker:
        known = loaded("qwen3-vl").model
        processor = copy.deepcopy(known.processor)
        processor.chat_template = template
        if specials:
            processor.tokenizer.add_special_tokens({"additional_special_tokens": list(specials)})
        model = Speaking("speaks", known.model, processor, {})
        model.says = says
        return Talker(model, 2**20)

    return make


@pytest.mark.parametrize(
    ("says", "template", "specials"),
    [
        ("<think>\nIt is a cat.\n</think>\n\nA cat.", shapes.QWEN_THINKS, ()),
        ("It is a cat.\n</think>\n\nA cat.", ALWAYS, ()),
        ("[THINK]It is.[/THINK]A cat.", shapes.QWEN, ()),
        ("[THINK]Hm.[/THINK]A cat.", shapes.QWEN, ("[THINK]", "[/THINK]")),
        ("<|channel>thought\nHm.<channel|>A cat.", shapes.QWEN, ("<|channel>", "<channel|>")),
        ("<think></think>A cat.", shapes.QWEN, ("<think>", "</think>")),
    ],
)
def test_thoughts_are_told_as_thinking_and_the_answer_has_none(
    speaking: Callable[..., Talker], says: str, template: str, specials: tuple[str, ...]
) -> None:
    listener = Listener()
    answer = speaking(says, template, specials).answer(ASKED, PICTURES, listener)
    assert (answer.text, answer.ended) == ("A cat.", "end")
    assert listener.told[0][1] == "" and (THINKING, "") in listener.told
    assert all("A cat.".startswith(text) for _, text in listener.told)
    assert all(not words for words, text in listener.told if text)


def test_a_word_in_brackets_is_no_thought(speaking: Callable[..., Talker]) -> None:
    listener = Listener()
    assert speaking("<b>a</b> [1]").answer(ASKED, PICTURES, listener).text == "<b>a</b> [1]"
    assert not any(words for words, _ in listener.told)


def test_thoughts_get_more_tokens_than_an_answer_may_have(speaking: Callable[..., Talker]) -> None:
    talker = speaking(f"<think>{'hm ' * 30}</think>A cat.")
    answer = talker.answer(ASKED, PICTURES, Listener())
    assert (answer.text, answer.ended) == ("A cat.", "end")
    assert answer.tokens_out > 90 > ASKED.max_tokens


def test_an_answer_without_thoughts_gets_no_more(speaking: Callable[..., Talker]) -> None:
    answer = speaking("word " * 30).answer(ASKED, PICTURES, Listener())
    assert answer.ended == "length" and answer.tokens_out == ASKED.max_tokens


def test_a_model_that_never_stops_thinking_is_told(speaking: Callable[..., Talker]) -> None:
    talk = Talk(ASKED.turns, max_tokens=20, context=600)
    with pytest.raises(UserError, match=STARVED):
        speaking(f"<think>{'hm ' * 300}").answer(talk, PICTURES, Listener())


def test_a_stop_while_it_thinks_leaves_no_answer(speaking: Callable[..., Talker]) -> None:
    with pytest.raises(JobCancelled):
        speaking("<think>Hm, hm, hm.</think>A cat.").answer(ASKED, PICTURES, Listener(stop_at=10))


def test_every_template_that_can_is_told_not_to_let_the_model_think(
    speaking: Callable[..., Talker],
) -> None:
    model = speaking("").model
    prompt = model.prompts.make(ASKED, PICTURES, 4096)
    text = model.tokenizer.decode(prompt.ids)
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n") and not model.prompts.opened
    alone = WholePrompts(model.processor, model.image_id, model.prompts.instructions)
    assert alone.make(ASKED, PICTURES, 4096).ids == prompt.ids
    assert speaking("", ALWAYS).model.prompts.opened == "<think>"


def test_a_conversation_remembers_no_thoughts(speaking: Callable[..., Talker]) -> None:
    talker = speaking("<think>Hm.</think>A cat.")
    said = Turn("assistant", talker.answer(ASKED, PICTURES, Listener()).text, (), "a")
    more = Talk((*ASKED.turns, said, Turn("user", "and now", (), "b")), max_tokens=40)
    prompt = talker.model.prompts.make(more, PICTURES, 4096)
    assert "<|im_start|>assistant\nA cat.<|im_end|>" in talker.model.tokenizer.decode(prompt.ids)
    assert talker.answer(more, PICTURES, Listener()).tokens_cached > 0
