"""Checks a message against the rules of its server, for a moderator: what each part says, and where that
comes from. Acts on nothing and keeps nothing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ImageError, UserError
from studio.authority import Action, Actor
from studio.embeddings import Blind
from studio.media.uploads import Readable
from studio.moderation.rules import THRESHOLDS, Rule, rule_of
from studio.rights import Rights
from studio.services import Services
from vision.protocol import Checked

MOST = 4  # pictures of one message
SERVER_ASKED = "questions go to a server here, which isn't asked about rules"
NOTHING = "That message has neither words nor a picture to check."


@dataclass(frozen=True)
class Judged:
    """A picture. score: of the classifier, 0..1, None when it can't tell. problem: why it wasn't read."""

    score: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What a check found. threshold: score from which on a picture is flagged here, None = none is. words,
    read: the rule that the message, and the text in its pictures, break. left_out: pictures that weren't
    looked at. found: what the worker says. rules: of the server, in the order of ``found.chances``."""

    level: str
    classifier: str
    threshold: float | None
    pictures: tuple[Judged, ...]
    has_text: bool
    words: Rule | None
    read: Rule | None
    left_out: int
    rules: tuple[str, ...]
    found: Checked


class Checks:
    """Checks messages for those who may moderate where they are."""

    def __init__(self, rights: Rights, services: Services) -> None:
        self._rights, self._services = rights, services

    async def check(self, actor: Actor, text: str, files: Sequence[Readable]) -> Report:
        """Return how a message stands to the rules of the actor's server.

        Raises NotAllowedError unless the actor moderates it, UserError in a direct message or for nothing to
        look at.
        """
        await self._rights.check(actor, Action.MODERATE)
        if actor.guild_id is None:
            raise UserError("These rules belong to a server; use the menu there.")
        if not text.strip() and not files:
            raise UserError(NOTHING)
        moderator, services = self._services.moderator, self._services
        settings = await moderator.settings(actor.guild_id)
        words = tuple(await moderator.words(actor.guild_id))
        adult = bool(services.directory.age_restricted(actor.place))
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            pictures, paths, classifier = await self._pictures(files[:MOST], Path(folder))
            try:
                found = await services.eyes.check(paths, text, settings.rules)
                if services.settings.vlm_url and settings.rules and not found.chances:
                    found = found._replace(unjudged=SERVER_ASKED)
            except Blind as error:
                found = Checked(unread=str(error), unjudged=str(error))
        read = "\n".join(found.texts)
        return Report(
            settings.level,
            classifier,
            None if settings.level == "standard" and adult else THRESHOLDS.get(settings.level),
            tuple(pictures),
            bool(text.strip()),
            await asyncio.to_thread(rule_of, text, settings.level, words, adult),
            await asyncio.to_thread(rule_of, read, settings.level, words, adult),
            len(files[MOST:]),
            settings.rules,
            found,
        )

    async def _pictures(
        self, files: Sequence[Readable], folder: Path
    ) -> tuple[list[Judged], list[Path], str]:
        """Return how the classifier judges each picture, where their clean copies lie, and its name."""
        judged, paths, name = list[Judged](), list[Path](), ""
        for number, file in enumerate(files):
            try:
                data = await self._services.intake.clean(file)
            except ImageError as error:
                judged.append(Judged(problem=str(error)))
                continue
            name, score = await self._services.moderator.look(data)
            judged.append(Judged(score))
            paths.append(folder / f"{number}.png")
            await asyncio.to_thread(paths[-1].write_bytes, data)
        return judged, paths, name
