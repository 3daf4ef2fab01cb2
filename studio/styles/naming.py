"""``--lora``: what the host has set up, and styles that members have made, for those who may use them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.errors import ModelError, PromptError, UserError
from core.grammar.prompt import Prompt
from core.grammar.spelling import hint
from core.grammar.stored_loras import StoredLora, lora_name, stored_lora
from core.requests import GenerateRequest, Request
from core.requests.own_models import STYLE, TrainRequest
from core.settings import Settings
from jobs.executor import Device, Executor
from storage.projects.rows import Project
from studio.actor import Actor
from studio.projects.trying import Trying
from vision.style_training import memory
from vision.weights import local, sources


class Styles:
    """Finds what ``--lora`` names."""

    def __init__(self, settings: Settings, trying: Trying, executor: Executor) -> None:
        self._settings, self._trying, self._executor = settings, trying, executor

    async def ready(self, actor: Actor, prompt: Prompt) -> Prompt:
        """Return a prompt with LoRAs as the host spells them, and with styles as requests name them, whose
        words stand in the prompt then. Raises PromptError for one that is unknown, NotAllowedError for a
        style that the actor may not use."""
        loras: list[tuple[str, float]] = []
        for name, weight in prompt.loras:
            if any(one.lower() == name.lower() for one in self._settings.loras):
                loras.append((configured("lora", name, self._settings.loras), weight))
                continue
            stored, found = await self._named(actor, name)
            loras.append((str(stored), weight))
            prompt = _with_words(prompt, found.words)
        return replace(prompt, loras=tuple(loras))

    async def offered(self, actor: Actor) -> list[str]:
        """Return the styles that the actor may use where they are, as ``--lora`` names them."""
        try:
            return [lora_name(found.name) for found in await self._trying.styles(actor)]
        except UserError:  # who may see none is offered none
            return []

    async def check(self, actor: Actor, request: Request) -> None:
        """Raise NotAllowedError unless the actor may use every style of a request, whoever asked for it
        first, UserError for one that can't be used any more, and for a training of a style that no device
        here has the memory for."""
        if isinstance(request, TrainRequest) and request.task == STYLE:
            ready = [device for device in self._executor.devices if device.memory]
            await asyncio.to_thread(self._check_memory, request, ready)
        for style in request.styles if isinstance(request, GenerateRequest) else ():
            await self._trying.style(actor, style.project)

    def _check_memory(self, request: TrainRequest, ready: Sequence[Device]) -> None:
        """Raise UserError, with the number, where the largest device is too small. What can't be told before,
        the worker tells."""
        settings = self._settings
        spec = settings.image_models.get(request.model or "", request.model or settings.models["image"])
        with contextlib.suppress(ModelError):
            source = sources.parse(spec)
            path = local.find(source, settings.data_dir / "cache")
            planned = path and memory.settings_for(path, request.words, request.count)
            if path and planned and ready:
                largest = max(ready, key=lambda device: device.memory)
                itemsize = 4 if "32" in settings.dtype or largest.name.startswith("cpu") else 2
                memory.refuse(path, source.name, planned, itemsize, largest.memory)

    async def _named(self, actor: Actor, name: str) -> tuple[StoredLora, Project]:
        stored = stored_lora(name)
        wanted = [stored.project] if stored else list(dict.fromkeys((name, name.replace("-", " "))))
        for one in wanted:
            try:
                found, version = await self._trying.style(actor, one)
            except UserError:
                continue
            return StoredLora(lora_name(found.name), found.id, str(version.artefact)), found
        configured("lora", name, self._settings.loras)  # which says what there is
        raise PromptError(f"There is no lora `{name}` here.")


def _with_words(prompt: Prompt, words: str) -> Prompt:
    """Return a prompt that has a style's words, in its first part where it has several."""
    if not words or words.lower() in prompt.text.lower():
        return prompt
    first, *rest = prompt.parts or ((prompt.text, 1.0),)
    more = (f"{first[0]}, {words}" if first[0] else words, first[1])
    text = f"{prompt.text}, {words}" if prompt.text else words
    return replace(prompt, text=text, parts=(more, *rest) if prompt.parts else ())


def configured(kind: str, name: str, known: Mapping[str, str]) -> str:
    """Return a name as the host spells it. Raises PromptError, with what there is, for one that is not in
    ``known``."""
    for one in known:
        if one.lower() == name.lower():
            return one
    there = f"It takes {', '.join(known)}." if known else "The host hasn't set up any."
    raise PromptError(
        f"There is no {kind} `{name}` here. {there}{hint(name.lower(), [one.lower() for one in known])}"
    )
