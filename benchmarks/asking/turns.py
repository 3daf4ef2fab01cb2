"""A second question about a picture of 256 tokens: what is kept of the first turn against reading all of it
again. From the question to its first token, the making of the prompt included."""

from __future__ import annotations

from pathlib import Path

from benchmarks.asking import models
from benchmarks.measure import Figure, Goal, interleaved, times_less
from tests import tiny
from tests.vision.chat import mixes
from vision.chat.pictures import Picture
from vision.chat.reply import Reply
from vision.chat.talking import Talker
from vision.protocol import Talk, Turn

REPEATS = 9


def _answered(talker: Talker, talk: Talk, pictures: dict[str, Picture], tokens: int, known: bool) -> Reply:
    prompt = talker.model.prompts.make(talk, pictures, 4096)
    job = talk.turns[-1].job_id if talk.turns[:-1] == () else ""
    reply = Reply(prompt, tokens, job, ("first",) if known else ())
    talker.decoder.add(reply)
    while talker.decoder.is_busy:
        talker.decoder.write_on()
    return reply


def measure(folder: Path, scale: float) -> list[Figure]:
    """Each repeat: the second turn both ways, in an order that changes."""
    talker = models.rows_and_columns(folder / "rows-and-columns")
    talker.decoder.kept.max_bytes = 2**28
    image = tiny.picture(256, 256)
    pictures = {"p": Picture("p", image.size, lambda: image)}
    first = Talk((Turn("user", "what is on the table", ("p",), "first"),))
    said = talker.model.text(_answered(talker, first, pictures, 32, False).tokens)
    talk = Talk((*first.turns, Turn("assistant", said, (), "first"), Turn("user", "and left of it", (), "x")))
    replies = {known: _answered(talker, talk, pictures, 32, known) for known in (True, False)}
    repeats = max(3, round(REPEATS * scale))
    costs = interleaved(
        {str(known): lambda known=known: _answered(talker, talk, pictures, 1, known) for known in replies},
        repeats,
    )
    again, kept = ([cost.cpu for cost in costs[str(known)]] for known in (False, True))
    wrong = int(replies[True].tokens != replies[False].tokens) + int(
        replies[True].tokens != mixes.alone(talker, talk, 32, pictures=pictures)
    )
    return [
        Figure("tokens of the history that are kept", (replies[True].cached,), "tokens", "count"),
        Figure("… of", (len(replies[True].prompt.ids),), "tokens", "count"),
        Figure("answers with other tokens", (wrong,), "", "count", Goal(at_most=0)),
        Figure("first token, from the beginning", tuple(1000 * s for s in again), "ms"),
        Figure("… from what is kept", tuple(1000 * s for s in kept), "ms"),
        Figure("… earlier by", times_less(again, kept), "×", goal=Goal(3)),
    ]
