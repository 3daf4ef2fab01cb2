"""The questions that a worker's process has not answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vision.protocol import Answered, Declined, Question


class Questions:
    """Sends questions and hands their answers to whoever waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Answered | Declined]] = {}

    async def ask(self, question: Question, send: Callable[[Question], None]) -> Answered | Declined:
        """Send ``question`` and return its answer. What comes after the caller has gone is dropped."""
        answer = self._waiting[question.question_id] = asyncio.get_running_loop().create_future()
        try:
            send(question)
            return await answer
        finally:
            del self._waiting[question.question_id]

    def hear(self, message: Answered | Declined) -> None:
        """Hand an answer over."""
        answer = self._waiting.get(message.question_id)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def lose_all(self, reason: str) -> None:
        """Decline what isn't answered: the process has gone."""
        for question_id in list(self._waiting):
            self.hear(Declined(question_id, reason))
