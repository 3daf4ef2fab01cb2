"""CLIP and SigLIP: how well texts fit a picture, and how much each word of a prompt counts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from cachetools import LRUCache
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoProcessor

from core.errors import ModelError
from vision import devices
from vision.engine.fiber import Batched, BeforeSlice, unbatched
from vision.readers.few_shot import FeatureReader

# averaging several is worth a few points (CLIP paper, 3.1.4)
TEMPLATES = ("a photo of {}.", "a picture of {}.", "an image of {}.", "{}")
SLICE = 16  # texts or pictures in a call; the steps of other jobs come in between
CACHED_LABELS = 1000  # labels whose embeddings are kept
CLIP_TYPES = ("clip", "metaclip_2", "altclip", "chinese_clip")
SIGLIP_TYPES = ("siglip", "siglip2")
LABELS = tuple(
    (
        "person, crowd, portrait, cat, dog, bird, horse, fish, insect, flower, tree, forest, mountain, "
        "beach, sea, river, sky, sunset, night, snow, desert, city street, building, house, room, car, "
        "train, aeroplane, boat, bicycle, food, drink, fruit, book, text or a document, screenshot, "
        "diagram or chart, map, drawing, painting, cartoon, 3D rendering, logo, toy, tool, clothing, "
        "furniture, musical instrument, computer, abstract pattern"
    ).split(", ")
)


class Matcher:
    """A CLIP or SigLIP model in memory.

    card: the folder's ``atelier.json``; its "templates" and "labels" replace TEMPLATES and LABELS. features:
    what it sees of pictures, more than how well words fit.
    """

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.templates: tuple[str, ...] = tuple(card.get("templates", TEMPLATES))
        self.labels: tuple[str, ...] = tuple(card.get("labels", LABELS))
        self.sigmoid = model.config.model_type in SIGLIP_TYPES
        self.features = FeatureReader(model, processor)
        # (label, templates) → (D,)
        self._label_cache = LRUCache[tuple[str, tuple[str, ...]], Tensor](CACHED_LABELS)

    @torch.no_grad()
    def probabilities(
        self, image: Image.Image, labels: Sequence[str], batched: Batched = unbatched
    ) -> list[float]:
        """Return one probability for each label; they sum to 1.

        CLIP: their softmax. SigLIP: the sigmoid of each label, as a share of their sum. batched: how
        embeddings are computed, see vision.engine.fiber.
        """
        text = torch.stack(self.embed_words(labels, batched))  # (L, D)
        return self.fits(batched(self.embed_image_lists, [image]), text)[0].tolist()

    def fits(self, images: Tensor, text: Tensor) -> Tensor:
        """Return how well texts (L, D) fit pictures (N, D), as shares of 1: (N, L)."""
        return self.logits(images, text).float().softmax(-1)

    def logits(self, images: Tensor, text: Tensor) -> Tensor:
        """Return what ``fits`` makes shares of, (N, L); both sides are of unit length."""
        logits = self.model.logit_scale.exp() * (images @ text.T)
        if self.sigmoid:  # shares of sigmoids = softmax of their logarithms
            logits = torch.nn.functional.logsigmoid(logits + self.model.logit_bias)
        return logits

    @torch.no_grad()
    def word_chances(self, embeddings: Tensor, labels: Sequence[str], batched: Batched = unbatched) -> Tensor:
        """Return labels' log-probabilities by words alone, (N, L), for embeddings (N, D) of any length."""
        text = torch.stack(self.embed_words(labels, batched))
        images = embeddings / embeddings.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        logits = self.logits(images.to(text.device, text.dtype), text)
        return logits.float().log_softmax(-1).cpu()

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these pictures (SHA-256)."""
        self.features.forget(names)

    def embed_image_lists(
        self, lists: Sequence[Sequence[Image.Image]], before_slice: BeforeSlice
    ) -> list[Tensor]:
        """Return the embeddings (N, D) of each job's list of pictures; see vision.engine.fiber."""
        return _sliced(self.embed_images, lists, before_slice)

    def embed_text_lists(self, lists: Sequence[Sequence[str]], before_slice: BeforeSlice) -> list[Tensor]:
        """Return the embeddings (N, D) of each list of texts, one list for each job that asks at once."""
        return _sliced(self.embed_texts, lists, before_slice)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the embeddings of pictures: (N, D) of unit length."""
        return _embedding(self.model.get_image_features(**self._seen(images)))

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Return pictures as the tower takes them: (N, 3, H, W)."""
        return self._seen(images)["pixel_values"]

    def _seen(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        pixels = self.processor.image_processor(images=list(images), return_tensors="pt")
        return devices.moved_to(self.model, pixels)

    def embed_words(self, labels: Sequence[str], batched: Batched = unbatched) -> list[Tensor]:
        """Return each label's mean embedding in all templates, (D,) of unit length; some are kept."""
        cached = {label: self._label_cache.get((label, self.templates)) for label in labels}
        known = {label: embedding for label, embedding in cached.items() if embedding is not None}
        if new := [label for label in cached if label not in known]:
            texts = [template.format(label) for label in new for template in self.templates]
            embeddings = batched(self.embed_text_lists, texts)
            means = (each.mean(0) for each in embeddings.split(len(self.templates)))
            known |= {label: mean / mean.norm() for label, mean in zip(new, means, strict=True)}
        for label in cached:
            self._label_cache[label, self.templates] = known[label]
        return [known[label] for label in labels]

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings of texts: (N, D) of unit length. Longer ones are cut."""
        tokenizer = self.processor.tokenizer
        limit = min(tokenizer.model_max_length, self.model.config.text_config.max_position_embeddings)
        texts = [text.lower() if self.sigmoid else text for text in texts]  # SigLIP was trained on lower case
        how = {"padding": "max_length" if self.sigmoid else True, "truncation": True, "max_length": limit}
        tokens = tokenizer(texts, return_tensors="pt", **how)
        given = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
        return _embedding(self.model.get_text_features(**devices.moved_to(self.model, given)))


def _sliced(
    embed: Callable[[Sequence[Any]], Tensor], lists: Sequence[Sequence[Any]], before_slice: BeforeSlice
) -> list[Tensor]:
    items, embeddings = [item for items in lists for item in items], []
    for start in range(0, len(items), SLICE):
        if start:
            before_slice()
        embeddings.append(embed(items[start : start + SLICE]))
    return list(torch.cat(embeddings).split([len(items) for items in lists]))


def _embedding(output: Any) -> Tensor:
    """Return the features as (N, D) of unit length. transformers 5 returns an output object whose
    pooler_output is the projected embedding."""
    features = output if isinstance(output, Tensor) else output.pooler_output
    return features / features.norm(dim=-1, keepdim=True)


def load_clip(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Matcher:
    """Load a CLIP or SigLIP folder. Raises ModelError for any other kind of model."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    if kind not in CLIP_TYPES + SIGLIP_TYPES:
        raise ModelError(f"{name} is a {kind} model; CLIP_MODEL takes a CLIP or SigLIP model.")
    model = devices.load_pretrained(AutoModel, folder, device, dtype)
    return Matcher(name, model, AutoProcessor.from_pretrained(folder, **devices.LOCAL), card)


WINDOW = 40  # words in one text: CLIP reads 77 tokens, SigLIP 64


def weights(words: Sequence[str], embed: Callable[[list[str]], Tensor]) -> list[float]:
    """Return 0..1 for each word, 1 = the strongest, by 1 - cosine of the embeddings with and without it.

    embed: texts → (N, D) of unit length. Longer prompts are taken in windows of WINDOW words.
    """
    drops: list[float] = []
    for start in range(0, len(words), WINDOW):
        some = list(words[start : start + WINDOW])
        texts = [" ".join(some), *(" ".join(some[:i] + some[i + 1 :]) for i in range(len(some)))]
        embeddings = embed(texts).double()  # (1 + n, D)
        drops += (1 - embeddings[1:] @ embeddings[0]).clamp(min=0).tolist()
    largest = max(drops, default=0.0)
    return [drop / largest if largest > 0 else 1.0 for drop in drops]
