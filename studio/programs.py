"""Programs that people let in by tokens, which they make, list and end. A program is its person, as far as
the token's scopes go; the host, or a server's managers, can forbid programs."""

import enum
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from core.errors import NotAllowedError, UserError
from core.job import Surface
from core.language import N_, _
from storage.tokens import Token, Tokens
from studio.authority import Action, Actor
from studio.moderation.rules import Rule
from studio.rights import Rights
from studio.services import Services

MOST_TOKENS, MOST_DAYS, USUAL_DAYS = 20, 365, 90
LONGEST_LABEL = 60  # characters


class Scope(enum.StrEnum):
    """What a token opens. An operation that has several needs all of them."""

    LOOK = "look"
    DRAW = "draw"
    ASK = "ask"
    INSPECT = "inspect"
    MANAGE = "manage"


SCOPES = {
    Scope.LOOK: N_("Look at your pictures, jobs, folders, projects and conversations"),
    Scope.DRAW: N_("Make pictures and videos, send some, and stop jobs"),
    Scope.ASK: N_("Ask questions about pictures"),
    Scope.INSPECT: N_("Fill and train your projects, judge pictures and confirm verdicts"),
    Scope.MANAGE: N_("Sort, share, post and delete what is yours, and change your settings"),
}
OFF = N_("Programs are off here. The operator turns them on with `API`.")
FORBIDDEN = N_("Tokens are forbidden here by a manager of this studio's server.")


class TokenEnded(Exception):
    """A token that lets nobody in; the text says why."""


class Programs:
    """What people decide about their programs, and who comes in by a token."""

    def __init__(self, rights: Rights, services: Services) -> None:
        self._rights, self._queue = rights, services.queue
        self._tokens, self._moderator = Tokens(services.database), services.moderator
        self.is_possible = services.settings.api

    async def create(
        self, actor: Actor, label: str, scopes: Iterable[str], days: int = USUAL_DAYS
    ) -> tuple[Token, str]:
        """Return a new token and its secret, which is told this once. Raises UserError, NotAllowedError."""
        await self._rights.check(actor, Action.SETTINGS)
        await self.check_allowed()
        label, wanted = " ".join(label.split()), list(dict.fromkeys(scopes))
        if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
            raise UserError(_("A token's name takes 1 to {most} characters.", most=LONGEST_LABEL))
        known = ", ".join(Scope)
        if not wanted or not set(wanted) <= set(Scope):
            raise UserError(_("A token takes one or more of these scopes: {known}.", known=known))
        if not 1 <= days <= MOST_DAYS:
            raise UserError(_("A token lasts 1 to {most} days.", most=MOST_DAYS))
        text = " ".join(scope for scope in Scope if scope in wanted)
        made = await self._tokens.create(
            actor.user_id, actor.name, label, text, lives=timedelta(days=days), most=MOST_TOKENS
        )
        if made is None:
            raise UserError(
                _("You have {most} tokens, which is the limit. End some first.", most=MOST_TOKENS)
            )
        return made

    async def all(self, actor: Actor) -> list[Token]:
        """Return the actor's tokens, the newest first."""
        await self._rights.check(actor, Action.MINE)
        return await self._tokens.of(actor.user_id)

    async def end(self, actor: Actor, token_id: str) -> bool:
        """End one of the actor's tokens; False when there is none."""
        await self._rights.check(actor, Action.MINE)
        return await self._tokens.end(actor.user_id, token_id)

    async def judge(self, actor: Actor, texts: Sequence[str]) -> list[Rule | None]:
        """Return the rule that each text would break where the actor is; nothing counts against them."""
        await self._rights.check(actor, Action.ASK)
        return await self._moderator.rules_broken(texts, actor.place)

    async def enter(
        self, secret: str, address: str, beside: Iterable[partial[Any]] = ()
    ) -> tuple[Token, Actor]:
        """Return a token and as whom its program asks: as its person does on the web. address: where the call
        comes from. Raises TokenEnded for one that is no more, NotAllowedError where none is allowed."""
        token = await self._tokens.find(secret, beside)
        if token is None:
            raise TokenEnded(_("This token isn't known here, or was ended by its owner."))
        if token.is_over:
            day = f"{token.ends_at:%Y-%m-%d}"
            raise TokenEnded(_("This token ended on {day}. Make a new one in Settings → Programs.", day=day))
        await self.check_allowed()
        await self._tokens.note_use(token, address)
        return token, Actor(token.user_id, None, name=token.name, surface=Surface.WEB, program=True)

    async def check_allowed(self) -> None:
        """Raise NotAllowedError where the host, or a server's managers, forbid programs."""
        if not self.is_possible:
            raise NotAllowedError(_(OFF))
        for guild_id in await self._rights.homes():
            if not await self._queue.admin.takes_programs(guild_id):
                raise NotAllowedError(_(FORBIDDEN))
