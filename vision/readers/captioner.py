"""Several *different* captions of a picture, by BLIP, or by a chat model that is asked in four ways."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoProcessor, BlipForConditionalGeneration, StoppingCriteriaList

from vision import devices
from vision.chat.prompt import Picture
from vision.chat.talker import Talker, load_chat_model
from vision.engine.fiber import BeforeSlice
from vision.protocol import Talk, Turn
from vision.reporter import Quiet, Reporter

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
TOP_P = 0.95
TOKENS, CHAT_TOKENS = 40, 120  # of a caption, at most
_EMPTY_WORDS = frozenset("a an the of in on with and is are there detailed close up".split())
_EMPTY_WORDS |= frozenset("image picture photo illustration drawing".split())


@dataclass(frozen=True)
class CaptionTask:
    """One text to be written about ``image``, or several with num_return_sequences in ``how``.

    start: a caption's prefix. seed: of the sampling. how: arguments of ``generate``.
    """

    image: Image.Image
    start: str
    seed: int
    how: Mapping[str, Any]


class Captioner:
    """A BLIP in memory. Its card's "prefixes" and "max_new_tokens" replace ours."""

    def __init__(self, name: str, model: Any, processor: Any, card: Mapping[str, Any]) -> None:
        self.name, self.model, self.processor = name, model, processor
        self.starts: tuple[str, ...] = tuple(card.get("prefixes", PREFIXES))
        self.max_new_tokens: int = card.get("max_new_tokens", TOKENS)

    def write(
        self, image: Image.Image, reporter: Reporter, start: str, seed: int, temperature: float, best: int = 1
    ) -> Sequence[str]:
        """Return what begins with ``start``: the likeliest text, the ``best``, or one that is sampled, which
        has random numbers of its own and so shares a call with no other job's."""
        beams = {"do_sample": False, "num_beams": 3 if best == 1 else best, "num_return_sequences": best}
        sampled = {"do_sample": True, "temperature": temperature, "top_p": TOP_P}
        how = sampled if temperature else beams
        key = object() if temperature else (start, best)
        task = CaptionTask(image, start, seed, how)
        found: list[str] = reporter.batched("caption", self.write_each, task, key=key)
        return found

    @torch.no_grad()
    def write_each(self, tasks: Sequence[CaptionTask], before_slice: BeforeSlice) -> list[list[str]]:
        """Return the texts of each task, one task for each job that asks at once. See
        vision.engine.fiber. The tasks have the same start and ``how``."""
        how = {"return_tensors": "pt"}
        given = [self.processor(images=one.image, text=one.start or None, **how) for one in tasks]
        joined = {name: torch.cat([one[name] for one in given]) for name in given[0]}
        count, like = len(tasks), tasks[0]

        def pause(input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            before_slice(count)  # raises when the job is stopped
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

        with torch.random.fork_rng([self.model.device] if self.model.device.type == "cuda" else []):
            torch.manual_seed(like.seed)
            out = self.model.generate(
                **devices.moved_to(self.model, joined),
                max_new_tokens=self.max_new_tokens,
                stopping_criteria=StoppingCriteriaList([pause]),
                **like.how,
            )
        # BLIP repeats its prefix, and should
        texts = [tidy(text) for text in self.processor.batch_decode(out, skip_special_tokens=True)]
        each = len(texts) // count
        return [texts[i : i + each] for i in range(0, len(texts), each)]


def write_captions(
    model: Captioner | Talker, image: Image.Image, name: str, count: int, seed: int, reporter: Reporter
) -> Iterator[str]:
    """Yield up to ``count`` captions, no two with the same words, or fewer. name: the picture's SHA-256.

    Each start is completed greedily, then sampled ever hotter; BLIP's best beams come last.
    """
    seen: set[frozenset[str]] = set()
    for caption in _candidates(model, image, name, count, seed, reporter):
        words = content(caption)
        if not words or any(words == other for other in seen):
            continue
        seen.add(words)
        yield caption
        if len(seen) == count:
            return


def _candidates(
    model: Captioner | Talker, image: Image.Image, name: str, count: int, seed: int, reporter: Reporter
) -> Iterator[str]:
    starts = model.model.card.get("instructions", INSTRUCTIONS) if isinstance(model, Talker) else model.starts
    write: Callable[[str, int, float], Sequence[str]] = (
        partial(_ask, model, Picture(name, image.size, lambda: image), reporter)
        if isinstance(model, Talker)
        else partial(model.write, image, reporter)
    )
    for start in starts[:count]:
        yield from write(start, seed, 0.0)
    for attempt, temperature in enumerate(TEMPERATURES):
        for number, start in enumerate(starts):
            yield from write(start, seed + 101 * attempt + number + 1, temperature)
    if isinstance(model, Captioner):
        yield from model.write(image, reporter, starts[0], seed, 0.0, best=2 * count)


def _ask(
    talker: Talker, picture: Picture, reporter: Reporter, start: str, seed: int, temperature: float
) -> tuple[str]:
    """Return a chat model's answer. It looks at the picture once: what it has read of it is kept."""
    talk = Talk((Turn("user", start, (picture.sha,), picture.sha),), max_tokens=CHAT_TOKENS)
    answer = talker.answer(
        talk, {picture.sha: picture}, Quiet(reporter), temperature=temperature, seed=seed, top_p=TOP_P
    )
    reporter.check()  # a stop leaves half a caption
    return (tidy(answer.text),)


def tidy(text: str) -> str:
    """Return the text in one line, without quotes around it, cut at 1,000 characters."""
    return " ".join(text.split()).strip(" \"'*`")[:1000]


def content(caption: str) -> frozenset[str]:
    """Return the words that carry meaning. Two captions with the same ones are the same caption."""
    return frozenset(re.findall(r"\w+", caption.lower())) - _EMPTY_WORDS


def load_captioner(
    folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype, quantize: str = "off"
) -> Captioner | Talker:
    """Load BLIP, as it is, or a chat model. Raises ModelError for a model that can't caption."""
    if AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type != "blip":
        return load_chat_model(folder, name, card, device, dtype, quantize)
    processor = AutoProcessor.from_pretrained(folder, **devices.LOCAL)
    model = devices.load_pretrained(BlipForConditionalGeneration, folder, device, dtype)
    return Captioner(name, model, processor, card)
