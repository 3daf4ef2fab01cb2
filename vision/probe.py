"""Looks at devices and tries models in a process that may die: ``python -m vision.probe devices`` and ``…
load JSON`` print JSON lines."""

from __future__ import annotations

import json
import sys


def devices() -> list[dict]:
    """Return every device that torch sees here, with its name and its memory in bytes."""
    import torch

    from vision import devices

    names = (
        ["cpu"]
        + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        + (["mps"] if torch.backends.mps.is_available() else [])
    )
    found = []
    for name in names:
        free, total = devices.memory(name)
        found.append({"device": name, "name": devices.name(name), "memory": total, "free": free})
    return found


def load(call: dict) -> None:
    """Load each configured model, and print a line {"role", "problem", "seconds"} as soon as it is known.

    call: fields of ``WorkerConfig``; for roles see ``describe.describe_models``.
    """
    import time
    from dataclasses import replace

    from core.errors import AtelierError
    from vision.protocol import WorkerConfig
    from vision.startup import prepare_environment, quiet_libraries

    config = WorkerConfig(**call)
    prepare_environment(config)
    quiet_libraries()
    from vision.model_store import Models

    tiny = {
        role.removeprefix("tiny "): spec for role, spec in config.models.items() if role.startswith("tiny ")
    }
    tried = dict.fromkeys(tiny, "no image model of this family loads, so there is nothing to try it with.")
    for role, spec in config.models.items():
        start, problem, kind = time.monotonic(), "", role.partition(" ")[0]
        if kind == "tiny":
            continue
        models = Models(replace(config, models={kind: spec}, tiny_vaes=tiny))
        try:
            models.get(kind)
        except AtelierError as error:
            problem = str(error)
        tried |= models.loader.tiny_problems
        print(
            json.dumps({"role": role, "problem": problem, "seconds": round(time.monotonic() - start, 2)}),
            flush=True,
        )
    for family, problem in tried.items():
        print(json.dumps({"role": f"tiny {family}", "problem": problem}), flush=True)


def main(arguments: list[str]) -> None:
    """Print the devices, or load the models of the given configuration. arguments: of the command line."""
    if arguments[:1] == ["load"]:
        load(json.loads(arguments[1]))
    else:
        for device in devices():
            print(json.dumps(device))


if __name__ == "__main__":
    main(sys.argv[1:])
