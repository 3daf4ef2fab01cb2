"""Writes the answers of models whose caches can't be joined, one after the other, by transformers' own
``generate``: those with cross-attention to pictures (Idefics, Mllama), with layers that keep a state, or that
do tasks (Florence-2, PaliGemma)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from vision.chat.model import ChatModel
from vision.chat.reply import Reply


class _BeforeToken(StoppingCriteria):
    """Takes in each token, and lets others go first before the next."""

    def __init__(self, reply: Reply, ends: frozenset[int], before_slice: Callable[[], None]) -> None:
        self.reply, self.ends, self.before_slice = reply, ends, before_slice

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.reply.take(int(input_ids[0, -1]), self.ends)
        if not self.reply.is_over:
            self.before_slice()
        return torch.tensor([self.reply.is_over], device=input_ids.device)


@torch.no_grad()
def write(model: ChatModel, reply: Reply, inputs: dict[str, Any], before_slice: Callable[[], None]) -> None:
    """Write a whole answer. inputs: of its prompt, from the processor. before_slice: called before each
    token; what it raises ends the writing."""
    how: dict[str, Any] = {"do_sample": False}
    if reply.temperature:
        how = {"do_sample": True, "temperature": reply.temperature, "top_k": 0}
    criteria = StoppingCriteriaList([_BeforeToken(reply, model.ends, before_slice)])
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(reply.seed)
        model.model.generate(
            **inputs,
            max_new_tokens=reply.max_tokens,
            num_beams=1,  # Florence-2's files want three, of which no token is sure before the last
            eos_token_id=sorted(model.ends) or None,
            stopping_criteria=criteria,
            **how,
        )
