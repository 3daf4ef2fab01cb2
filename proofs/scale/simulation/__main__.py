"""How much of a processor the bot needs for a thousand machines: ``make scale-sim``, or
``python -m proofs.scale.simulation --agents 100 300 1000 --rates 10 20 50``.

One process plays the machines: the agents of ``atelier worker`` with timers in the place of devices, each
with its subjects, its signs of life, its steps and previews. Another is the bot, with its queue, dispatcher,
executor and rows, whose members ask for jobs and follow them. Between them are a real NATS server and a real
PostgreSQL server. All share this machine's processors, so a delay is one of this machine; seconds of a
processor are the bot's own. Where they don't suffice, --slow lets everything go slower by a factor: rates,
steps, signs of life; processor seconds are told for a second of the plan's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from proofs.scale.simulation.measure import HEAD, Plan, measure


def main() -> None:
    """Measure, and print a row for each number of machines and each rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[1000])
    parser.add_argument("--rates", type=float, nargs="+", default=[50.0], help="jobs a second")
    parser.add_argument("--slots", type=int, default=8, help="of each machine")
    parser.add_argument("--seconds", type=float, default=16.4, help="of a job")
    parser.add_argument("--steps", type=int, default=28, help="of a job")
    parser.add_argument("--preview", type=int, default=15_000, help="bytes of a preview, with each step")
    parser.add_argument("--warm", type=float, default=0.0, help="seconds before; default: a job and 5")
    parser.add_argument("--measured", type=float, default=30.0, help="seconds")
    parser.add_argument("--slow", type=float, default=1.0, help="all goes so many times slower")
    parser.add_argument("--profile", type=Path, help="where to write what the bot spends its time on")
    given = parser.parse_args()
    print(HEAD)
    for agents in given.agents:
        for rate in given.rates:
            plan = Plan(
                agents, rate, given.slots, given.seconds, given.steps, given.preview,
                given.warm or given.seconds + 5, given.measured, given.slow, given.profile,
            )  # fmt: skip
            with tempfile.TemporaryDirectory(prefix="sim-") as folder:
                print(measure(Path(folder), plan), flush=True)


if __name__ == "__main__":
    main()
