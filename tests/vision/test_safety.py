"""The classifier's process: frames in, one line out for each, and an end when they can't be frames."""

import io
import json
import struct
from types import SimpleNamespace

import pytest
from PIL import Image

from vision.worker import safety


def _answers(monkeypatch: pytest.MonkeyPatch, frames: bytes) -> tuple[int, list[dict]]:
    sink = io.BytesIO()
    monkeypatch.setattr(safety, "from_package", lambda: lambda image: image.width / 100)
    monkeypatch.setattr(safety.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(frames)))
    monkeypatch.setattr(safety.sys, "stdout", SimpleNamespace(buffer=sink))
    return safety.main([]), [json.loads(line) for line in sink.getvalue().splitlines()]


def _frame(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def test_each_picture_gets_its_line_and_what_is_none_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 10)).save(buffer, "PNG")
    status, answers = _answers(monkeypatch, _frame(b"no picture") + _frame(buffer.getvalue()))
    assert status == 0
    assert answers == [{"error": "UnidentifiedImageError"}, {"nsfw": 0.5}]


def test_a_frame_over_the_bound_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _answers(monkeypatch, struct.pack(">I", safety.MAX_FRAME + 1) + b"rest") == (1, [])
