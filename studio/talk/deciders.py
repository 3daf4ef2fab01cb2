"""Who decides what a sentence means: rules, which are always there, and before what they aren't sure of is
asked back, the host's chat model or server."""

from __future__ import annotations

from collections.abc import Callable

from core.talk import Decision, State
from studio.authority import Actor
from studio.services import Services

Rules = Callable[[str, State], Decision]


class Deciders:
    """Decides. rules: what decides without a model."""

    def __init__(self, rules: Rules, services: Services) -> None:
        self._rules, self._settings = rules, services.settings

    async def decide(self, actor: Actor, said: str, state: State) -> Decision:
        """Return what the actor means by ``said``; its ``by`` says who has decided. Never raises for words."""
        return self._rules(said, state)
