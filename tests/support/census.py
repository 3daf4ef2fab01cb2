"""Counts what a process holds in memory: every container, by who has it, and every object, by its type."""

import functools
import gc
import sys
import types
from collections import Counter, deque
from collections.abc import Iterator, Sized
from contextlib import suppress
from typing import Any

CONTAINERS = (dict, set, frozenset, list, deque)
OURS = ("bot", "core", "host", "jobs", "storage", "studio", "vision")
LIBRARIES = ("aiohttp", "aiosqlite", "alembic", "asyncio", "discord", "prometheus_client", "sqlalchemy")
Census = Counter[str]  # what → how many


def census() -> Census:
    """Sizes of the containers of every object and module of ours and of our libraries, summed up by class and
    attribute; sizes of caches; numbers of objects by type. What was frozen, to be
    left out of collections, is counted too, and frozen again."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    gc.collect()
    counted = _counted()
    if frozen:
        gc.freeze()
    return counted


def _counted() -> Census:
    counted: Census = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        home = str(kind.__module__)
        counted[f"objects of {home}.{kind.__qualname__}"] += 1
        if issubclass(kind, functools._lru_cache_wrapper):  # isinstance reads __class__: some warn
            counted[f"cache {getattr(thing, '__wrapped__', thing)!r}"] += thing.cache_info().currsize
        elif _is_watched(home):
            for name, value in _attributes(thing):
                if isinstance(value, CONTAINERS):
                    counted[f"{home}.{kind.__qualname__}.{name}"] += len(value)
    for module in [m for name, m in sys.modules.items() if _is_watched(name) and m is not None]:
        for name, value in vars(module).items():
            if isinstance(value, CONTAINERS) and isinstance(value, Sized):
                counted[f"module {module.__name__}.{name}"] += len(value)
    return counted


def growth(
    before: Census, after: Census, *, bounds: dict[str, int], slack: int, slack_of_others: int
) -> dict[str, tuple[int, int]]:
    """What has grown: what → (before, after). Ours may by ``slack``, what belongs to libraries and to Python
    by ``slack_of_others``, and what is kept on purpose up to its bound."""
    grown = {}
    for what, count in after.items():
        ours = what.removeprefix("objects of ").removeprefix("module ").split(".")[0] in OURS
        allowed = slack if ours else slack_of_others
        if count > max(before[what] + allowed, bounds.get(what, 0)):
            grown[what] = before[what], count
    return grown


def _is_watched(name: str) -> bool:
    return name.split(".")[0] in (*OURS, *LIBRARIES)


def _attributes(thing: object) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, type | types.ModuleType | types.FunctionType):
        return
    with suppress(TypeError):  # it has slots only
        yield from list(vars(thing).items())
    for kind in type(thing).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType):
                with suppress(AttributeError):
                    yield name, slot.__get__(thing)
