"""Members of many servers who ask and press at a steady rate, and what came of each interaction: whether it
was acknowledged in time, and answered once."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.wire.discord import ACK_DEADLINE, Call, Discord, Interaction, Message

MEMBERS = 2000
# Of twenty. A single picture is taken out of a job's four, and kept as a favourite by a press under that
KINDS = {"imagine": 3, "settings": 6, "mine": 4, "toggle": 3, "single": 2, "favourite": 2}
CLOSING = 0.25  # seconds before a session's end: what it was told then, its process may not have read
REFUSED = ("closing for a moment", "Something went wrong", "was lost", "can't be reached")
_NUMBER, _JOB = re.compile(r"number(\d+)\."), re.compile(r"job `?([a-z2-9]{12})")


@dataclass
class Asked:
    """number: in the words of a prompt. said: what the pressed message had said before."""

    kind: str
    made: Interaction
    number: int
    said: int = 0


@dataclass
class Figures:
    """Counts of interactions. acknowledged: ms. pictures: seconds until they were there. unheard: Discord
    could tell nobody. refused: answered by an apology. again: results that were sent once more to the same
    place. both: acknowledged by one process and tried by another."""

    sent: int = 0
    rate: float = 0.0
    unheard: int = 0
    unacknowledged: int = 0
    unanswered: int = 0
    doubled: int = 0
    refused: int = 0
    again: int = 0
    both: int = 0
    acknowledged: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Crowd:
    """``servers``: ids; each has one channel. ``rate``: interactions a second."""

    def __init__(self, discord: Discord, servers: list[int], rate: float, seed: int) -> None:
        self._discord, self._rate, self._chance = discord, rate, random.Random(seed)
        self._channels = [one + 1 for one in servers]
        discord.places |= {one + 1: one for one in servers}
        self.asked: list[Asked] = []
        self._sent: Counter[int] = Counter()  # number of a prompt → requests with its pictures
        self._came: dict[int, float] = {}  # the same → when its pictures came first
        self._panels: list[tuple[Message, int]] = []  # unpressed, with whose they are
        self._jobs: list[tuple[Message, int, str]] = []  # finished, with the asker and the job's id
        self._singles: list[tuple[Message, int, str]] = []  # the same of pictures alone
        self._copies: set[str] = set()  # tokens of presses for one
        self._seen: set[int] = set()
        self._pressed: dict[int, int] = {}  # panel → what it had said when it was pressed
        self.seconds = 0.0
        discord.after = self._after

    def _after(self, call: Call) -> None:
        copy = call.path.split("/")[3:4] and call.path.split("/")[3] in self._copies
        if copy or not _JOB.search(call.text):  # a preview has no job's id
            return
        if call.files and (found := _NUMBER.search(call.text)):
            self._sent[int(found[1])] += 1
            self._came.setdefault(int(found[1]), time.monotonic())

    async def ask_until(self, stopping: asyncio.Event) -> None:
        """Open loop: the next one comes when its time comes, whatever the bots do."""
        began = time.monotonic()
        for number in itertools.count(len(self.asked)):
            if stopping.is_set():
                break
            self._ask(number)
            await asyncio.sleep(max(0.0, began + (number + 1) / self._rate - time.monotonic()))
        self.seconds = time.monotonic() - began

    def _ask(self, number: int) -> None:
        kind = self._chance.choices(list(KINDS), list(KINDS.values()))[0]
        if number % 20 == 0:
            self._look()
        if kind == "toggle" and self._panels:
            message, member = self._panels.pop()
            said = self._pressed[message.id] = len(message.versions)
            asked = Asked(kind, self._discord.press(message, "st:remix:toggle", member), number, said)
        elif kind == "single" and self._jobs:
            message, member, job_id = self._jobs.pop()
            asked = Asked(kind, self._discord.press(message, f"at:{job_id}:upscale:0", member), number)
            self._copies.add(asked.made.token)
        elif kind == "favourite" and self._singles:
            message, member, job_id = self._singles.pop()
            asked = Asked(kind, self._discord.press(message, f"at:{job_id}:favourite:0", member), number)
        else:
            channel, member = self._channels[number % len(self._channels)], 100_000 + number % MEMBERS
            kind = kind if kind in ("imagine", "mine") else "settings"
            words = {"prompt": f"a red house number{number}."} if kind == "imagine" else {}
            name = "queue mine" if kind == "mine" else kind
            asked = Asked(kind, self._discord.slash(name, channel, member, **words), number)
        self.asked.append(asked)

    def _look(self) -> None:
        """Find what can be pressed: panels of settings, finished jobs."""
        for one in self.asked[-400:]:
            message = one.made.message
            if one.number in self._seen or message is None or self.answers(one) == 0:
                continue
            self._seen.add(one.number)
            if one.kind == "settings":
                self._panels.append((message, one.made.user_id))
            elif message.files and (job := _JOB.search(message.content)):
                found = self._jobs if one.kind == "imagine" else self._singles
                found.append((message, one.made.user_id, job[1]))

    def answers(self, asked: Asked) -> int:
        """How often it was answered."""
        made = asked.made
        match asked.kind:
            case "imagine":
                return self._sent[asked.number]
            case "favourite":
                return sum(bool(one.content) for one in made.followups)
            case _:
                if made.message is None:
                    return len(made.followups)
                until = self._pressed.get(made.message.id) if asked.kind == "settings" else None
                said = made.message.versions[asked.said : until]
                return sum(bool(text) for _, text in said) + len(made.followups)

    def unheard(self, made: Interaction) -> bool:
        """Whether Discord had nobody to tell it to."""
        ended = self._discord.ended
        return all(ended.get(one, float("inf")) < made.sent + CLOSING for one in made.told)

    async def answered(self, patience: float) -> None:
        """Wait until each that was heard has an answer, for so many seconds at most."""
        left = [one for one in self.asked if not self.unheard(one.made)]

        def none_left() -> bool:
            left[:] = [one for one in left if not self.answers(one)]
            return not left

        with suppress(TimeoutError):
            await self._discord.until(none_left, patience, every=0.5)

    def figures(self) -> Figures:
        """What came of all of it."""
        found = Figures(len(self.asked), len(self.asked) / self.seconds)
        copies = {id(one.made.message) for one in self.asked if one.kind == "single"}
        shown = Counter(
            int(number[1])
            for message in self._discord.messages.values()
            if message.files
            and id(message) not in copies
            and _JOB.search(message.content)
            and (number := _NUMBER.search(message.content))
        )
        for one in self.asked:
            made = one.made
            found.kinds[one.kind] += 1
            found.both += made.again > 0
            if made.acknowledged is None or made.acknowledged - made.sent > ACK_DEADLINE:
                if self.unheard(made):
                    found.unheard += 1
                else:
                    found.unacknowledged += 1
                    told = {name: self._discord.ended.get(name, 0.0) - made.sent for name in made.told}
                    found.problems.append(f"{one.kind} {one.number} is not acknowledged, told {told}")
                continue
            found.acknowledged.append(1000 * (made.acknowledged - made.sent))
            told = self.answers(one)
            count = shown[one.number] if one.kind == "imagine" else told
            if one.kind == "imagine" and one.number in self._came:
                found.again += told - count
                found.pictures.append(self._came[one.number] - made.sent)
            texts = [message.content for message in (made.message, *made.followups) if message is not None]
            if any(words in text for text in texts for words in REFUSED):
                found.refused += 1
                found.problems.append(f"{one.kind} {one.number} is refused: {texts}")
            elif count != 1:
                found.unanswered += count == 0
                found.doubled += count > 1
                found.problems.append(f"{one.kind} {one.number} has {count} answers: {texts}")
            elif one.kind == "favourite" and not any("Saved" in text for text in texts):
                found.doubled += 1
                found.problems.append(f"favourite {one.number} was pressed once: {texts}")
        return found
