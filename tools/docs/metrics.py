"""The page of metrics and alerts, from what collects and the rules that are shipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import yaml  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry

from core.settings import ROOT
from host.metrics import Metrics, Wire
from host.worker_app import AgentMetrics
from tools.docs.markdown import code, page, sentence, table

INTRO = """\
`METRICS_PORT` opens these pages on this machine; [Monitoring](../host/monitoring.md) shows how to use \
them. `/metrics` is read by Prometheus. A machine with [remote workers](../host/remote-workers.md) has \
the same pages, without `/readyz`."""
PAGES = """\
| page | answers 200 when | else 503 |
| --- | --- | --- |
| `/healthz` | jobs make progress | look at it, or restart |
| `/readyz` | Discord is connected and the database answers | wait |
| `/livez` | the process runs and no job hangs | restart it |
| `/metrics` | always | |"""
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"


class _Bus:
    """A bus of which nothing has been counted."""

    is_up = True
    counts = SimpleNamespace(reconnects=0, refused=0, unread=0)


def _registries() -> tuple[CollectorRegistry, CollectorRegistry]:
    """What a bot and a machine with workers tell; all values are made up, and none is shown."""
    now = datetime.now(UTC)
    job: Any = SimpleNamespace(
        request=SimpleNamespace(kind="imagine"), created_at=now, started_at=now, rendered_at=now
    )
    wire = Wire(0, 0, (), True, {})
    bot = Metrics(MagicMock(), lambda: wire, cast(Any, _Bus))
    bot._free, bot._lag = 0, 0.0
    bot.delivered(job, "edit")
    agent = AgentMetrics(MagicMock(), cast(Any, _Bus))
    agent._lag = 0.0
    return bot.registry, agent._registry


def _rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    for metric in sorted(registry.collect(), key=lambda metric: metric.name):
        known: Iterable[str] = getattr(metric, "_labelnames", ())
        labels = {*known, *(name for one in metric.samples for name in one.labels)} - {"le"}
        name = metric.name + ("_total" if metric.type == "counter" else "")
        yield code(name), metric.type, code(*sorted(labels)), sentence(metric.documentation, name)


def _alerts() -> Iterator[tuple[str, str, str, str]]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            notes, name = rule["annotations"], rule["alert"]
            about = " ".join(sentence(notes[what], name) for what in ("summary", "description"))
            when = code(rule["expr"]) + (f" for {rule['for']}" if "for" in rule else "")
            about = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"(\1)", about)
            yield code(name), rule["labels"]["severity"], when, about


def metrics_page() -> str:
    """Return the page."""
    head = ("metric", "type", "labels", "what it is")
    bot, agent = _registries()
    return page(
        "Metrics and alerts",
        INTRO,
        PAGES,
        "## Metrics of the bot",
        table(head, _rows(bot)),
        "## Metrics of a machine with workers",
        table(head, _rows(agent)),
        "## Alerts\n\nThe rules of `deploy/prometheus/rules.yaml`. *page*: members notice it. *look*: they"
        " will, or the host should know.",
        table(("alert", "severity", "when", "what it means"), _alerts()),
    )
