"""What a device of this machine can tell of pictures before a server is asked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from core.events import Output
from core.requests import AskRequest, from_json
from vision.chat.output_rendering import measured, pictures_of
from vision.protocol import Answered, Declined, Measure, Measured, Question, Run

Look = Callable[[Question], Awaitable[Answered | Declined]]
FORMS = ("table", "text")
PATIENCE = 60.0  # seconds for one picture


async def without_model(run: Run, look: Look) -> Output | None:
    """Return the answer to a question that needs no chat model, None where one has to be asked."""
    request, talk = from_json(run.kind, run.request), run.talk
    assert talk is not None and isinstance(request, AskRequest)
    files = [run.paths[name] for name in pictures_of(talk) if name in run.paths]
    if talk.answer not in FORMS or request.temperature or not files:
        return None
    if talk.answer == "table" and len(files) > 1:
        return None
    found = list[Measured]()
    try:
        for file in files:
            async with asyncio.timeout(PATIENCE):
                answered = await look(Measure(secrets.token_hex(8), file, talk.answer))
            if not isinstance(answered, Answered) or not answered.answer:
                return None
            found.append(answered.answer[0])
    except TimeoutError:
        return None
    return await asyncio.to_thread(measured, talk.answer, found, files)
