"""Spans by OpenTelemetry's SDK, sent as OTLP over HTTP by a thread of its own. Needs the extra ``otel``, and
is imported only where a host has named a collector.

Of OpenTelemetry's own variables OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and OTEL_TRACES_SAMPLER count.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.util.re import parse_env_headers
from opentelemetry.util.types import AttributeValue

from core.job import trace_ids

PATIENCE = 3.0  # seconds for the collector to take spans
SEND_EVERY = 2000  # ms
MOST_WAITING = 4096  # spans in memory while the collector is away; later ones are dropped
LOST = ("failed", "broke", "lost")  # ends that a collector shows as errors
NS = 1_000_000_000


class _Ids(RandomIdGenerator):
    """Random ids, but for a span that is to have others."""

    chosen: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.chosen[0] if self.chosen else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.chosen[1] if self.chosen else super().generate_span_id()


class Traced:
    """Sends spans to the collector at ``endpoint``. headers: "name=value,…". release: of this program."""

    def __init__(self, endpoint: str, headers: str, release: str) -> None:
        self._ids = _Ids()
        resource: dict[str, AttributeValue] = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "atelier"),
            "service.version": release,
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        }
        self._provider = TracerProvider(
            resource=Resource.create(resource), id_generator=self._ids, shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(
            f"{endpoint.rstrip('/')}/v1/traces",
            headers=parse_env_headers(headers, liberal=True) or None,
            timeout=PATIENCE,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=SEND_EVERY)
        )
        self._tracer = self._provider.get_tracer("atelier")
        self._began: dict[str, float] = {}  # job → seconds since 1970

    def begin(self, job_id: str, at: float) -> None:
        """Let the job's trace begin then, unless it has begun."""
        self._began.setdefault(job_id, at)

    def note(self, job_id: str, name: str, began: float, ended: float, **attributes: AttributeValue) -> None:
        """Take a span that is over."""
        span = self._start(self._of_job(job_id), name, began, {"atelier.job": job_id}, attributes)
        span.end(_ns(max(began, ended)))

    @contextmanager
    def span(self, job_id: str, name: str, **attributes: AttributeValue) -> Iterator[str]:
        """Take the block for a span; give its ``traceparent``."""
        span = self._start(self._of_job(job_id), name, time(), {"atelier.job": job_id}, attributes)
        with _ending(span):
            yield _traceparent(span.get_span_context())

    @contextmanager
    def part(self, traceparent: str, name: str, **attributes: AttributeValue) -> Iterator[str]:
        """Take the block for a part of another process's span; nothing without a ``traceparent``."""
        parent = _parsed(traceparent)
        if parent is None:
            yield ""
            return
        span = self._start(parent, name, time(), {}, attributes)
        with _ending(span):
            yield _traceparent(span.get_span_context())

    def end(self, job_id: str, how: str) -> None:
        """Let the job's trace end now, if it has begun here."""
        began = self._began.pop(job_id, None)
        if began is None:
            return
        self._ids.chosen = trace_ids(job_id)
        try:
            span = self._start(
                None, "job", began, {"atelier.job": job_id}, {"end": how}, trace.SpanKind.SERVER
            )
        finally:
            self._ids.chosen = None
        if how in LOST:
            span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end(_ns(max(began, time())))

    def close(self) -> None:
        """Send what was not sent yet, for some seconds at most. Blocks."""
        self._provider.shutdown()

    def _of_job(self, job_id: str) -> trace.SpanContext:
        """The first span of a job, whose sampling its trace's id decides, in each process alike."""
        trace_id, span_id = trace_ids(job_id)
        sampled = self._provider.sampler.should_sample(None, trace_id, "job").decision.is_sampled()
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else trace.TraceFlags.DEFAULT)
        return trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)

    def _start(
        self,
        parent: trace.SpanContext | None,
        name: str,
        began: float,
        own: dict[str, AttributeValue],
        attributes: dict[str, AttributeValue],
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    ) -> trace.Span:
        named = {f"atelier.{key}": value for key, value in attributes.items()}
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent is not None else None
        return self._tracer.start_span(
            name, context, kind, attributes={**own, **named}, start_time=_ns(began)
        )


@contextmanager
def _ending(span: trace.Span) -> Iterator[None]:
    """End the span with the block. What is raised is told by its type: its words may be a member's."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(trace.Status(trace.StatusCode.ERROR))
        raise
    finally:
        span.end(_ns(time()))


def _ns(seconds: float) -> int:
    return int(seconds * NS)


def _traceparent(context: trace.SpanContext) -> str:
    """https://www.w3.org/TR/trace-context/#traceparent-header"""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _parsed(traceparent: str) -> trace.SpanContext | None:
    try:
        kind, trace_id, span_id, flags = traceparent.split("-")
        if (len(kind), len(trace_id), len(span_id), len(flags)) != (2, 32, 16, 2):
            return None
        context = trace.SpanContext(
            int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16))
        )
    except ValueError:
        return None
    return context if context.is_valid else None
