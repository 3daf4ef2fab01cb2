"""Loads a chat model, and tries whether its answers can be written together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, DynamicCache

from core.errors import ModelError
from vision import devices
from vision.chat.caches import JoinedCaches, cache_of, layers_of
from vision.chat.decoder import piece_end
from vision.chat.model import ChatModel
from vision.chat.pictures import Picture
from vision.chat.prompt import Prompt
from vision.chat.talking import Talker
from vision.protocol import Talk, Turn

log = logging.getLogger(__name__)

KEPT_SHARE, MOST_KEPT = 10, 2 * 2**30  # of the free memory, and bytes, for next turns
WANTED = "ASK_MODEL takes a chat model that reads pictures."
WITHOUT_TEMPLATE = "idefics"  # its form is in vision.chat.prompt
TOLERANCE = {torch.float32: 1e-3}  # of the largest logit: what may differ when rows are joined
LOW_TOLERANCE = 0.1  # … in half precision


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Talker:
    """Return the chat model in ``folder``. Raises ModelError for a model that can't talk about pictures."""
    common = {"local_files_only": True, "trust_remote_code": False}
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    processor = AutoProcessor.from_pretrained(folder, **common)
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{name} ({kind}) has no processor for pictures and words; {WANTED}")
    model = (
        AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True, **common)
        .to(device)
        .eval()
    )
    chat = ChatModel(name, model, processor, card)
    if not chat.prompts.has_template and chat.tasks is None and kind != WITHOUT_TEMPLATE:
        raise ModelError(f"{name} ({kind}) has no chat template; {WANTED}")
    why = chat.why_alone or _tried(chat)
    if why:
        log.info("%s answers one question after the other: %s", name, why)
        chat.write_alone()
    return Talker(chat, min(devices.memory(device)[0] // KEPT_SHARE, MOST_KEPT))


def _tried(model: ChatModel) -> str:
    """Return why answers can't be written together: whatever comes out otherwise than from the processor and
    a call of the model for one conversation alone. "" = nothing does."""
    try:
        with torch.no_grad():
            return "" if _is_as_alone(model) else "joined, it says something else"
    except Exception as error:  # of a model that nobody here has seen
        if devices.is_out_of_memory(error) or devices.is_sticky(error):
            raise
        log.debug("no joining", exc_info=True)
        return f"{type(error).__name__} when joined"


def _is_as_alone(model: ChatModel) -> bool:
    """Compare the logits of two conversations, one with a picture, and of their next token."""
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    picture = Picture("try", image.size, lambda: image)
    talks = [
        Talk((Turn("user", "What is this?", ("try",)),)),
        Talk((Turn("user", "Hello."), Turn("assistant", "Good day."), Turn("user", "How are you?"))),
    ]
    rows, expected, tokens = JoinedCaches(), [], []
    for talk in talks:
        prompt = model.prompts.make(talk, {"try": picture}, model.context)
        if prompt.ids != (whole := _whole(model, talk, image))["input_ids"][0].tolist():
            return False
        right = model.model(**model.moved(whole)).logits[0, -1].float()
        logits, cache = _read(model, prompt)
        if not _close(model, logits, right):
            return False
        tokens.append(int(right.argmax()))
        longer, length = prompt.extended(tokens[-1:]), len(prompt.ids)
        expected.append(model.read(longer, length, length + 1, cache_of(layers_of(cache))))
        rows.add(cache, len(prompt.ids), prompt.delta)
    written = model.write(tokens, rows.lengths, rows.deltas, rows.cache)
    return all(_close(model, row, right) for row, right in zip(written, expected, strict=True))


def _whole(model: ChatModel, talk: Talk, image: Image.Image) -> Mapping[str, Any]:
    """Return what the processor itself makes of a conversation."""
    messages, shas = model.prompts.messages(talk.turns, False)
    for message in messages:
        message["content"] = [
            {"type": "image", "image": image} if part["type"] == "image" else part
            for part in message["content"]
        ]
    return model.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def _read(model: ChatModel, prompt: Prompt) -> tuple[torch.Tensor, DynamicCache]:
    """Read a whole prompt, in pieces, and return the logits after it and its cache."""
    model.locate(prompt)
    cache, read, logits = DynamicCache(), 0, torch.empty(0)
    while read < len(prompt.ids):
        begin, read = read, piece_end(prompt, read)
        logits = model.read(prompt, begin, read, cache)
    return logits, cache


def _close(model: ChatModel, one: torch.Tensor, other: torch.Tensor) -> bool:
    allowed = TOLERANCE.get(model.model.dtype, LOW_TOLERANCE) * float(other.abs().max())
    return bool((one - other).abs().max() <= allowed)
