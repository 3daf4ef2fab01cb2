"""Spans arrive at a collector that speaks OTLP, as one trace for each job, whoever sends them. Durations are
counted in Prometheus' buckets, also of what fails."""

import subprocess
import sys
import time

import pytest

from core.job import trace_ids
from core.settings import ROOT
from core.traces import BOUNDS, UNTRACED, Timings, open_tracing, time_of, timed
from tests.core.collector import collecting, told

JOB = "abcdefghjkmn"


def test_two_processes_add_to_the_trace_of_a_job_without_being_told_of_it() -> None:
    with collecting() as collector:
        bot, worker = (open_tracing(collector.endpoint, "authorization=Basic%20abc") for _ in range(2))
        bot.begin(JOB, 1000.0)
        bot.begin(JOB, 2000.0)  # it has begun
        bot.note(JOB, "admit", 1000.5, 1001.0, kind="imagine")
        with bot.span(JOB, "run", attempt=1) as traceparent, worker.part(traceparent, "work", device="cpu"):
            pass
        bot.end(JOB, "failed")
        bot.end(JOB, "failed")  # it has ended
        for one in (bot, worker):
            one.close()
        job, admit, run, work = (collector.named(name) for name in ("job", "admit", "run", "work"))
        assert len(collector.spans) == 4
        trace_id, first = trace_ids(JOB)
        assert {span.trace_id for _, span in collector.spans} == {trace_id.to_bytes(16)}
        assert job.span_id == first.to_bytes(8) and not job.parent_span_id
        assert admit.parent_span_id == run.parent_span_id == job.span_id
        assert work.parent_span_id == run.span_id
        assert (job.start_time_unix_nano, admit.end_time_unix_nano) == (1000 * 10**9, 1001 * 10**9)
        assert job.status.code == 2 and admit.status.code == 0  # error, unset
        assert told(admit) == {"atelier.job": JOB, "atelier.kind": "imagine"}
        assert told(job)["atelier.end"] == "failed"
        assert collector.spans[0][0]["service.name"] == "atelier"
        assert collector.paths == {"/v1/traces"}
        assert collector.headers["authorization"] == "Basic abc"


def test_what_goes_wrong_in_a_span_is_told_by_its_type_alone() -> None:
    with collecting() as collector:
        tracing = open_tracing(collector.endpoint)
        with pytest.raises(ValueError), tracing.span(JOB, "run"):
            raise ValueError("a canary in a red boat")
        tracing.close()
        assert told(collector.named("run"))["error.type"] == "ValueError"
        assert all(b"canary" not in body for body in collector.raw)


@pytest.mark.parametrize("traceparent", ["", "x", "00-0-0-01", f"00-{'0' * 32}-{'0' * 16}-01", "00-é-1-1"])
def test_a_part_of_nothing_is_not_taken(traceparent: str) -> None:
    with collecting() as collector:
        tracing = open_tracing(collector.endpoint)
        with tracing.part(traceparent, "work") as own:
            assert own == ""
        tracing.close()
        assert collector.spans == []


def test_a_trace_is_sampled_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    with collecting() as collector:
        tracing = open_tracing(collector.endpoint)
        for number in range(40):
            tracing.begin(str(number), time.time())
            with tracing.span(str(number), "run") as traceparent, tracing.part(traceparent, "work"):
                pass
            tracing.end(str(number), "rendered")
        tracing.close()
        traces: dict[bytes, int] = {}
        for _, span in collector.spans:
            traces[span.trace_id] = traces.get(span.trace_id, 0) + 1
        assert 5 < len(traces) < 35 and set(traces.values()) == {3}


def test_a_collector_that_refuses_or_is_away_holds_nobody_up_for_long() -> None:
    with collecting() as collector:
        endpoint, collector.status = collector.endpoint, 503
        tracing = open_tracing(endpoint)
        tracing.note(JOB, "admit", 1.0, 2.0)
        began = time.monotonic()
        tracing.close()
    away = open_tracing(endpoint)
    away.note(JOB, "admit", 1.0, 2.0)
    away.close()
    assert time.monotonic() - began < 15


def test_without_a_collector_nothing_of_opentelemetrys_sdk_is_imported() -> None:
    assert open_tracing("") is UNTRACED
    with UNTRACED.span(JOB, "run") as traceparent, UNTRACED.part(traceparent, "work") as own:
        assert traceparent == own == ""
    code = (
        "import sys, host.metrics, jobs.queue, vision.worker.main;"
        "from core.traces import open_tracing;"
        "open_tracing(''); print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_time_of_a_snowflake_is_discords_example() -> None:
    assert time_of(175928847299117063) == pytest.approx(1462015105.796)


def test_a_bucket_counts_what_took_no_longer() -> None:
    timings = Timings(("read", "write"))
    for seconds in (0.0, 0.001, 0.0011, 7.0, 99.0):
        timings.note("read", seconds)
    found = dict(timings.by_operation["read"].cumulative())
    assert (found["0.001"], found["0.0025"], found["5.0"], found["10.0"], found["+Inf"]) == (2, 3, 3, 4, 5)
    assert timings.by_operation["read"].total == pytest.approx(106.0021)
    assert set(found) == {*map(str, BOUNDS), "+Inf"}
    assert dict(timings.by_operation["write"].cumulative())["+Inf"] == 0


class _Store:
    def __init__(self) -> None:
        self.timings = Timings(("get",))

    @timed("get")
    async def get(self, name: str) -> str:
        """Return it."""
        if not name:
            raise KeyError("no name")
        return name


async def test_what_fails_is_timed_too() -> None:
    store = _Store()
    assert await store.get("a") == "a"
    with pytest.raises(KeyError):
        await store.get("")
    assert sum(store.timings.by_operation["get"].counts) == 2
    assert _Store.get.__doc__ == "Return it."
