"""Turns a conversation into what a chat model reads: token ids, with the place of each picture in them.

The processor is asked about one picture at a time. What it puts into the text for one depends on its size
only, so that a picture whose tokens are known from an earlier turn isn't opened again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from core.errors import UserError
from core.requests.frame_words import frame_words_for
from vision.chat.control_tokens import ControlTokens
from vision.chat.conversation import MOST_PICTURES, Conversation, Instructions, Messages, conversation
from vision.chat.pictures import Picture
from vision.forms.tasks import Tasks
from vision.protocol import Talk, Turn

TOO_LONG = (
    "The question takes {:,} tokens with its pictures; the model has room for {:,}. Ask with fewer or smaller"
    " pictures, or fewer words."
)
KNOWN_SIZES = 256  # of pictures, whose place in the text is kept
NOT_OF_PICTURES = frozenset(("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"))
Inputs = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Place:
    """Where a picture's tokens are: ids[begin:end]."""

    begin: int
    end: int
    picture: Picture


@dataclass
class Prompt:
    """What a model reads before it answers.

    ids: of all tokens. places: of the pictures, in order. positions: (3, 1, len(ids)) of models that count
    in rows and columns (M-RoPE), else None; ``delta``: what the next position is beyond len(ids). inputs:
    place → what the processor made of that picture, as far as it was asked; taken out when it is used. grids:
    what it says of the shapes of all pictures. seen: width and height of each picture as the model gets it.
    dropped: see Conversation. whole: all that ``generate`` takes, of a model whose answers are written alone.
    """

    ids: list[int]
    places: tuple[Place, ...] = ()
    positions: torch.Tensor | None = field(default=None, repr=False)
    delta: int = 0
    inputs: dict[int, Inputs] = field(default_factory=dict, repr=False)
    grids: Inputs = field(default_factory=dict, repr=False)
    seen: tuple[tuple[int, int], ...] = ()
    dropped: int = 0
    whole: dict[str, Any] = field(default_factory=dict, repr=False)

    def extended(self, tokens: Sequence[int]) -> Prompt:
        """Return the prompt with the beginning of its answer."""
        positions = self.positions
        if positions is not None:
            begin = len(self.ids) + self.delta
            more = torch.arange(begin, begin + len(tokens), device=positions.device).expand(3, 1, -1)
            positions = torch.cat([positions, more], dim=-1)
        return replace(self, ids=[*self.ids, *tokens], positions=positions)


@dataclass(frozen=True)
class _Look:
    """What the processor makes of a picture of one size. text: that stands for it. tokens: for the model's
    features among them. grids: numbers about it that positions need. seen: width and height, px."""

    text: str
    tokens: int
    grids: Inputs
    seen: tuple[int, int]


