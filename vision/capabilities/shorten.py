"""/shorten: how much each word of a prompt counts, by the text side of CLIP or SigLIP."""

import torch

from core.events import Output
from core.requests import ShortenRequest
from vision.images.encode import Pictures
from vision.readers import clip
from vision.reporter import Reporter
from vision.store import Models

BATCH = 16  # texts in a step


def run(request: ShortenRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. ``Output.scores`` has the words in the prompt's order with their weights; a
    step is a batch of texts."""
    matcher, words = models.get("clip", reporter), request.prompt.split()
    total = sum(
        -(-(min(clip.WINDOW, len(words) - start) + 1) // BATCH) for start in range(0, len(words), clip.WINDOW)
    )
    done = 0

    def embed(texts: list[str]) -> torch.Tensor:
        nonlocal done
        parts = []
        for start in range(0, len(texts), BATCH):
            parts.append(reporter.batched("clip", matcher.embed_text_lists, texts[start : start + BATCH]))
            done += 1
            reporter.step(done, total)
        return torch.cat(parts)

    scores = tuple(zip(words, clip.weights(words, embed), strict=True))
    return Output(
        scores=scores,
        parameters={"kind": request.kind, "prompt": request.prompt, "model": matcher.name, "notes": []},
    )
