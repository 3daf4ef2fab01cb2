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
    """``Output.scores`` has the prompt's words in order with their weights; a step is a batch of texts."""
    matcher, words = models.get("clip", reporter), request.prompt.split()
    windows = (min(clip.WINDOW, len(words) - start) for start in range(0, len(words), clip.WINDOW))
    total, done = sum(-(-(count + 1) // BATCH) for count in windows), 0

    def embed(texts: list[str]) -> torch.Tensor:
        nonlocal done
        parts = []
        for start in range(0, len(texts), BATCH):
            parts.append(reporter.batched("clip", matcher.embed_text_lists, texts[start : start + BATCH]))
            done += 1
            reporter.step(done, total)
        return torch.cat(parts)

    scores = tuple(zip(words, clip.weights(words, embed), strict=True))
    parameters = {"kind": request.kind, "prompt": request.prompt, "model": matcher.name, "notes": []}
    return Output(scores=scores, parameters=parameters)
