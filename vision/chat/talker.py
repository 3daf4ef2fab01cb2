"""A loaded chat model that answers questions and says how likely given answers are.

It tries when it is loaded whether its answers can be written together; those whose caches can't be joined
(cross-attention as in Idefics and Mllama, Florence-2, PaliGemma) are written one after the other by
transformers' own ``generate``."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from cachetools import LRUCache
from PIL import Image
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    DynamicCache,
    StoppingCriteriaList,
)

from core.errors import JobCancelled, ModelError, UserError
from core.events import ChatAnswer
from vision import devices
from vision.chat.decoder import Decoder, JoinedCaches, Kept, KeptCaches, Reply, piece_end
from vision.chat.model import ChatModel, Layers, State, layers_of, states_of
from vision.chat.output_parser import THINKING
from vision.chat.prompt import Picture, Prompt, message
from vision.engine.fiber import Fiber
from vision.protocol import Talk, Turn
from vision.reporter import Leaving, Reporter


@torch.no_grad()
def write_answer(
    model: ChatModel, reply: Reply, inputs: dict[str, Any], before_slice: Callable[[], None]
) -> None:
    """Write a whole answer. inputs: of its prompt. before_slice: called before each token, and may raise."""
    how: dict[str, Any] = {"do_sample": bool(reply.temperature)}
    if reply.temperature:
        how |= {"temperature": reply.temperature, "top_k": reply.top_k, "top_p": reply.top_p}

    def take(input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        reply.take(int(input_ids[0, -1]), model.ends)
        if not reply.is_over:
            before_slice()
        return torch.tensor([reply.is_over], device=input_ids.device)

    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(reply.seed)
        model.model.generate(
            **inputs,
            max_new_tokens=reply.max_tokens + reply.spare,
            num_beams=1,  # Florence-2's files want three, of which no token is sure before the last
            eos_token_id=sorted(model.ends) or None,
            stopping_criteria=StoppingCriteriaList([take]),
            **how,
        )


STARVED = "The chat model took too long and gave no answer. Ask for less."
TESTED = 64  # sets of examples whose outcome is kept: testing costs as much as a dozen questions; also scenes


class Talker:
    """A chat model with all that is being written by it. max_kept: bytes of what is kept for next turns.
    tested: SHA-256 of a set's pictures, and their labels → how many of its examples were asked about, and
    named rightly. scenes: SHA-256 of a picture → what the pack's readers measured in it."""

    def __init__(self, model: ChatModel, max_kept: int) -> None:
        self.model, self.name = model, model.name
        self.decoder = Decoder(model, KeptCaches(max_kept))
        self.tested = LRUCache[tuple[str, ...], tuple[int, int]](TESTED)
        self.scenes = LRUCache[str, Any](TESTED)

    @property
    def takes_hints(self) -> bool:
        """Whether the model is told the text in pictures: unless its card says no."""
        return self.model.takes_hints

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these jobs' conversations, and of these pictures (SHA-256)."""
        self.decoder.forget(names)
        for key in [key for key in self.tested if not set(key).isdisjoint(names)]:
            del self.tested[key]
        for name in names:
            self.scenes.pop(name, None)

    @property
    def keeps(self) -> bool:
        """Whether anything is kept for next turns."""
        return len(self.decoder.kept) > 0

    def make_room(self) -> None:
        """Give up all that is kept for next turns."""
        self.decoder.kept.clear()

    def answer(
        self,
        talk: Talk,
        pictures: Mapping[str, Picture],
        reporter: Reporter,
        *,
        temperature: float = 0.0,
        seed: int = 0,
        top_p: float = 1.0,
    ) -> ChatAnswer:
        """Return the answer to the last turn of ``talk``, so far as it came when the job is stopped.

        pictures: SHA-256 → those that ``talk`` names. top_p: of tokens that are sampled, where the model's
        files want no less. A step is a token; words are reported as they come.
        Raises UserError when the question is too long, or nothing but thoughts came.
        """
        model = self.model
        context = min(model.context, talk.context)
        max_tokens = min(talk.max_tokens, model.max_tokens or talk.max_tokens, max(1, context // 2))
        if reporter.fiber is not None:
            reporter.fiber.stream_pause()  # opening pictures is part of answering
        prompt = reporter.in_thread(lambda: model.prompts.make(talk, pictures, context - max_tokens))
        reporter.check()

        def tell(reply: Reply) -> None:
            text = model.text(reply.tokens, growing=True)
            reporter.doing("" if text or not model.is_thinking(reply.tokens) else THINKING)
            reporter.write(len(reply.tokens), reply.max_tokens, text)

        reply = Reply(
            prompt,
            max_tokens,
            talk.turns[-1].job_id,
            tuple(dict.fromkeys(turn.job_id for turn in reversed(talk.turns))),
            temperature=temperature,
            top_k=model.top_k,
            top_p=min(top_p, model.top_p),
            seed=seed,
            spare=max(0, min(context // 2, context - len(prompt.ids) - max_tokens)),
            is_thinking=model.is_thinking,
            tell=tell,
        )
        try:
            (self._write_together if model.joins else self._write_alone)(reply, reporter)
        except JobCancelled as stop:
            self.decoder.stop(reply)
            if isinstance(stop, Leaving) or not reply.tokens or model.is_thinking(reply.tokens):
                raise
        if reply.error is not None:
            raise reply.error
        if model.is_thinking(reply.tokens):
            raise UserError(STARVED)
        return reply.answer(model.text(reply.tokens))

    def _write_together(self, reply: Reply, reporter: Reporter) -> None:
        """Wait until the decoder has written the reply, which somebody has to keep going."""
        decoder, fiber = self.decoder, reporter.fiber
        decoder.add(reply)
        if fiber is None:
            while not reply.is_over:
                reporter.check()
                decoder.write_on()
            return
        if not decoder.has_writer:
            decoder.has_writer = True
            fiber.engine.begin(f"answers of {self.name}", self._keep_writing, done=self._wrote)
        fiber.wait_until(lambda: reply.is_over)

    def _keep_writing(self, fiber: Fiber) -> None:
        """Write slice after slice, in the time that streams have beside drawings, until nothing is left."""
        while self.decoder.is_busy:
            fiber.stream_pause()
            self.decoder.write_on()

    def _wrote(self, _: None, error: BaseException | None) -> None:
        self.decoder.has_writer = False
        if error is not None:
            self.decoder.fail(error)

    def _write_alone(self, reply: Reply, reporter: Reporter) -> None:
        """Write the reply when no other is being written."""
        decoder, fiber = self.decoder, reporter.fiber
        before_slice: Callable[[], None] = reporter.check
        if fiber is not None:
            fiber.wait_until(lambda: not decoder.has_writer)
            before_slice = fiber.stream_pause
        decoder.has_writer = True
        try:
            write_answer(self.model, reply, self.model.moved(reply.prompt.whole), before_slice)
        finally:
            decoder.has_writer = False


log = logging.getLogger(__name__)

KEPT_SHARE, MOST_KEPT = 10, 2 * 2**30  # of the free memory, and bytes, for next turns
WANTED = "ASK_MODEL takes a chat model that reads pictures; CAPTION_MODEL such a one, or BLIP."
WITHOUT_TEMPLATE = "idefics"  # its form is in vision.chat.prompt
TOLERANCE = {torch.float32: 1e-3}  # of the largest logit: what may differ when rows are joined
LOW_TOLERANCE = 0.1  # … in half precision


def load_chat_model(
    folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype, quantize: str = "off"
) -> Talker:
    """Return the chat model in ``folder``. quantize: off, or see ``devices.quantization``. Raises ModelError
    for a model that can't talk about pictures."""
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    processor = AutoProcessor.from_pretrained(folder, **devices.LOCAL)
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{name} ({kind}) has no processor for pictures and words; {WANTED}")
    model = devices.load_pretrained(AutoModelForImageTextToText, folder, device, dtype, quantize)
    chat = ChatModel(name, model, processor, card)
    if not chat.prompts.has_template and chat.tasks is None and kind != WITHOUT_TEMPLATE:
        raise ModelError(f"{name} ({kind}) has no chat template; {WANTED}")
    why = chat.why_alone or _tried(chat)
    if why:
        log.info("%s answers one question after the other: %s", name, why)
        chat.write_alone()
    return Talker(chat, min(devices.memory(device)[0] // KEPT_SHARE, MOST_KEPT))


def _tried(model: ChatModel) -> str:
    """Return why answers can't be written together: whatever comes out otherwise than from the processor and
    a call of the model for one conversation alone. "" = nothing does."""
    try:
        with torch.no_grad():
            return "" if _is_as_alone(model) else "joined, it says something else"
    except Exception as error:  # of a model that nobody here has seen
        if devices.is_out_of_memory(error) or devices.is_sticky(error):
            raise
        log.debug("no joining", exc_info=True)
        return f"{type(error).__name__} when joined"


def _is_as_alone(model: ChatModel) -> bool:
    """Compare the logits of two conversations, one with a picture, and of their next token."""
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    picture = Picture("try", image.size, lambda: image)
    talks = [
        Talk((Turn("user", "What is this?", ("try",)),)),
        Talk((Turn("user", "Hello."), Turn("assistant", "Good day."), Turn("user", "How are you?"))),
    ]
    rows, expected, tokens = JoinedCaches(), [], []
    for talk in talks:
        prompt = model.prompts.make(talk, {"try": picture}, model.context)
        messages, shas = model.prompts.messages(talk.turns, False)
        whole = model.prompts.process(messages, [image] * len(shas))
        if prompt.ids != whole["input_ids"][0].tolist():
            return False
        right = model.model(**model.moved(whole)).logits[0, -1].float()
        model.locate(prompt)
        logits, _ = _read_on(model, prompt, cache := model.cache_of([]))
        if not _close(model, logits, right):
            return False
        tokens.append(int(right.argmax()))
        longer, length = prompt.extended(tokens[-1:]), len(prompt.ids)
        copied = model.cache_of(layers_of(cache), states_of(cache))
        expected.append(model.read(longer, length, length + 1, copied))
        rows.add(cache, len(prompt.ids), prompt.delta)
    written = model.write(tokens, rows.lengths, rows.deltas, rows.cache)
    return all(_close(model, row, right) for row, right in zip(written, expected, strict=True))


def _read_on(
    model: ChatModel,
    prompt: Prompt,
    cache: DynamicCache,
    read: int = 0,
    before_slice: Callable[[], None] = lambda: None,
) -> tuple[Tensor, list[State]]:
    """Read a prompt from token ``read`` on; return the logits after it, and its settled states."""
    logits, states = torch.empty(0), list[State]()
    while read < len(prompt.ids):
        before_slice()
        if read == prompt.settled > 0:
            states = states_of(cache)
        begin, read = read, piece_end(prompt, read)
        with torch.no_grad():
            logits = model.read(prompt, begin, read, cache)
    return logits, states


def _close(model: ChatModel, one: Tensor, other: Tensor) -> bool:
    allowed = TOLERANCE.get(model.model.dtype, LOW_TOLERANCE) * float(other.abs().max())
    return bool((one - other).abs().max() <= allowed)


ROWS = 32  # answers that are read in one call


def score_answers(
    talker: Talker, talk: Talk, pictures: Mapping[str, Picture], labels: Sequence[str], reporter: Reporter
) -> list[float]:
    """Return for each label the log-probability that it is the whole answer to the last turn of ``talk``.

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
    cache, first = _read_from_kept(talker, talk, prompt, reporter)
    layers, states, scores = layers_of(cache), states_of(cache), list[float]()
    for begin in range(0, len(answers), ROWS):
        _pause(reporter)
        with torch.no_grad():
            scores += _scores(model, prompt, layers, states, first, answers[begin : begin + ROWS])
    return scores


def _pause(reporter: Reporter) -> None:
    reporter.check()
    if reporter.fiber is not None:
        reporter.fiber.stream_pause()


def _tokens(model: ChatModel, talk: Talk, label: str) -> list[int]:
    """Return the ids of an answer as the template has it, with what ends it."""
    prompts = model.prompts
    asked, _ = prompts.messages(talk.turns, talk.answer == "short", talk.most_pictures)
    said = message("assistant", [], [prompts.neutralise(label)])
    before, whole = prompts.render(asked), prompts.render([*asked, said], to_answer=False)
    answer = whole[len(before) :] if whole.startswith(before) else label
    ids = prompts.tokenise(answer, more=True)
    end = next((i for i, token in enumerate(ids) if token in model.ends), len(ids) - 1)
    return ids[: end + 1]


def _read_from_kept(
    talker: Talker, talk: Talk, prompt: Prompt, reporter: Reporter
) -> tuple[DynamicCache, Tensor]:
    """Read a prompt from what is kept of it on, piece by piece; return its cache and the logits after it."""
    model, kept = talker.model, talker.decoder.kept
    model.locate(prompt)
    jobs = dict.fromkeys(turn.job_id for turn in reversed(talk.turns))
    read, layers, states = kept.best(prompt, jobs)
    cache = model.cache_of(layers, states)
    logits, states = _read_on(model, prompt, cache, read, lambda: _pause(reporter))
    left = Kept(tuple(prompt.ids), prompt.places, layers_of(cache), frozenset(jobs), prompt.settled, states)
    kept.keep(talk.turns[-1].job_id, left)
    return cache, logits


def _scores(
    model: ChatModel,
    prompt: Prompt,
    layers: Layers,
    states: Sequence[State],
    first: Tensor,
    answers: Sequence[list[int]],
) -> list[float]:
    rows, width = len(answers), max(map(len, answers))
    padded = [answer + [0] * (width - len(answer)) for answer in answers]  # on the right, never looked at
    ids = torch.tensor(padded, dtype=torch.long, device=model.device)
    logits = first.expand(rows, 1, -1)  # (B, 1, V)
    if width > 1:
        wide = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in layers]
        held = [
            State(c.expand(rows, -1, -1), r if r is None else r.expand(rows, -1, -1, -1)) for c, r in states
        ]
        cache = model.cache_of(wide, held)
        after = model.read_after(ids[:, :-1], len(prompt.ids), prompt.delta, cache)
        logits = torch.cat([logits, after], dim=1)  # (B, L, V)
    chosen = torch.log_softmax(logits, dim=-1).gather(-1, ids[..., None])[..., 0]  # (B, L)
    return [float(row[: len(answer)].sum()) for row, answer in zip(chosen, answers, strict=True)]
