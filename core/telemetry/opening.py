"""Opens what takes spans; nothing of OpenTelemetry is imported unless a host has named a collector."""

from __future__ import annotations

from core.telemetry.tracing import UNTRACED, Tracing


def open_tracing(endpoint: str, headers: str = "") -> Tracing:
    """Return what sends spans to the collector at ``endpoint``, the address of its OTLP over HTTP without
    ``/v1/traces``; empty: what takes none, and imports nothing. headers: sent along, as in
    OTEL_EXPORTER_OTLP_HEADERS. Raises ModuleNotFoundError without the extra ``otel``."""
    if not endpoint:
        return UNTRACED
    from core.telemetry.otlp import Traced

    return Traced(endpoint, headers)
