"""The dashboard and the alerts ask for metrics that there are, and the dashboard shows every one of them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from core.settings import ROOT
from host.metrics import Metrics
from host.worker_app import AgentMetrics
from tests.host.pretended import WIRE, PretendedAgent, PretendedBus
from tests.jobs.conftest import ask, done, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from vision.protocol import Step

DASHBOARD = ROOT / "deploy" / "grafana" / "atelier.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
PROMETHEUS_OWN = {"up": {"job", "instance"}}
ADDED = {"instance", "job"}  # labels that Prometheus adds


@pytest.fixture
async def metrics(tmp_path: Path) -> dict[str, set[str]]:
    """Each series of /metrics once a job was drawn and delivered, by name, with the labels that it has; those
    of a machine with workers, too."""
    executor = HandExecutor({"cpu": 1, "h1/cuda:0": 1})
    async with open_queue(tmp_path, executor) as queue:
        metrics = Metrics(queue, lambda: WIRE, PretendedBus())  # type: ignore[arg-type]
        job_id = (await ask(queue)).job.id
        await until(lambda: executor.held)
        executor.held[job_id].report(Step(job_id, 1, 4))
        executor.end(done(executor, job_id))
        await until(lambda: queue.dispatcher.feeds.ends["rendered"])
        job = await queue.job(job_id)
        assert job is not None
        metrics.delivered(job, "edit")
        text = (await metrics.text()).decode()
    elsewhere = AgentMetrics(PretendedAgent(), PretendedBus())  # type: ignore[arg-type]
    text = text.replace("# EOF", "") + (await elsewhere.text()).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> dict[str, str]:
    """Every expression, by where it stands."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    found = {
        f"dashboard, {panel['title']}, {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    }
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        found |= {f"rule {rule['alert']}": rule["expr"] for rule in group["rules"]}
    assert len(found) > 30
    return found


def _asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric that an expression names, with the labels that it is chosen by."""
    for name, chosen in re.findall(r"\b(atelier_\w+|up)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", chosen))


def _grouped(expression: str) -> set[str]:
    return {
        label.strip()
        for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
        for label in group.split(",")
    }


async def test_every_metric_of_the_dashboard_and_the_alerts_is_there(metrics: dict[str, set[str]]) -> None:
    known, wrong = {**metrics, **PROMETHEUS_OWN}, []
    for place, expression in expressions().items():
        names = list(_asked(expression))
        assert names, place
        for name, chosen in names:
            if name not in known or not chosen <= known[name] | ADDED:
                wrong.append(f"{place}: {name} {chosen}")
        labels = set().union(*(known.get(name, set()) for name, _ in names))
        wrong += [f"{place}: by {label}" for label in _grouped(expression) - labels - ADDED]
    assert wrong == []


async def test_the_dashboard_shows_every_metric(metrics: dict[str, set[str]]) -> None:
    shown = {
        name for place, e in expressions().items() if place.startswith("dashboard") for name, _ in _asked(e)
    }
    bases = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown}
    assert {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in metrics} - bases == set()


def test_every_expression_can_be_read_by_prometheus() -> None:
    promql_parser = pytest.importorskip("promql_parser", reason="make setup EXTRAS=deploy")
    for place, expression in expressions().items():
        try:
            promql_parser.parse(expression.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        except ValueError as error:
            pytest.fail(f"{place}: {error}")
    with pytest.raises(ValueError):
        promql_parser.parse("rate(atelier_steps_total)")


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len({rule["alert"] for rule in rules}) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "look"), rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule["alert"]


def test_the_panels_of_the_dashboard_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    ids = set()
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        across = range(place["x"], place["x"] + place["w"])
        down = range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in across for y in down}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        assert panel["id"] not in ids
        taken |= cells
        ids.add(panel["id"])
