"""Captioners: BLIP, and any ``AutoModelForImageTextToText`` model with a chat template. They write several
*different* captions."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)

from core.errors import ModelError
from vision import devices
from vision.engine.fiber import Batched, BeforeSlice, unbatched

# how a BLIP caption may begin
PREFIXES = ("", "an illustration of", "a detailed picture of", "a close up of")
INSTRUCTIONS = (
    "Describe this picture as a prompt for an image generator, in one sentence.",
    (
        "Describe this picture for an image generator: subject first, then style, light and colours, as a"
        " comma separated list."
    ),
    (
        "What would an artist have to be told to paint this picture again? Answer in one sentence without"
        " introduction."
    ),
    (
        "Describe mood, composition and setting of this picture in one sentence, as a prompt for an image"
        " generator."
    ),
)
TEMPERATURES = (0.7, 0.9, 1.1, 1.3, 1.5)  # rising until captions differ
_EMPTY_WORDS = frozenset(
    (
        "a an the of in on with and is are there image picture photo illustration drawing detailed close up"
    ).split()
)


class _BeforeToken(StoppingCriteria):
    """Stopping criterion that yields to other jobs before each token, and stops when the request is
    cancelled."""

    def __init__(self, before_slice: Callable[[], None]) -> None:
        self.before_slice = before_slice

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.before_slice()  # raises
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@dataclass(frozen=True)
class CaptionTask:
    """One text to be written about ``image``, or several with num_return_sequences in ``how``.

    start: a BLIP caption's prefix, or an instruction. seed: of the sampling. how: arguments of ``generate``.
    """

    image: Image.Image
    start: str
    seed: int
    how: Mapping[str, Any]


class Captioner:
    """A captioner in memory.

    card: the folder's ``atelier.json``; its "prefixes" or "instructions" and "max_new_tokens" replace ours.
    """

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.chat = bool(
            getattr(processor, "chat_template", None)
            or getattr(getattr(processor, "tokenizer", None), "chat_template", None)
        )
        starts = INSTRUCTIONS if self.chat else PREFIXES
        self.starts: tuple[str, ...] = tuple(card.get("instructions" if self.chat else "prefixes", starts))
        self.max_new_tokens: int = card.get("max_new_tokens", 120 if self.chat else 40)

    def captions(
        self, image: Image.Image, count: int, seed: int, batched: Batched = unbatched
    ) -> Iterator[str]:
        """Yield up to ``count`` captions, no two with the same words; fewer only when the model has no more
        to say.

        Each start is first completed greedily, then sampled at rising temperatures, at last the best beams
        are taken. The same seed gives the same captions. batched: how texts are written, see
        vision.engine.fiber.
        """
        seen: set[frozenset[str]] = set()
        for caption in self._candidates(image, count, seed, batched):
            words = content(caption)
            if not words or any(words == other for other in seen):
                continue
            seen.add(words)
            yield caption
            if len(seen) == count:
                return

    def _candidates(self, image: Image.Image, count: int, seed: int, batched: Batched) -> Iterator[str]:
        """Yield captions in order. A sampled one has random numbers of its own, so it shares a call with no
        other job's."""

        def write(start: str, seed: int = seed, **how: Any) -> list[str]:
            return batched(
                self.write_each,
                CaptionTask(image, start, seed, how),
                key=object() if how["do_sample"] else (start, *how.values()),
            )

        for start in self.starts[:count]:
            yield from write(start, do_sample=False, num_beams=1 if self.chat else 3)
        for attempt, temperature in enumerate(TEMPERATURES):
            for number, start in enumerate(self.starts):
                yield from write(
                    start,
                    seed + 101 * attempt + number + 1,
                    do_sample=True,
                    temperature=temperature,
                    top_p=0.95,
                )
        yield from write(self.starts[0], do_sample=False, num_beams=2 * count, num_return_sequences=2 * count)

    def write_each(self, tasks: Sequence[CaptionTask], before_slice: BeforeSlice) -> list[list[str]]:
        """Return the texts of each task, one task for each job that asks at once. See
        vision.engine.fiber.

        The tasks have the same start and ``how``. Those whose inputs have the same shapes are written in one
        call; in some chat models pictures of other sizes mean other lengths.
        """
        inputs = [self._inputs(task.image, task.start) for task in tasks]
        groups: dict[Any, list[int]] = {}
        for i, given in enumerate(inputs):
            shapes = tuple((name, value.shape) for name, value in sorted(given.items()))
            groups.setdefault(shapes, []).append(i)
        texts: dict[int, list[str]] = {}
        for number, places in enumerate(groups.values()):
            if number:
                before_slice(len(places))
            joined = {name: torch.cat([inputs[i][name] for i in places]) for name in inputs[places[0]]}
            texts |= zip(
                places, self._write(joined, len(places), tasks[places[0]], before_slice), strict=True
            )
        return [texts[i] for i in range(len(tasks))]

    @torch.no_grad()
    def _write(
        self, inputs: Mapping[str, torch.Tensor], count: int, like: CaptionTask, before_slice: BeforeSlice
    ) -> list[list[str]]:
        """Return the texts of each of ``count`` rows."""
        inputs = devices.moved_to(self.model, inputs)
        with torch.random.fork_rng([self.model.device] if self.model.device.type == "cuda" else []):
            torch.manual_seed(like.seed)
            out = self.model.generate(
                **inputs,
                max_new_tokens=self.max_new_tokens,
                stopping_criteria=StoppingCriteriaList([_BeforeToken(lambda: before_slice(count))]),
                **like.how,
            )
        # BLIP repeats its prefix, and should
        fresh = out[:, inputs["input_ids"].shape[1] :] if self.chat else out
        texts = [tidy(text) for text in self.processor.batch_decode(fresh, skip_special_tokens=True)]
        each = len(fresh) // count
        return [texts[i : i + each] for i in range(0, len(texts), each)]

    def _inputs(self, image: Image.Image, start: str) -> Mapping[str, torch.Tensor]:
        if not self.chat:
            return self.processor(images=image, text=start or None, return_tensors="pt")
        messages = [
            {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": start}]}
        ]
        return self.processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )


def tidy(text: str) -> str:
    """Return the text in one line, without quotes around it, cut at 1,000 characters."""
    return " ".join(text.split()).strip(" \"'*`")[:1000]


def content(caption: str) -> frozenset[str]:
    """Return the words that carry meaning. Two captions with the same ones are the same caption."""
    return frozenset(re.findall(r"\w+", caption.lower())) - _EMPTY_WORDS


def load_captioner(
    folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype
) -> Captioner:
    """Load BLIP or a chat model. Raises ModelError for a model that can't caption."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    processor = AutoProcessor.from_pretrained(folder, **devices.LOCAL)
    if kind == "blip":
        from transformers import BlipForConditionalGeneration as cls
    else:
        cls = AutoModelForImageTextToText
    captioner = Captioner(name, devices.load_pretrained(cls, folder, device, dtype), processor, card)
    if not captioner.chat and kind != "blip":
        raise ModelError(
            f"{name} ({kind}) has no chat template; CAPTION_MODEL takes BLIP or a chat model that reads"
            " pictures."
        )
    return captioner