class PromptMaker:
    """Makes the prompts of one model, in any thread. image_id: of the token that its features replace."""

    def __init__(self, processor: Any, image_id: int, instructions: Instructions) -> None:
        self.processor, self.tokenizer, self.image_id = processor, processor.tokenizer, image_id
        named = instructions.frames or frame_words_for(type(processor).__name__)
        self.instructions = replace(instructions, frames=named)
        marks = [getattr(processor, "image_token", None), getattr(processor, "video_token", None)]
        self.control_tokens = ControlTokens(self.tokenizer, [mark for mark in marks if mark])
        self.mark = str(marks[0] or "")
        self.has_template = bool(
            getattr(processor, "chat_template", None) or getattr(self.tokenizer, "chat_template", None)
        )
        self._looks: OrderedDict[tuple[tuple[int, int], bool], _Look] = OrderedDict()
        splits = hasattr(getattr(processor, "image_processor", None), "do_image_splitting")
        self._whole = {"do_image_splitting": False} if splits else {}  # a film has too many for pieces
        self._lock = threading.RLock()  # a tokenizer that two threads use at once raises
        self._takes_system = self._renders_system()

    def make(self, talk: Talk, pictures: Mapping[str, Picture], most_tokens: int) -> Prompt:
        """Return the prompt of a conversation. pictures: SHA-256 → those that ``talk`` names. most_tokens:
        that the prompt may have; turns that don't fit are left out.

        Raises UserError when the question alone is too long.
        """
        rest: Conversation | None = conversation(talk.turns)
        while rest is not None:
            prompt = self._prompt(rest.turns, talk.answer == "short", pictures, talk.most_pictures)
            if len(prompt.ids) <= most_tokens:
                return replace(prompt, dropped=rest.dropped)
            rest = rest.shorter()
        raise UserError(TOO_LONG.format(len(prompt.ids), most_tokens))

    def messages(
        self, turns: Sequence[Turn], short: bool, most: int = MOST_PICTURES
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the turns as the chat template takes them, and the SHA-256 of at most ``most`` pictures."""
        messages = Messages(self.neutralise)
        system = self.instructions.system
        told = self.instructions if self._takes_system else replace(self.instructions, system="")
        found = messages.of(turns, told, short, most)
        if system and not self._takes_system:  # at the head of the first question
            text = found[0]["content"][-1]
            text["text"] = f"{system}\n{text['text']}"
        return found, messages.pictures

    def neutralise(self, text: str) -> str:
        """Return a text without control tokens, see ControlTokens."""
        with self._lock:
            return self.control_tokens.neutralise(text)

    def render(self, messages: list[dict[str, Any]], *, to_answer: bool = True) -> str:
        """Return the text of messages, with one mark for each picture. to_answer: up to where the answer
        begins."""
        return self.processor.apply_chat_template(messages, add_generation_prompt=to_answer, tokenize=False)

    def _renders_system(self) -> bool:
        """Return whether the chat template knows a system's turn."""
        messages = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for role, text in (("system", "Qqzx"), ("user", "hello"))
        ]
        try:
            return "Qqzx" in self.render(messages)
        except Exception:  # a template raises what it likes
            return False

    def _prompt(
        self, turns: Sequence[Turn], short: bool, pictures: Mapping[str, Picture], most: int
    ) -> Prompt:
        messages, shas = self.messages(turns, short, most)
        text = self.render(messages)
        shown, looks, inputs = [pictures[sha] for sha in shas], [], {}
        for place, picture in enumerate(shown):
            look = self._looks.get((picture.size, picture.frame))
            if look is None:
                look, inputs[place] = self._look_at(picture)
            looks.append(look)
        ids = self.tokenise(self._filled_in(text, [look.text for look in looks]))
        return Prompt(
            ids,
            self._places(ids, shown, looks),
            inputs=inputs,
            grids=_joined([look.grids for look in looks]),
            seen=tuple(look.seen for look in looks),
        )

    def _filled_in(self, text: str, instead: Sequence[str]) -> str:
        """Return the text with the mark of each picture replaced."""
        pieces = text.split(self.mark) if self.mark else [text]
        if len(pieces) != len(instead) + 1:
            raise ValueError(f"the template shows {len(pieces) - 1} of {len(instead)} pictures")
        return "".join(piece + more for piece, more in zip(pieces, [*instead, ""], strict=True))

    def tokenise(self, text: str, *, more: bool = False) -> list[int]:
        """Return the ids of a whole prompt, as the processor would: without a second first token; of what is
        ``more`` of one, without any."""
        first = self.tokenizer.bos_token
        begun = more or (first is not None and text.startswith(first))
        how = {"add_special_tokens": False} if begun else {}
        with self._lock:
            return list(self.tokenizer([text], **how)["input_ids"][0])

    def _places(
        self, ids: Sequence[int], shown: Sequence[Picture], looks: Sequence[_Look]
    ) -> tuple[Place, ...]:
        where = [i for i, token in enumerate(ids) if token == self.image_id]
        if len(where) != sum(look.tokens for look in looks):
            raise ValueError(f"{len(where)} tokens for pictures, not {sum(look.tokens for look in looks)}")
        places, begin = [], 0
        for picture, look in zip(shown, looks, strict=True):
            end = begin + look.tokens
            places.append(Place(where[begin], where[end - 1] + 1, picture))
            begin = end
        return tuple(places)

    def inputs_of(self, picture: Picture) -> Inputs:
        """Return what the model gets of one picture."""
        return self._look_at(picture)[1]

    def _look_at(self, picture: Picture) -> tuple[_Look, Inputs]:
        image = picture.open()
        with self._lock:
            made = self.processor(
                text=[self.mark],
                images=[image],
                return_tensors="pt",
                return_text_replacement_offsets=True,
                **(self._whole if picture.frame else {}),
            )
        [[place]] = made.pop("text_replacement_offsets")
        tokens = int((made["input_ids"] == self.image_id).sum())
        inputs = {name: value for name, value in made.items() if name not in NOT_OF_PICTURES}
        grids = {name: value for name, value in inputs.items() if "grid" in name}
        look = _Look(place["replacement"], tokens, grids, self._seen(picture, inputs))
        self._looks[picture.size, picture.frame] = look
        while len(self._looks) > KNOWN_SIZES:
            self._looks.popitem(last=False)
        return look, inputs

    def _seen(self, picture: Picture, inputs: Inputs) -> tuple[int, int]:
        """Return width and height of what the model gets; of a picture in tiles, its own."""
        if "image_grid_thw" in inputs:
            _, height, width = inputs["image_grid_thw"][0].tolist()
            side = self.processor.image_processor.patch_size
            return width * side, height * side
        pixels = inputs.get("pixel_values")
        if pixels is None or pixels.dim() < 4 or pixels[..., 0, 0, 0].numel() != 1:
            return picture.size
        return pixels.shape[-1], pixels.shape[-2]


