"""Each job is one trace, from Discord's interaction to its delivery, across the worker's process, and says
nothing of what was asked."""

import os
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.job import trace_ids
from core.settings import load_settings
from core.traces import UNTRACED
from host.metrics import note_delivered
from host.services import opened_tracing
from tests.bot.conftest import open_studio
from tests.core.collector import Collector, collecting, told

CANARY = "quizzical canary"


def _children(collector: Collector, job_id: str) -> dict[str, Any]:
    trace_id, first = trace_ids(job_id)
    spans = [(process, span) for process, span in collector.spans if span.trace_id == trace_id.to_bytes(16)]
    found = {span.name: (process, span) for process, span in spans}
    assert len(found) == len(spans)
    for name, (_, span) in found.items():
        if name not in ("job", "work"):
            assert span.parent_span_id == first.to_bytes(8), name
    return found


async def test_a_job_is_one_trace_across_processes_and_tells_no_words(tmp_path: Path) -> None:
    with collecting() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        async with open_studio(tmp_path, **settings) as studio:
            tracing = studio.built.queue.tracing
            studio.hooks.delivered.append(lambda job, rung: note_delivered(tracing, job, rung))
            await studio.alice.slash(studio.channel, "imagine", prompt=f"a {CANARY} boat")
            drawn, _ = await studio.built.queue.job_of_message(studio.last().id)
            await studio.alice.slash(studio.channel, "imagine", prompt=f"a broken {CANARY}")
        found = _children(collector, drawn.id)
        assert found.keys() >= {"job", "admit", "wait", "claim", "run", "work", "store", "deliver"}
        spans = {name: span for name, (_, span) in found.items()}
        assert spans["work"].parent_span_id == spans["run"].span_id
        assert found["work"][0]["process.pid"] != found["run"][0]["process.pid"] == os.getpid()
        order = [spans[name].start_time_unix_nano for name in ("job", "admit", "claim", "run", "store")]
        assert order == sorted(order)
        assert told(spans["job"])["atelier.end"] == "rendered"
        assert told(spans["run"]) == {"atelier.job": drawn.id, "atelier.device": "cpu", "atelier.attempt": 1}
        assert told(spans["deliver"])["atelier.rung"] == "edit"
        ends = [told(span)["atelier.end"] for _, span in collector.spans if span.name == "job"]
        assert sorted(ends) == ["failed", "rendered"]
        bodies = b"".join(collector.raw)
        for word in (CANARY, "boat", "alice", str(studio.alice.id), str(drawn.origin.user_id)):
            assert word.encode() not in bodies, word


async def test_a_host_without_the_extra_is_told_which(tmp_path: Path, monkeypatch) -> None:
    async with opened_tracing(load_settings({}, tmp_path / "none.env")) as tracing:
        assert tracing is UNTRACED
    monkeypatch.setitem(__import__("sys").modules, "core.otlp", None)
    with pytest.raises(SettingsError, match="EXTRAS=otel"):
        async with opened_tracing(
            load_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, tmp_path / "none.env")
        ):
            pass
