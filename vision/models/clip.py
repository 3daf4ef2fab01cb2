"""CLIP and SigLIP: how well each of some labels fits a picture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoModel, AutoProcessor

from core.errors import ModelError

TEMPLATES = ("a photo of {}.", "a picture of {}.", "an image of {}.", "{}")  # averaging several is worth a few points (CLIP paper, 3.1.4)
KEPT = 1000  # labels whose embeddings are remembered
CLIP_TYPES = ("clip", "metaclip_2", "altclip", "chinese_clip")
SIGLIP_TYPES = ("siglip", "siglip2")
LABELS = (
    "person", "crowd", "portrait", "cat", "dog", "bird", "horse", "fish", "insect", "flower", "tree", "forest", "mountain", "beach", "sea",
    "river", "sky", "sunset", "night", "snow", "desert", "city street", "building", "house", "room", "car", "train", "aeroplane", "boat",
    "bicycle", "food", "drink", "fruit", "book", "text or a document", "screenshot", "diagram or chart", "map", "drawing", "painting",
    "cartoon", "3D rendering", "logo", "toy", "tool", "clothing", "furniture", "musical instrument", "computer", "abstract pattern",
)  # fmt: skip


class Matcher:
    """A CLIP or SigLIP model in memory."""

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.templates: tuple[str, ...] = tuple(card.get("templates", TEMPLATES))
        self.labels: tuple[str, ...] = tuple(card.get("labels", LABELS))
        self.sigmoid = model.config.model_type in SIGLIP_TYPES
        self._known: OrderedDict[tuple[str, tuple[str, ...]], torch.Tensor] = OrderedDict()  # (label, templates) → (D,)

    @torch.no_grad()
    def probabilities(self, image: Image.Image, labels: Sequence[str], turn: Callable[[], None] = lambda: None) -> list[float]:
        """One number for each label; they sum to 1. CLIP: softmax. SigLIP: its sigmoid for each label, then shares of their sum.

        turn: called before each piece of the work.
        """
        text = torch.stack([self._label(label, turn) for label in labels])  # (L, D)
        turn()
        seen = self.images([image])
        logits = self.model.logit_scale.exp() * (seen @ text.T)[0]  # (L,)
        if self.sigmoid:
            logits = torch.nn.functional.logsigmoid(logits + self.model.logit_bias)  # shares of sigmoids = softmax of their logarithms
        return logits.float().softmax(0).tolist()

    @torch.no_grad()
    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """(N, D), unit length."""
        pixels = self.processor.image_processor(images=list(images), return_tensors="pt")
        return _embedding(self.model.get_image_features(**_to(pixels, self.model)))

    def _label(self, label: str, turn: Callable[[], None]) -> torch.Tensor:
        """(D,), kept for KEPT labels."""
        key = label, self.templates
        if key not in self._known:
            turn()
            self._known[key] = self._text(label)
        self._known.move_to_end(key)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[key]

    def _text(self, label: str) -> torch.Tensor:
        """(D,): the mean direction of the label in every template."""
        mean = self.texts([template.format(label) for template in self.templates]).mean(0)
        return mean / mean.norm()

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """(N, D), unit length; what is longer than the model reads is cut."""
        tokenizer = self.processor.tokenizer
        limit = min(tokenizer.model_max_length, self.model.config.text_config.max_position_embeddings)
        texts = [text.lower() if self.sigmoid else text for text in texts]  # SigLIP was trained on lower case
        tokens = tokenizer(texts, padding="max_length" if self.sigmoid else True, truncation=True, max_length=limit, return_tensors="pt")
        given = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
        return _embedding(self.model.get_text_features(**_to(given, self.model)))


def _embedding(output: Any) -> torch.Tensor:
    """(N, D), unit length. transformers 5 returns an output object whose pooler_output is the projected embedding."""
    features = output if isinstance(output, torch.Tensor) else output.pooler_output
    return features / features.norm(dim=-1, keepdim=True)


def _to(batch: Mapping[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    return {k: v.to(model.device, model.dtype if v.is_floating_point() else v.dtype) for k, v in batch.items()}


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Matcher:
    """Load a CLIP or SigLIP folder. ModelError for any other kind of model."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    if kind not in CLIP_TYPES + SIGLIP_TYPES:
        raise ModelError(f"{name} is a {kind} model; CLIP_MODEL takes a CLIP or SigLIP model.")
    common = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModel.from_pretrained(folder, dtype=dtype, use_safetensors=True, **common).to(device).eval()
    return Matcher(name, model, AutoProcessor.from_pretrained(folder, **common), card)
