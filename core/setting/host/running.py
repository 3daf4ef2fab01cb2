"""What a host sets about how the process runs, and what whoever watches it sees."""

from __future__ import annotations

from dataclasses import dataclass

from core.setting.field import setting
from core.setting.values import ip, on_or_off, one_of, server, whole

GROUP = "Running"
MOST_GRACE = 600  # seconds; what ends the process from outside waits for longer


@dataclass(frozen=True, kw_only=True)
class RunningSettings:
    """The settings of the process."""

    log_level: str = setting(
        "info", "debug, info, warning or error", one_of("debug", "info", "warning", "error"), group=GROUP
    )
    grace_seconds: int = setting(
        "20", "seconds that running jobs get to finish at shutdown", whole(0, MOST_GRACE), group=GROUP
    )
    metrics_port: int = setting(
        "0",
        "port of /healthz, /readyz, /livez and Prometheus /metrics; 0 = off",
        whole(0, 65535),
        group=GROUP,
    )
    metrics_bind: str = setting(
        "127.0.0.1",
        "address that these answer on; 0.0.0.0 inside a container, where only the watcher can reach it",
        ip,
        group=GROUP,
    )
    otel_exporter_otlp_endpoint: str = setting(
        "",
        "collector that is told where each job's time goes (OTLP over HTTP), such as http://127.0.0.1:4318;"
        " empty = none (needs the extra otel)",
        server,
        group=GROUP,
    )
    otel_exporter_otlp_headers: str = setting(
        "", "what the collector wants to be sent along: name=value,name=value", group=GROUP, secret=True
    )
    sandbox_port: int = setting(
        "0", "port of the sandbox page on 127.0.0.1; 0 = a free one", whole(0, 65535), group=GROUP
    )
    open_browser: bool = setting(
        "on", "open the sandbox page in the browser if there is a desktop", on_or_off, group=GROUP
    )
