"""Where a transformer looked for an answer: relevance of each patch by attention rollout weighed with
gradients.

R ← R + E_h[(∇A ⊙ A)⁺] R over all layers, from R = I; the row of the class token tells how much each patch
speaks for the score: arXiv:2103.15679, equations 5 and 6 (self-attention).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Score = Callable[[Any], Tensor]  # a model's output → one number


def relevance(model: Any, pixels: Tensor, score: Score) -> np.ndarray | None:
    """Return how much each patch of one picture (1, 3, H, W) speaks for what ``score`` makes of the model's
    output: (rows, columns), 0..1, 1 = the most.

    None for a model that isn't a plain transformer with a class token before its patches.
    """
    patch = getattr(model.config, "patch_size", None)
    if not isinstance(patch, int) or not getattr(model.config, "num_attention_heads", 0):
        return None
    rows, columns = pixels.shape[-2] // patch, pixels.shape[-1] // patch
    with torch.inference_mode(False), torch.enable_grad():
        pixels = pixels.clone().requires_grad_()  # so that there is a graph, though weights need none
        output = watched(model)(pixel_values=pixels, output_attentions=True)
        attentions = output.attentions or ()
        tokens = attentions[0].shape[-1] if attentions else 0
        if tokens <= rows * columns or any(one.shape[-2:] != (tokens, tokens) for one in attentions):
            return None
        gradients = torch.autograd.grad(score(output), attentions)
    relevant = torch.eye(tokens, device=pixels.device)
    for attention, gradient in zip(attentions, gradients, strict=True):
        weighed = (attention.detach() * gradient).float().clamp(min=0).mean(1)[0]
        relevant = relevant + weighed @ relevant
    found = relevant[0, tokens - rows * columns :].view(rows, columns)
    return (found / found.max().clamp(min=1e-12)).cpu().numpy()


def watched(model: Any) -> Any:
    """Return a module over the same weights that tells its attentions. The model stays as it is: it may
    compute attention in a way that keeps none, and jobs beside may be using it."""
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"
    with torch.device("meta"):
        twin = type(model)(config)
    for name, value in (*model.named_buffers(), *model.named_parameters()):
        _put(twin, name, value.detach())
    return twin.eval()


def _put(module: Any, path: str, value: Tensor) -> None:
    """Set a parameter or buffer of a module, without a copy and without a gradient."""
    *parents, name = path.split(".")
    for parent in parents:
        module = getattr(module, parent)
    if name in module._parameters:
        module._parameters[name] = torch.nn.Parameter(value, requires_grad=False)
    else:
        module._buffers[name] = value
