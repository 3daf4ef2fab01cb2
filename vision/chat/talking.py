"""Answers questions: makes the prompt, has the answer written beside those of others, and ends it when its
job is stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cachetools import LRUCache

from core.errors import JobCancelled
from core.events import ChatAnswer
from vision.chat import generating
from vision.chat.caches import KeptCaches
from vision.chat.decoder import Decoder
from vision.chat.model import ChatModel
from vision.chat.pictures import Picture
from vision.chat.reply import Reply
from vision.engine.fiber import Fiber
from vision.protocol import Talk
from vision.reporter import Leaving, Reporter

TESTED = 64  # sets of examples whose outcome is kept: testing costs as much as a dozen questions


class Talker:
    """A chat model with all that is being written by it. max_kept: bytes of what is kept for next turns.
    tested: SHA-256 of a set's pictures, and their labels → how many of its examples were asked about, and
    named rightly."""

    def __init__(self, model: ChatModel, max_kept: int) -> None:
        self.model, self.name = model, model.name
        self.decoder = Decoder(model, KeptCaches(max_kept))
        self.tested = LRUCache[tuple[str, ...], tuple[int, int]](TESTED)

    @property
    def takes_hints(self) -> bool:
        """Whether the model is told the text in pictures: unless its card says no."""
        return self.model.takes_hints

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these jobs' conversations, and of these pictures (SHA-256)."""
        self.decoder.forget(names)
        for key in [key for key in self.tested if not set(key).isdisjoint(names)]:
            del self.tested[key]

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
    ) -> ChatAnswer:
        """Return the answer to the last turn of ``talk``; what there is of it when the job is stopped after
        its first token.

        pictures: SHA-256 → those that ``talk`` names. A step is a token; words are reported as they come.
        Raises UserError when the question is too long.
        """
        model = self.model
        context = min(model.context, talk.context)
        max_tokens = min(talk.max_tokens, model.max_tokens or talk.max_tokens, max(1, context // 2))
        if reporter.fiber is not None:
            reporter.fiber.stream_pause()  # opening pictures is part of answering
        prompt = reporter.in_thread(lambda: model.prompts.make(talk, pictures, context - max_tokens))
        reporter.check()
        reply = Reply(
            prompt,
            max_tokens,
            talk.turns[-1].job_id,
            tuple(dict.fromkeys(turn.job_id for turn in reversed(talk.turns[:-1]))),
            temperature=temperature,
            seed=seed,
            tell=lambda reply: reporter.write(len(reply.tokens), max_tokens, model.text(reply.tokens)),
        )
        try:
            (self._write_together if model.joins else self._write_alone)(reply, reporter)
        except JobCancelled as stop:
            self.decoder.stop(reply)
            if isinstance(stop, Leaving) or not reply.tokens:
                raise
        if reply.error is not None:
            raise reply.error
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
            generating.write(self.model, reply, self.model.moved(reply.prompt.whole), before_slice)
        finally:
            decoder.has_writer = False
