"""A chat model in memory, and the calls of it: a piece of a prompt, or a token of several answers."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

from vision import devices
from vision.chat.output_parser import TASKS, THOUGHT_MARKS, answer_in, wanted_of_card
from vision.chat.prompt import (
    Prompt,
    PromptMaker,
    Repertoire,
    TaskPrompts,
    WholePrompts,
    instructions,
    message,
)

PLACE = "<loc"  # begins every token that stands for a place in a picture
STATEFUL_LAYERS = {"linear_attention", "conv"}  # which hold a state of one size instead of all tokens
JOINED_LAYERS = {"full_attention", "sliding_attention", *STATEFUL_LAYERS}


class State(NamedTuple):
    """What a layer of linear attention knows of the tokens before (Gated DeltaNet, arXiv:2412.06464; as
    transformers holds it). conv: the last columns before its convolution, (B, channels, kernel). recurrent:
    (B, heads, keys, values), None in layers that have none."""

    conv: Tensor
    recurrent: Tensor | None


# keys and values (B, heads, length, size) of each layer that has them
Layers = list[tuple[Tensor, Tensor]]


def layers_of(cache: DynamicCache) -> Layers:
    """Return keys and values of each layer that has them."""
    return [
        (layer.keys, layer.values) for layer in cache.layers if not isinstance(layer, LinearAttentionLayer)
    ]


def states_of(cache: DynamicCache) -> list[State]:
    """Return copies of the states in a cache, since a call changes them where they are."""
    return [
        State(layer.conv_states[0].clone(), None if recurrent is None else recurrent.clone())
        for layer in cache.layers
        if isinstance(layer, LinearAttentionLayer)
        for recurrent in layer.recurrent_states.values()
    ]


class ChatModel:
    """A model that answers in words. card: the folder's ``atelier.json``; its "system", "short" and
    "max_new_tokens" replace ours, and those that vision.chat.output_parser knows; with "hints" false it
    isn't told the text in pictures; "asks" is all that it was taught to be asked, and
    where that has "grounds", the pack's readers measure what they can instead of it.

    max_tokens: of an answer, 0 = as asked for. top_k, top_p: of tokens that are sampled, as the model's files
    have it; 0 and 1 = all. context: most tokens that the model was made for. ends: ids
    after which an answer is over. joins: whether answers can be written together; else each is written alone.
    """

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor, self.card = name, model, processor, card
        self.tokenizer = copy.deepcopy(processor.tokenizer)  # prompts are made by the other in a thread
        config = model.config
        text = config.get_text_config()
        image_ids = (getattr(config, name, None) for name in ("image_token_id", "image_token_index"))
        self.image_id = next((int(i) for i in image_ids if i is not None), -1)
        self.tasks = TASKS.get(str(config.model_type))
        told = instructions(card)
        self.prompts = (
            TaskPrompts(processor, self.image_id, told, self.tasks)
            if self.tasks
            else PromptMaker(processor, self.image_id, told)
        )
        self.layer_kinds = tuple(getattr(text, "layer_types", None) or ("full_attention",))
        self.prompts.settles = not STATEFUL_LAYERS.isdisjoint(self.layer_kinds)
        self.wanted = wanted_of_card(card, str(config.model_type))
        self.repertoire = Repertoire.of(card)
        self.joins = True
        self.takes_hints = bool(card.get("hints", self.tasks is None))
        self.max_tokens = int(card.get("max_new_tokens", 0))
        self.top_k = int(model.generation_config.top_k or 0)
        self.top_p = float(model.generation_config.top_p or 1.0)
        self.context = int(getattr(text, "max_position_embeddings", 0) or 2**20)
        self.ends = self._ends()
        marks = [mark for pair in THOUGHT_MARKS for mark in pair]
        specials = self.tokenizer.all_special_tokens
        self._reads_specials = self.tasks is not None or any(
            token in mark for token in filter(None, specials) for mark in marks
        )
        self._takes = inspect.signature(model.forward).parameters
        # transformers 5.24 has renamed it
        self._cache = "cache" if "cache" in self._takes else "past_key_values"
        self._rows_and_columns = next((m for m in model.modules() if hasattr(m, "get_rope_index")), None)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def _ends(self) -> frozenset[int]:
        """Return the ids that the model's files name, and what its template puts after an answer."""
        found: set[int] = set()
        for holder in (self.model.generation_config, self.tokenizer):
            ids = holder.eos_token_id
            found |= set(ids if isinstance(ids, list | tuple) else [ids])
        messages = [message("user", [], ["hello"]), message("assistant", [], ["Qqzx"])]
        if not self.prompts.has_template:
            return frozenset(i for i in found if i is not None)
        text = self.prompts.render(messages, to_answer=False)
        after = self.tokenizer(text.rpartition("Qqzx")[2], add_special_tokens=False)["input_ids"]
        found |= set(after[:1]) & self.prompts.control_tokens.ids
        return frozenset(i for i in found if i is not None)

    # What a model must be able to do to have its answers written together

    @property
    def why_alone(self) -> str:
        """Why this model's answers can't be written together, as far as its files say; "" = they can."""
        text = self.model.config.get_text_config()
        if self.tasks is not None:
            return "it does one task at a time"
        missing = {"position_ids", "attention_mask", self._cache} - set(self._takes)
        if hasattr(self.model.config, "cross_layer_interval") or hasattr(text, "cross_attention_layers"):
            return "it looks at pictures in layers of their own"
        if missing:
            return f"its forward has no {', '.join(sorted(missing))}"
        if not JOINED_LAYERS.issuperset(self.layer_kinds):
            return f"it has layers of {', '.join(sorted(set(self.layer_kinds) - JOINED_LAYERS))}"
        if self.model.config.is_encoder_decoder:
            return "it reads and writes by different parts"
        if not self.prompts.mark or self.image_id < 0:
            return "it has no token that stands for a picture"
        return ""

    def write_alone(self) -> None:
        """Have each answer written alone from now on."""
        self.joins = False
        if self.tasks is None:
            self.prompts = WholePrompts(self.processor, self.image_id, self.prompts.instructions)

    # Calls

    def cache_of(self, layers: Layers, states: Sequence[State] = ()) -> DynamicCache:
        """Return a cache that begins with these, which it never changes; without any, with nothing."""
        cache, left, held = DynamicCache(), iter(layers), iter(states)
        for kind in self.layer_kinds if self.prompts.settles else ["full_attention"] * len(layers):
            if kind in STATEFUL_LAYERS:
                cache.layers.append(stateful := LinearAttentionLayer())
                conv, recurrent = next(held, (None, None))
                if conv is not None:
                    stateful.update_conv_state(conv)
                if recurrent is not None:
                    stateful.update_recurrent_state(recurrent)
            else:
                cache.layers.append(plain := DynamicLayer())
                if (known := next(left, None)) is not None:
                    plain.update(*known)
        return cache

    def locate(self, prompt: Prompt) -> None:
        """Set the positions of a prompt, for a model that counts in rows and columns."""
        module = self._rows_and_columns
        if module is None:
            return
        ids = torch.tensor([prompt.ids], device=self.device)
        given = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == self.image_id).int(),
            **{name: grid.to(self.device) for name, grid in prompt.grids.items()},
        }
        takes = inspect.signature(module.get_rope_index).parameters
        prompt.positions, delta = module.get_rope_index(**{k: v for k, v in given.items() if k in takes})
        prompt.delta = int(delta)

    def read(self, prompt: Prompt, begin: int, end: int, cache: DynamicCache) -> Tensor:
        """Read ids[begin:end] behind what is in ``cache``, and return the logits after the last of them: (V,)
        in float32. Each picture in it is either whole or not at all, and there is one at most."""
        ids = torch.tensor([prompt.ids[begin:end]], device=self.device)
        if prompt.positions is None:
            positions = torch.arange(begin, end, device=self.device)[None]  # (1, L)
        else:
            positions = prompt.positions[..., begin:end]  # (3, 1, L)
        more: dict[str, Any] = {}
        for number, place in enumerate(prompt.places):
            if begin <= place.begin < end:
                made = prompt.inputs.pop(number, None) or self.prompts.inputs_of(place.picture)
                more = self.moved(made)
                if "token_type_ids" in self._takes:  # of all, as a mask over what is in the cache needs
                    known = torch.tensor([prompt.ids[:end]], device=self.device)
                    more["token_type_ids"] = (known == self.image_id).long()
        mask = torch.ones(1, end, dtype=torch.long, device=self.device)
        return self._logits(ids, mask, positions, cache, more)[0]

    def write(
        self, tokens: Sequence[int], lengths: Sequence[int], deltas: Sequence[int], cache: DynamicCache
    ) -> Tensor:
        """Read the next token of several answers, and return the logits after each: (B, V) in float32.

        lengths: of what is in the cache of each; there, they end at the same column. deltas: see Prompt.
        """
        width = cache.get_seq_length()
        length = torch.tensor(lengths, device=self.device)  # (B,)
        columns = torch.arange(width + 1, device=self.device)
        mask = (columns[None] >= (width - length)[:, None]).long()  # (B, W + 1)
        positions = (length + torch.tensor(deltas, device=self.device))[:, None]  # (B, 1)
        if self._rows_and_columns is not None:
            positions = positions.expand(3, -1, -1)
        return self._logits(torch.tensor(tokens, device=self.device)[:, None], mask, positions, cache, {})

    def read_after(self, ids: Tensor, length: int, delta: int, cache: DynamicCache) -> Tensor:
        """Read several rows (B, L) behind the same ``length`` tokens in each row of ``cache``, and return the
        logits after every token: (B, L, V) in float32."""
        positions = torch.arange(length, length + ids.shape[1], device=self.device) + delta
        positions = positions.expand(len(ids), -1)  # (B, L)
        if self._rows_and_columns is not None:
            positions = positions.expand(3, -1, -1)
        mask = torch.ones(len(ids), length + ids.shape[1], dtype=torch.long, device=self.device)
        given = {self._cache: cache, "position_ids": positions, "attention_mask": mask}
        return self.model(input_ids=ids, use_cache=True, **given).logits.float()

    def _logits(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, more: Mapping[str, Any]
    ) -> Tensor:
        given = {self._cache: cache, "position_ids": positions, **more}
        if "logits_to_keep" in self._takes:
            given["logits_to_keep"] = 1
        out = self.model(input_ids=ids, attention_mask=mask, use_cache=True, **given)
        return out.logits[:, -1].float()

    def moved(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a processor made, on the model's device and in its dtype."""
        return devices.moved_to(self.model, inputs)

    def text(self, tokens: Sequence[int], *, growing: bool = False) -> str:
        """Return the words of an answer without what was thought before, nor a sign at its end of which a
        part is still to come. growing: see ``answer_in``."""
        text = answer_in(self._decode(tokens), growing=growing)
        if self._reads_specials:  # special tokens tell where objects are, or thoughts
            for mark in self.tokenizer.all_special_tokens:
                text = text if mark.startswith(PLACE) else text.replace(mark, "")
        return text.strip().rstrip("\ufffd")

    def is_thinking(self, tokens: Sequence[int]) -> bool:
        """Whether these are thoughts alone so far."""
        text = self._decode(tokens)
        return not answer_in(text).strip() and any(mark in text for mark, _ in THOUGHT_MARKS)

    def _decode(self, tokens: Sequence[int]) -> str:
        """Return the words of an answer from where its thoughts begin, be it in the prompt."""
        skips = {"skip_special_tokens": not self._reads_specials, "clean_up_tokenization_spaces": False}
        return self.prompts.opened + self.tokenizer.decode(list(tokens), **skips)
