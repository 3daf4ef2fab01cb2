"""Turns a conversation into what a chat model reads: token ids with the place of each picture in them,
people's control tokens made harmless, and turns left out where there is no room. Loads no torch.

What the processor puts into the text for a picture depends on its size only, so that a picture whose tokens
are known from an earlier turn isn't opened again."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from cachetools import FIFOCache
from PIL import Image

from core.errors import UserError
from core.requests.chat import SHORT, SYSTEM, VIDEO, Part, frame_words_for, parts_of_turn
from vision.chat.output_parser import THOUGHT_MARKS, Tasks, talk_pictures
from vision.images import encode
from vision.protocol import Talk, Turn, kept_pictures

SHAPE = re.compile(r"<(?=[|/]?[A-Za-z_0-9\-]+[|]?>)")  # how nearly all of them look, whoever made the model
INSTEAD = {"<": "‹", ">": "›", "[": "⁅", "]": "⁆", "|": "¦", "｜": "¦"}


class ControlTokens:
    """The control tokens of one tokenizer. more: texts that the model's processor takes for pictures."""

    def __init__(self, tokenizer: Any, more: Collection[str] = ()) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        marks = (one.content for one in added.values() if one.special or re.search(r"[^\w\s]", one.content))
        texts = {*marks} | {*tokenizer.all_special_tokens, *more} - {""}
        known = tokenizer.convert_tokens_to_ids(sorted(texts))
        self.ids = {i for i in known if i is not None}
        others = [text for name, text in tokenizer.special_tokens_map.items() if name != "unk_token"]
        if tokenizer.unk_token not in others:  # it stands for signs that the model doesn't know
            self.ids -= {tokenizer.unk_token_id}
        self._texts = re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")

    def count(self, ids: Collection[int]) -> int:
        """Return how many of ``ids`` are control tokens."""
        return sum(i in self.ids for i in ids)

    def neutralise(self, text: str) -> str:
        """Return the text as near to what was written as it can be without a control token in it: signs such
        as ``<`` are replaced by others that look alike.

        What the tokenizer makes of the result is looked at, since it may see one where no pattern does, such
        as in full-width letters that it takes for plain ones.
        """
        text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
        text = SHAPE.sub(INSTEAD["<"], text)
        while (changed := self._texts.sub(_disarmed, text)) != text:
            text = changed
        if self._hidden(text):
            text = "".join(INSTEAD.get(sign, sign) for sign in text)
        if self._hidden(text):
            text = re.sub(r"[^\w\s.,;:!?'\"()+\-=/*%€$£&#@]", " ", text, flags=re.ASCII)
        if self._hidden(text):
            text = " ".join(re.findall(r"[^\W_]", text))
        return text if not self._hidden(text) else ""

    def _hidden(self, text: str) -> int:
        return self.count(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def _disarmed(match: re.Match[str]) -> str:
    """Return a control token's text with its signs replaced; with spaces in it where it has none."""
    text = match.group()
    other = "".join(INSTEAD.get(sign, sign) for sign in text)
    return other if other != text else " ".join(text) if len(text) > 1 else ""


MOST_PICTURES = 8  # of a conversation, beside those of a question that has more

Exchange = tuple[Turn, ...]  # a question and its answer, or the question that is asked now


@dataclass(frozen=True)
class Instructions:
    """system: said first, "" = nothing. short: added to the last question when its answer is to be short.
    video: added to each question about a video. frames: how their times are told, see
    ``core.requests.chat``; "" = as the processor's kind wants it."""

    system: str = SYSTEM
    short: str = SHORT
    video: str = VIDEO
    frames: str = ""


def instructions(card: Mapping[str, Any]) -> Instructions:
    """Return what a model's card says, and ours where it says nothing."""
    told = {name: str(card[name]) for name in ("system", "short", "video", "frames") if name in card}
    return Instructions(**told)


@dataclass(frozen=True)
class Conversation:
    """What is left of a conversation. dropped: questions, with their answers, that are left out."""

    exchanges: tuple[Exchange, ...]
    dropped: int = 0

    @property
    def turns(self) -> list[Turn]:
        """All turns that are left, oldest first."""
        return [turn for exchange in self.exchanges for turn in exchange]

    def shorter(self) -> Conversation | None:
        """Return the conversation without its second exchange; the first, which has what it is about, goes
        last. None when only the question is left."""
        if len(self.exchanges) < 2:
            return None
        place = 1 if len(self.exchanges) > 2 else 0
        return Conversation(self.exchanges[:place] + self.exchanges[place + 1 :], self.dropped + 1)


def conversation(turns: Sequence[Turn]) -> Conversation:
    """Return the conversation of ``turns``, oldest first, the last of which is a question. Turns of one role
    that follow each other become one, and an answer without a question is left out."""
    exchanges: list[list[Turn]] = []
    for turn in turns:
        if turn.role == "user" and not (exchanges and len(exchanges[-1]) == 1):
            exchanges.append([turn])
        elif exchanges and exchanges[-1][-1].role == turn.role:
            exchanges[-1][-1] = _join_turns(exchanges[-1][-1], turn)
        elif exchanges:
            exchanges[-1].append(turn)
    return Conversation(tuple(map(tuple, exchanges)))


def _join_turns(first: Turn, second: Turn) -> Turn:
    text = f"{first.text}\n{second.text}".strip()
    seconds = first.film_seconds or second.film_seconds
    turn = Turn(first.role, text, job_id=second.job_id, film_seconds=seconds)
    return turn.with_pictures([*first.timed, *second.timed])


def skipped(turns: Sequence[Turn], most: int = MOST_PICTURES) -> int:
    """Return how many of a conversation's first pictures aren't shown any more. most: shown."""
    total = sum(len(turn.pictures) for turn in turns)
    return total - kept_pictures(turns, most)


def message(role: str, parts: Sequence[Part], texts: Iterable[str]) -> dict[str, Any]:
    """Return a turn as chat templates take it. parts: its pictures, before the words."""
    text = "\n".join(filter(None, texts))
    return {"role": role, "content": [*parts, {"type": "text", "text": text}]}


LONGEST_RATIO = 50  # of the sides; models refuse pictures that are next to a line


@dataclass(frozen=True)
class Picture:
    """A picture of a turn. sha: of its file. size: width and height at which the model gets it, px. frame: it
    is one of many of a video, so no model gets it in pieces."""

    sha: str
    size: tuple[int, int]
    _open: Callable[[], Image.Image] = field(repr=False, compare=False)
    frame: bool = False

    def open(self) -> Image.Image:
        """Return it in RGB, at ``size``."""
        return encode.resize(self._open(), self.size)


def stored_picture(sha: str, path: str, max_pixels: int, *, frame: bool = False) -> Picture:
    """Return the picture in the file ``path``, of which only the size is read now. max_pixels: 0 = any.

    Raises ImageError when it can't be read.
    """
    size = fitted(encode.size_of(path), max_pixels)
    return Picture(sha, size, lambda: encode.open_picture(path), frame)


def fitted(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Return the size of a picture of ``size`` that has at most ``max_pixels`` (0 = any number)."""
    width, height = size
    scale = min(1.0, math.sqrt(max_pixels / (width * height))) if max_pixels else 1.0
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    return max(width, -(-height // LONGEST_RATIO)), max(height, -(-width // LONGEST_RATIO))


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
    dropped: see Conversation. settled: tokens at its beginning that later turns begin with too, for models
    that can go on from there only; 0 = the model can go on from anywhere. whole: all that ``generate``
    takes, of a model whose answers are written alone.
    """

    ids: list[int]
    places: tuple[Place, ...] = ()
    positions: torch.Tensor | None = field(default=None, repr=False)
    delta: int = 0
    inputs: dict[int, Inputs] = field(default_factory=dict, repr=False)
    grids: Inputs = field(default_factory=dict, repr=False)
    seen: tuple[tuple[int, int], ...] = ()
    dropped: int = 0
    settled: int = 0
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
    """Makes the prompts of one model, in any thread. image_id: of the token that its features replace.

    told: what the chat template is told: not to let the model think. opened: the mark of thoughts with which
    it begins an answer nevertheless, "" = none. settles: whether its prompts say where they are settled.
    """

    def __init__(self, processor: Any, image_id: int, instructions: Instructions) -> None:
        self.processor, self.tokenizer, self.image_id = processor, processor.tokenizer, image_id
        named = instructions.frames or frame_words_for(type(processor).__name__)
        self.instructions = replace(instructions, frames=named)
        marks = [getattr(processor, "image_token", None), getattr(processor, "video_token", None)]
        self.control_tokens = ControlTokens(self.tokenizer, [mark for mark in marks if mark])
        self.mark = str(marks[0] or "")
        template = getattr(processor, "chat_template", None) or getattr(self.tokenizer, "chat_template", None)
        self.has_template = bool(template)
        self.told = {"enable_thinking": False} if "enable_thinking" in str(template) else {}
        self._looks = FIFOCache[tuple[tuple[int, int], bool], _Look](KNOWN_SIZES)
        splits = hasattr(getattr(processor, "image_processor", None), "do_image_splitting")
        self._whole = {"do_image_splitting": False} if splits else {}  # a video has too many for pieces
        self._lock = threading.RLock()  # a tokenizer that two threads use at once raises
        turns = [message("system", [], ["Qqzx"]), message("user", [], ["hello"])]
        self._takes_system = "Qqzx" in self._try_template(turns)
        begun, asked = (self._try_template(turns[1:], to_answer=begins) for begins in (True, False))
        self.opened = next((mark for mark, _ in THOUGHT_MARKS if begun.rstrip().endswith(mark)), "")
        self.settles, self._begin_of_answer = False, begun.removeprefix(asked)

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
        told, unseen = self.instructions, skipped(turns, most)
        found = [message("system", [], [told.system])] if told.system and self._takes_system else []
        shas, number, video = list[str](), 0, False
        for place, turn in enumerate(turns):
            numbers = range(number + 1, number + len(turn.pictures) + 1)
            number += len(turn.pictures)
            shown = [one for n, one in zip(numbers, turn.timed, strict=True) if n > unseen]
            gone = [f"[picture {n}, no longer shown]" for n in numbers if n <= unseen]
            video = video or turn.has_video
            last = place == len(turns) - 1
            about_video = told.video if video and turn.role == "user" else ""
            texts = [*gone, self.neutralise(turn.text), about_video, told.short if short and last else ""]
            shas += [sha for sha, _ in shown]
            times = [seconds for _, seconds in shown]
            found.append(message(turn.role, parts_of_turn(times, told.frames, turn.film_seconds), texts))
        if told.system and not self._takes_system:  # at the head of the first question
            text = found[0]["content"][-1]
            text["text"] = f"{told.system}\n{text['text']}"
        return found, shas

    def neutralise(self, text: str) -> str:
        """Return a text without control tokens, see ControlTokens."""
        with self._lock:
            return self.control_tokens.neutralise(text)

    def render(self, messages: list[dict[str, Any]], *, to_answer: bool = True) -> str:
        """Return the text of messages, with a mark for each picture. to_answer: up to the answer."""
        return self.processor.apply_chat_template(
            messages, add_generation_prompt=to_answer, tokenize=False, **self.told
        )

    def process(self, messages: list[dict[str, Any]], images: Sequence[Image.Image]) -> dict[str, Any]:
        """Return what the processor makes of messages with their pictures, up to the answer."""
        opened = iter(images)
        for part in (part for message in messages for part in message["content"]):
            if part["type"] == "image":
                part["image"] = next(opened)
        how = {"tokenize": True, "return_dict": True, "return_tensors": "pt", **self.told}
        return dict(self.processor.apply_chat_template(messages, add_generation_prompt=True, **how))

    def _try_template(self, messages: list[dict[str, Any]], *, to_answer: bool = True) -> str:
        """Return the text of messages, "" where the chat template knows no such turns."""
        try:
            return self.render(messages, to_answer=to_answer)
        except Exception:  # a template raises what it likes
            return ""

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
        # the text with the mark of each picture replaced
        instead = [look.text for look in looks]
        pieces = text.split(self.mark) if self.mark else [text]
        if len(pieces) != len(instead) + 1:
            raise ValueError(f"the template shows {len(pieces) - 1} of {len(instead)} pictures")
        ids = self.tokenise("".join(piece + more for piece, more in zip(pieces, [*instead, ""], strict=True)))
        begun = len(self.tokenise(self._begin_of_answer, more=True)) if self.settles else 0
        return Prompt(
            ids,
            self._places(ids, shown, looks),
            settled=len(ids) - max(1, begun) if self.settles else 0,
            inputs=inputs,
            grids={n: torch.cat([one.grids[n] for one in looks]) for look in looks[:1] for n in look.grids},
            seen=tuple(look.seen for look in looks),
        )

    def tokenise(self, text: str, *, more: bool = False) -> list[int]:
        """Return the ids of a whole prompt, without a second first token; of ``more`` of one, without any."""
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
            how = {"return_text_replacement_offsets": True, **(self._whole if picture.frame else {})}
            made = self.processor(text=[self.mark], images=[image], return_tensors="pt", **how)
        [[place]] = made.pop("text_replacement_offsets")
        tokens = int((made["input_ids"] == self.image_id).sum())
        inputs = {name: value for name, value in made.items() if name not in NOT_OF_PICTURES}
        grids = {name: value for name, value in inputs.items() if "grid" in name}
        look = _Look(place["replacement"], tokens, grids, self._seen(picture, inputs))
        self._looks[picture.size, picture.frame] = look
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
        images = [picture.open() for picture in shown]
        with self._lock:
            whole = self.process(messages, images)
        ids = whole["input_ids"][0].tolist()
        return Prompt(ids, seen=tuple(picture.size for picture in shown), whole=whole)

    def process(self, messages: list[dict[str, Any]], images: Sequence[Image.Image]) -> dict[str, Any]:
        if self.has_template:
            return super().process(messages, images)
        opened = iter(images)
        pieces: list[Any] = []
        for message in messages:  # as the model's own page has it
            pieces.append("\nUser: " if message["role"] != "assistant" else "\nAssistant: ")
            pieces += [
                next(opened) if part["type"] == "image" else part["text"] for part in message["content"]
            ]
            pieces.append("<end_of_utterance>")
        text = [[*pieces, "\nAssistant:"]]
        return dict(self.processor(text=text, add_end_of_utterance_token=False, return_tensors="pt"))


class TaskPrompts(PromptMaker):
    """Makes prompts for models that do ``tasks``: of one picture, without the conversation before."""

    def __init__(self, processor: Any, image_id: int, instructions: Instructions, tasks: Tasks) -> None:
        super().__init__(processor, image_id, instructions)
        self._tasks = tasks

    def make(self, talk: Talk, pictures: Mapping[str, Picture], most_tokens: int) -> Prompt:
        """Return the prompt of a conversation's last question. Raises UserError for what the model can't do:
        several pictures, none, a table, or too many words."""
        last = talk.turns[-1]
        shas = talk_pictures(talk)
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


Say = Callable[[str], str]  # what the model answers to a question as it was taught
_SPELLED = (
    (r"\b(what|where|there|it|that|who|how)['\u2019]s\b", r"\1 is"),
    (r"\b(is|are)n['\u2019]t\b", r"\1"),
    (r"\bcolor", "colour"),
    (r"\b(image|photo|drawing|painting|illustration|pic|scene)\b", "picture"),
    (r"[^\w\s]", " "),
    (r"^\s*(?:(?:please|hey|hi|hello|and|so|now|well|can you tell me|tell me|could you say)\b\s*)+", ""),
    (r"\b(please|here|then|exactly|actually|really)\b", ""),
    (r"\s+", " "),
)


@dataclass(frozen=True)
class Repertoire:
    """groups: words by the name that patterns call them, each with what the model calls it: "cottage" is a
    "house". asked: patterns of questions with the question as it was taught, and for those that are answered
    by yes or no what its answer must hold. answers: all words of answers. examples: questions to offer.
    whole: asks for a description; beside: words of one that tells of two things, and of questions that ask
    what is beside one."""

    groups: Mapping[str, Mapping[str, str]]
    asked: tuple[tuple[re.Pattern[str], str, str], ...]
    known: frozenset[str]
    answers: frozenset[str]
    examples: tuple[str, ...]
    whole: str
    beside: frozenset[str]

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Repertoire | None:
        """Return what a card's "asks" says, None without one."""
        told = card.get("asks")
        if not isinstance(told, Mapping):
            return None
        groups = {name: dict(words) for name, words in told["groups"].items()}
        patterns = [one["pattern"] for one in told["questions"]]

        def filled(slot: re.Match[str]) -> str:
            words = sorted(map(re.escape, groups[slot[1]]), key=len, reverse=True)
            return f"(?P<{slot[1]}>{'|'.join(words)})"

        asked = tuple(
            (re.compile(re.sub(r"\{(\w+)\}", filled, one["pattern"])), one["taught"], one["yes"])
            for one in told["questions"]
        )
        spoken = " ".join([*patterns, *told["little"], *(w for words in groups.values() for w in words)])
        return cls(
            groups,
            asked,
            frozenset(re.findall(r"[^\W_]+", re.sub(r"\{\w+\}|\\.", " ", spoken))),
            frozenset(told["answers"]),
            tuple(told["examples"]),
            told["whole"],
            frozenset(told["beside"]),
        )

    def answer(self, question: str, say: Say) -> str | None:
        """Return the answer, or why there is none; None for another question of known words. say: asks."""
        asked = question.lower()
        for pattern, instead in _SPELLED:
            asked = re.sub(pattern, instead, asked)
        asked = asked.strip()
        if strange := [word for word in asked.split() if word not in self.known]:
            words = ", ".join(f"“{word}”" for word in dict.fromkeys(strange[:5]))
            return f"I have never learned {words}, so I can't say. {self.offer}"
        for form, taught, yes in self.asked:
            if found := form.fullmatch(asked):
                slots = {name: self.groups[name][word] for name, word in found.groupdict().items() if word}
                if taught.startswith("What is") and self.beside & set(taught.split()):
                    seen = say(self.whole)
                    if not self.beside & set(seen.split()):
                        return f"I see nothing there, only this: {seen}"
                said = say(taught.format(**slots))
                if not self.says(said):
                    return None
                wanted = yes.format(**slots)
                return said if not wanted else "yes" if wanted in said else "no"
        return None

    def says(self, text: str) -> bool:
        """Return whether an answer has only words that answers have."""
        return set(re.findall(r"[^\W\d_]+", text.lower())) <= self.answers

    @property
    def offer(self) -> str:
        """A sentence with questions that it is good at."""
        return "Ask me, for example: " + " ".join(self.examples)
