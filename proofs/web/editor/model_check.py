"""Random commands through the browser's modules under Node and through a plain model in Python: ``python -m
proofs.web.editor.model_check [--sequences N]``. Exit status 1 at the first difference, with its commands."""

from __future__ import annotations

import argparse
import json
import random

from proofs.web.editor.model import Commands, Model
from tests.web.editor.node import Node, open_node

LENGTH = 30  # commands of a sequence
FEW = {
    "steps": 12,
    "room": 3000,
    "clips": 10**9,
    "strokes": 6,
}  # so that the limits are met


def check(node: Node, seed: int, length: int = LENGTH) -> str | None:
    """Run one sequence; None when everything is the same after every command, else what isn't."""
    rng = random.Random(seed)
    model = Model(rng.randint(200, 620), rng.randint(8, 40), FEW["steps"])
    size = {"width": model.width, "height": model.height}
    commands, source, wanted = [], Commands(rng, model), []
    for _ in range(length):
        commands.append(source.next())
        model.run(commands[-1])
        wanted.append(model.seen())
    found = node.ask(**size, limits=FEW, commands=commands)
    for at, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if one != other:
            differ = [name for name in other if one[name] != other[name]]
            return json.dumps({"seed": seed, **size, "differ": differ, "commands": commands[: at + 1]})
    return None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with open_node() as node:
        for number in range(given.sequences):
            if wrong := check(node, given.seed + number):
                print(wrong)
                return 1
    print(f"{given.sequences:,} sequences of {LENGTH} commands: 0 differences")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
