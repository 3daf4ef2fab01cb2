"""How likely a chat model finds each of some given answers to a question: the sum of the log-probabilities of
its tokens, read behind one prompt in one call for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import DynamicCache

from core.errors import ModelError
from vision.chat.caches import Kept, Layers, cache_of, layers_of
from vision.chat.decoder import piece_end
from vision.chat.model import ChatModel
from vision.chat.pictures import Picture
from vision.chat.prompt import Prompt
from vision.chat.talking import Talker
from vision.protocol import Talk
from vision.reporter import Reporter

ROWS = 32  # answers that are read in one call


def score(
    talker: Talker, talk: Talk, pictures: Mapping[str, Picture], labels: Sequence[str], reporter: Reporter
) -> list[float]:
    """Return for each of ``labels`` the natural logarithm of the probability that it is the whole answer to
    the last turn of ``talk``.

    pictures: SHA-256 → those that ``talk`` names. Raises UserError when the question is too long, ModelError
    for a model whose answers can only be written alone.
    """
    model = talker.model
    if not model.joins:
        raise ModelError(f"{talker.name} can write answers, but not compare given ones.")
    _pause(reporter)
    answers = [_tokens(model, talk, label) for label in labels]
    room = min(model.context, talk.context) - max(map(len, answers), default=0)
    prompt = reporter.in_thread(lambda: model.prompts.make(talk, pictures, room))
    cache, first = _read(talker, talk, prompt, reporter)
    layers, scores = layers_of(cache), list[float]()
    for begin in range(0, len(answers), ROWS):
        _pause(reporter)
        with torch.no_grad():
            scores += _scores(model, prompt, layers, first, answers[begin : begin + ROWS])
    return scores


def _pause(reporter: Reporter) -> None:
    reporter.check()
    if reporter.fiber is not None:
        reporter.fiber.stream_pause()


def _tokens(model: ChatModel, talk: Talk, label: str) -> list[int]:
    """Return the ids of an answer as the template has it, with what ends it."""
    prompts = model.prompts
    asked, _ = prompts.messages(talk.turns, talk.answer == "short", talk.most_pictures)
    said = {
        "role": "assistant",
        "content": [{"type": "text", "text": prompts.neutralise(label)}],
    }
    before, whole = prompts.render(asked), prompts.render([*asked, said], to_answer=False)
    answer = whole[len(before) :] if whole.startswith(before) else label
    ids = prompts.tokenise(answer, more=True)
    end = next((i for i, token in enumerate(ids) if token in model.ends), len(ids) - 1)
    return ids[: end + 1]


def _read(
    talker: Talker, talk: Talk, prompt: Prompt, reporter: Reporter
) -> tuple[DynamicCache, torch.Tensor]:
    """Read a prompt from what is kept of it on, piece by piece; return its cache and the logits after it."""
    model, kept = talker.model, talker.decoder.kept
    model.locate(prompt)
    jobs = dict.fromkeys(turn.job_id for turn in reversed(talk.turns))
    read, layers = kept.best(prompt, jobs)
    cache, logits = cache_of(layers), torch.empty(0)
    while read < len(prompt.ids):
        _pause(reporter)
        begin, read = read, piece_end(prompt, read)
        with torch.no_grad():
            logits = model.read(prompt, begin, read, cache)
    kept.keep(
        talk.turns[-1].job_id, Kept(tuple(prompt.ids), prompt.places, layers_of(cache), frozenset(jobs))
    )
    return cache, logits


def _scores(
    model: ChatModel, prompt: Prompt, layers: Layers, first: torch.Tensor, answers: Sequence[list[int]]
) -> list[float]:
    """Return the score of each answer. first: logits after the prompt."""
    rows, width = len(answers), max(map(len, answers))
    ids = torch.zeros(
        rows, width, dtype=torch.long, device=model.device
    )  # padded on the right, never looked at
    for row, answer in zip(ids, answers, strict=True):
        row[: len(answer)] = torch.tensor(answer, device=model.device)
    logits = first.expand(rows, 1, -1)  # (B, 1, V)
    if width > 1:
        cache = cache_of([(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in layers])
        after = model.read_after(ids[:, :-1], len(prompt.ids), prompt.delta, cache)
        logits = torch.cat([logits, after], dim=1)  # (B, L, V)
    chosen = torch.log_softmax(logits, dim=-1).gather(-1, ids[..., None])[..., 0]  # (B, L)
    return [float(row[: len(answer)].sum()) for row, answer in zip(chosen, answers, strict=True)]
