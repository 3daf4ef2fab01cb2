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
from vision.engine.side_work import Batched, BeforeSlice, unbatched

TEMPLATES = (
    "a photo of {}.",
    "a picture of {}.",
    "an image of {}.",
    "{}",
)  # averaging several is worth a few points (CLIP paper, 3.1.4)
SLICE = 16  # texts or pictures at a time; the steps of other jobs come in between
KEPT = 1000  # labels whose embeddings are remembered
CLIP_TYPES = ("clip", "metaclip_2", "altclip", "chinese_clip")
SIGLIP_TYPES = ("siglip", "siglip2")
LABELS = (
    "person",
    "crowd",
    "portrait",
    "cat",
    "dog",
    "bird",
    "horse",
    "fish",
    "insect",
    "flower",
    "tree",
    "forest",
    "mountain",
    "beach",
    "sea",
    "river",
    "sky",
    "sunset",
    "night",
    "snow",
    "desert",
    "city street",
    "building",
    "house",
    "room",
    "car",
    "train",
    "aeroplane",
    "boat",
    "bicycle",
    "food",
    "drink",
    "fruit",
    "book",
    "text or a document",
    "screenshot",
    "diagram or chart",
    "map",
    "drawing",
    "painting",
    "cartoon",
    "3D rendering",
    "logo",
    "toy",
    "tool",
    "clothing",
    "furniture",
    "musical instrument",
    "computer",
    "abstract pattern",
)


class Matcher:
    """A CLIP or SigLIP model in memory."""

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.templates: tuple[str, ...] = tuple(card.get("templates", TEMPLATES))
        self.labels: tuple[str, ...] = tuple(card.get("labels", LABELS))
        self.sigmoid = model.config.model_type in SIGLIP_TYPES
        self._known: OrderedDict[tuple[str, tuple[str, ...]], torch.Tensor] = (
            OrderedDict()
        )  # (label, templates) → (D,)

    @torch.no_grad()
    def probabilities(
        self, image: Image.Image, labels: Sequence[str], batched: Batched = unbatched
    ) -> list[float]:
        """One number for each label; they sum to 1. CLIP: softmax. SigLIP: its sigmoid for each label, then
        shares of their sum."""
        text = torch.stack(self._directions(labels, batched))  # (L, D)
        seen = batched(self.look, [image])
        logits = self.model.logit_scale.exp() * (seen @ text.T)[0]  # (L,)
        if self.sigmoid:
            logits = torch.nn.functional.logsigmoid(
                logits + self.model.logit_bias
            )  # shares of sigmoids = softmax of their logarithms
        return logits.float().softmax(0).tolist()

    def look(self, asked: Sequence[Sequence[Image.Image]], before_slice: BeforeSlice) -> list[torch.Tensor]:
        """``images`` for several who ask, see vision.engine.side_work."""
        return _sliced(self.images, asked, before_slice)

    def read(self, asked: Sequence[Sequence[str]], before_slice: BeforeSlice) -> list[torch.Tensor]:
        """``texts`` for several who ask."""
        return _sliced(self.texts, asked, before_slice)

    @torch.no_grad()
    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """(N, D), unit length."""
        pixels = self.processor.image_processor(images=list(images), return_tensors="pt")
        return _embedding(self.model.get_image_features(**_to(pixels, self.model)))

    def _directions(self, labels: Sequence[str], batched: Batched) -> list[torch.Tensor]:
        """(D,) for each: the mean direction of the label in every template. KEPT labels are remembered."""
        known = {label: self._known.get((label, self.templates)) for label in labels}
        if new := [label for label, direction in known.items() if direction is None]:
            read = batched(
                self.read, [template.format(label) for label in new for template in self.templates]
            )
            means = (each.mean(0) for each in read.split(len(self.templates)))
            known |= {label: mean / mean.norm() for label, mean in zip(new, means, strict=True)}
        for label, direction in known.items():
            self._known[label, self.templates] = direction
            self._known.move_to_end((label, self.templates))
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return [known[label] for label in labels]

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """(N, D), unit length; what is longer than the model reads is cut."""
        tokenizer = self.processor.tokenizer
        limit = min(tokenizer.model_max_length, self.model.config.text_config.max_position_embeddings)
        texts = [text.lower() if self.sigmoid else text for text in texts]  # SigLIP was trained on lower case
        tokens = tokenizer(
            texts,
            padding="max_length" if self.sigmoid else True,
            truncation=True,
            max_length=limit,
            return_tensors="pt",
        )
        given = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
        return _embedding(self.model.get_text_features(**_to(given, self.model)))


def _sliced(
    work: Callable[[Sequence[Any]], torch.Tensor], asked: Sequence[Sequence[Any]], before_slice: BeforeSlice
) -> list[torch.Tensor]:
    """(N, D) for each of ``asked``, done SLICE at a time whoever asked."""
    everything, found = [one for each in asked for one in each], []
    for start in range(0, len(everything), SLICE):
        if start:
            before_slice()
        found.append(work(everything[start : start + SLICE]))
    return list(torch.cat(found).split([len(each) for each in asked]))


def _embedding(output: Any) -> torch.Tensor:
    """(N, D), unit length. transformers 5 returns an output object whose pooler_output is the projected
    embedding."""
    features = output if isinstance(output, torch.Tensor) else output.pooler_output
    return features / features.norm(dim=-1, keepdim=True)


def _to(batch: Mapping[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    return {
        k: v.to(model.device, model.dtype if v.is_floating_point() else v.dtype) for k, v in batch.items()
    }


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Matcher:
    """Load a CLIP or SigLIP folder. ModelError for any other kind of model."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    if kind not in CLIP_TYPES + SIGLIP_TYPES:
        raise ModelError(f"{name} is a {kind} model; CLIP_MODEL takes a CLIP or SigLIP model.")
    common = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModel.from_pretrained(folder, dtype=dtype, use_safetensors=True, **common).to(device).eval()
    return Matcher(name, model, AutoProcessor.from_pretrained(folder, **common), card)
