"""Makes a bundle in a process of its own: torch's exporter changes what is the whole process's while it runs,
and others' drawings go on in the worker meanwhile."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError

PATIENCE = 600  # seconds
ORDER, ZIP = "order.pickle", "bundle.zip"  # in the folder
REFUSED = 3  # exit status of a process whose last line of stderr is for people


@dataclass(frozen=True)
class Order:
    """artefact: bytes of the model's file. task: of it. extractor: what it sees with. golden: files of
    pictures. name, figures, limit: see ``bundle``."""

    artefact: bytes
    task: str
    extractor: object
    name: str
    golden: Sequence[str]
    figures: Sequence[str]
    limit: float


def make(order: Order, folder: Path) -> Path:
    """Return the file of a bundle, made in ``folder`` by another process. Raises ModelError when there is
    none in the end."""
    (folder / ORDER).write_bytes(pickle.dumps(order))  # read by this program only, in its own folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "vision.own_models.export.child", str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"The bundle wasn't made within {PATIENCE} s.") from error
    finally:
        (folder / ORDER).unlink()
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise ModelError(last if done.returncode == REFUSED else f"The bundle can't be made: {last}")
    return folder / ZIP


def main(folder: Path) -> int:
    """Make what the order in ``folder`` asks for; return the exit status."""
    import torch

    from vision.own_models.export.bundle import bundle
    from vision.own_models.serving.held import unpack
    from vision.pictures import encode

    torch.set_num_threads(1)
    order = pickle.loads((folder / ORDER).read_bytes())
    try:
        model = unpack(order.artefact, order.task)
        golden = [encode.open_picture(path) for path in order.golden]
        data = bundle(model, order.extractor, order.name, golden, order.figures, limit=order.limit)
    except ModelError as error:
        print(error, file=sys.stderr)
        return REFUSED
    (folder / ZIP).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
