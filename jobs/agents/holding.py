"""How long an agent goes on with a run that no bot names any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True)
class Timing:
    """Seconds. beat: between two signs of an agent's life; soonest: after a change. hold: between two of a
    bot's. silent: after which a host without any is given up. lease: that a run goes on without a bot. kept:
    that the end of one is. again: between two tries to tell it. look: between two looks at the clock.
    last_words: for the ends that are told when an agent stops."""

    beat: float = 1.0
    soonest: float = 0.05
    hold: float = 2.0
    silent: float = 3.2
    lease: float = 60.0
    kept: float = 600.0
    again: float = 2.0
    look: float = 0.5
    last_words: float = 5.0
    back: float = 2.0  # more than ``silent`` for all hosts, once the bus is there again


@dataclass
class Held:
    """Who waits for a run. Times are monotonic seconds."""

    timing: Timing
    renewed_at: float = field(default_factory=monotonic)
    told: str = ""  # the bot that has its end
    unnamed: bool = False  # that bot has written it down since, or doesn't want it
    told_at: float = 0.0

    def renew(self) -> None:
        """A bot has named it."""
        self.renewed_at = monotonic()

    def note_told(self, bot: str) -> None:
        """A bot has its end now, and will write it down."""
        self.told, self.unnamed, self.told_at = bot, False, monotonic()

    def note_bot(self, bot: str) -> None:
        """Another bot is heard: whoever had the end may not have written it down."""
        if bot != self.told:
            self.told = ""

    def note_unnamed(self, bot: str) -> None:
        """A bot waits for others, and not for this one."""
        if self.told == bot:
            self.unnamed = True

    @property
    def is_out(self) -> bool:
        """Whether nobody has named it for as long as it goes on."""
        return monotonic() - self.renewed_at > self.timing.lease

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody has named it for as long as its end is kept."""
        return monotonic() - self.renewed_at > self.timing.kept
