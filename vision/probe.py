"""``python -m vision.probe devices`` and ``… load JSON``: looks at devices and tries models in a process that may die; prints JSON lines."""

from __future__ import annotations

import json
import sys


def devices() -> list[dict]:
    """Every device torch sees here: name and memory in bytes."""
    import torch

    from vision import devices

    names = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())] + (["mps"] if torch.backends.mps.is_available() else [])
    found = []
    for name in names:
        free, total = devices.memory(name)
        found.append({"device": name, "name": devices.name(name), "memory": total, "free": free})
    return found


def load(call: dict) -> None:
    """Load each configured model; one line {"role", "problem", "seconds"} as it is known."""
    import time

    from core.errors import AtelierError
    from vision.protocol import WorkerConfig
    from vision.worker import prepare_environment, quiet_libraries

    config = WorkerConfig(**call)
    prepare_environment(config)
    quiet_libraries()
    from vision.provider import Models

    models = Models(config)
    for role in config.models:
        start, problem = time.monotonic(), ""
        try:
            models.get(role)
        except AtelierError as error:
            problem = str(error)
        print(json.dumps({"role": role, "problem": problem, "seconds": round(time.monotonic() - start, 2)}), flush=True)


def main(arguments: list[str]) -> None:
    """Entry point; see the module's first line."""
    if arguments[:1] == ["load"]:
        load(json.loads(arguments[1]))
    else:
        for device in devices():
            print(json.dumps(device))


if __name__ == "__main__":
    main(sys.argv[1:])
