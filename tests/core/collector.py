"""A collector of traces: it takes OTLP over HTTP on a port of this machine, and keeps what it got."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(ThreadingHTTPServer):
    """raw: the bodies that came. headers: that the last one came with. status: what is answered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.raw: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.paths: set[str] = set()
        self.status = 200

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def spans(self) -> list[tuple[dict[str, object], Span]]:
        """Each span with the attributes of its process."""
        found = []
        for body in self.raw:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                process = told(resource.resource)
                found += [(process, span) for scope in resource.scope_spans for span in scope.spans]
        return found

    def named(self, name: str) -> Span:
        """The one span of a name."""
        (found,) = [span for _, span in self.spans if span.name == name]
        return found


def told(described) -> dict[str, object]:
    """The attributes of a span or process."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in described.attributes}


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.add(self.path)
        self.server.headers = dict(self.headers)
        if self.server.status == 200:
            self.server.raw.append(body)
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run one while the block does."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()
