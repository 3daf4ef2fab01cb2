"""onnxruntime on one thread of the processor that sleeps while it has nothing to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_session(file: Path) -> Any:
    """Return an ``InferenceSession`` for an ONNX file. Memory that a call needs is given back after it: the
    arena would keep the most that was ever needed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
