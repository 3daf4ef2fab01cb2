"""Rows about time and memory."""

import subprocess
import sys
import time

from demo.evaluation.pack import Pack
from demo.evaluation.report import Report


def time_rows(pack: Pack, report: Report, n: int):
    """Best of five warm grids on one thread: two threads wait for each other so long that they win nothing on
    a busy machine."""
    clocks = []
    for _ in range(6):
        started = time.perf_counter(), time.process_time()
        pack.text_to_image(["a red house in the snow"] * 4, **pack.defaults)
        clocks.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    wall, cpu = (round(min(column), 2) for column in zip(*clocks[1:], strict=True))
    report.row("seconds for a four-image grid, one thread, warm", wall, 2.0, at_most=True)
    report.row("CPU seconds for a four-image grid, one thread, warm", cpu, None)


MEMORY = """
import psutil
import torch
torch.set_num_threads(1)
from demo.evaluation.pack import Pack
from demo.evaluation.reading_rows import captions_of
pack = Pack()
picture = pack.imagine(["a red house in the snow"])[0]
pack.image_to_image, pack.models.image(None), captions_of(pack, [picture]), pack.clip, pack.vit
print(psutil.Process().memory_info().rss / 2**30)
"""


def memory_rows(pack: Pack, report: Report, n: int):
    """Resident memory of a fresh process that holds all models and has used them."""
    result = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    report.row(
        "GiB resident with all models loaded", round(float(result.stdout.split()[-1]), 2), 1.2, at_most=True
    )