class WholePrompts(PromptMaker):
    """Makes prompts for models whose answers are written alone: the processor gets everything at once. Models
    without a chat template are of the first kind of Idefics, whose form of a conversation is known."""

    def _prompt(
        self, turns: Sequence[Turn], short: bool, pictures: Mapping[str, Picture], most: int
    ) -> Prompt:
        messages, shas = self.messages(turns, short, most)
        shown = [pictures[sha] for sha in shas]
        opened = iter([picture.open() for picture in shown])
        for message in messages:
            message["content"] = [
                {"type": "image", "image": next(opened)} if part["type"] == "image" else part
                for part in message["content"]
            ]
        whole = self._processed(messages)
        ids = whole["input_ids"][0].tolist()
        return Prompt(ids, seen=tuple(picture.size for picture in shown), whole=whole)

    def _processed(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        with self._lock:
            return self._process(messages)

    def _process(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        if self.has_template:
            return dict(
                self.processor.apply_chat_template(
                    messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
                )
            )
        pieces: list[Any] = []
        for message in messages:  # as the model's own page has it
            pieces.append("\nUser: " if message["role"] != "assistant" else "\nAssistant: ")
            pieces += [
                part["image"] if part["type"] == "image" else part["text"] for part in message["content"]
            ]
            pieces.append("<end_of_utterance>")
        return dict(
            self.processor(
                text=[[*pieces, "\nAssistant:"]], add_end_of_utterance_token=False, return_tensors="pt"
            )
        )


class TaskPrompts(PromptMaker):
    """Makes prompts for models that do ``tasks``: they get one picture and what is wanted of it, and nothing
    of the conversation before."""

    def __init__(self, processor: Any, image_id: int, instructions: Instructions, tasks: Tasks) -> None:
        super().__init__(processor, image_id, instructions)
        self._tasks = tasks

    def make(self, talk: Talk, pictures: Mapping[str, Picture], most_tokens: int) -> Prompt:
        """Return the prompt of a conversation's last question. Raises UserError for what the model can't do:
        several pictures, none, a table, or too many words."""
        last = talk.turns[-1]
        shas = next((turn.pictures for turn in reversed(talk.turns) if turn.pictures), ())
        if len(shas) != 1:
            raise UserError(f"This model looks at one picture at a time; here are {len(shas)}.")
        text = self._tasks.told(talk.answer, self.neutralise(last.text))
        picture = pictures[shas[0]]
        image = picture.open()
        with self._lock:
            whole = dict(self.processor(text=[text], images=[image], return_tensors="pt"))
        whole.pop("labels", None)  # PaliGemma's, for training
        ids = whole["input_ids"][0].tolist()
        if len(ids) > most_tokens:
            raise UserError(TOO_LONG.format(len(ids), most_tokens))
        return Prompt(ids, seen=(picture.size,), whole=whole, dropped=len(talk.turns) // 2)


def _joined(grids: Sequence[Inputs]) -> Inputs:
    """Return the grids of several pictures as those of one call for all."""
    return {name: torch.cat([grid[name] for grid in grids]) for name in (grids[0] if grids else ())}
