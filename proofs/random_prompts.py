"""Random prompts by the thousand: none may crash, what is read must survive being written, and it must be
quick.

``python -m proofs.random_prompts`` (``make grammar``) runs a million and prints how long each took.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import PromptError
from core.prompt.parser import FLAGS, Prompt, count_prompts, expand_sets, format_prompt, parse_prompt

WORDS = (
    "a",
    "red",
    "house",
    "snow",
    "half--hidden",
    "fish—ar 2:3",
    "page—seed 5",
    "well--c 200 mg",
    "3d",
    "—calm",
    "naïve",
    "猫",
    '5"',
    "e.g.",
    "\u202e",
    "<@1>",
    "&",
    "--",
    "::",
    "\\",
    '"',
)
MARKS = (
    "::2",
    "::-.5",
    "::",
    "{",
    "}",
    ",",
    "\\,",
    "\\{",
    "\\--x",
    '"hello --ar {x}"',
    "“a::b”",
    "<1>",
    "<2>::3",
    "<99>",
    "https://cdn.discordapp.com/a.png?ex=1",
)
NAMES = tuple(name for flag in FLAGS for name in (flag.name, *flag.aliases)) + (
    "sede",
    "arr",
    "x",
    "AR",
    "Chaos",
)
EXAMPLES = tuple(flag.example[flag.example.index("--") :] for flag in FLAGS)
VALUES = (
    "5",
    "-1",
    "3:2",
    "16x9",
    "0.5",
    "1e3",
    "99999999999",
    "nan",
    "raw",
    "random",
    "euler",
    "ink:0.8",
    "niji",
    "low",
    "<1>",
    "a, b",
    "",
    "٣",
)


def random_source(dice: random.Random) -> str:
    """Something that looks like a prompt, mostly; sometimes any characters at all."""
    if dice.random() < 0.05:
        return "".join(
            chr(dice.choice((dice.randrange(32, 127), dice.randrange(32, 0x2FFF))))
            for _ in range(dice.randrange(60))
        )
    pieces = [
        dice.choice(MARKS) if dice.random() < 0.15 else dice.choice(WORDS)
        for _ in range(dice.randrange(1, 14))
    ]
    if dice.random() < 0.25:
        pieces.insert(
            dice.randrange(len(pieces) + 1),
            "{" + ", ".join(dice.choices(WORDS[:6], k=dice.randrange(1, 4))) + "}",
        )
    for _ in range(dice.choice((0, 0, 1, 1, 2, 3, 6))):
        if dice.random() < 0.85:
            pieces.append(dice.choice(EXAMPLES))
            continue
        pieces.append(
            dice.choice(("--", "--", "--", "—"))
            + dice.choice(NAMES)
            + dice.choice((" ", " ", "="))
            + dice.choice(VALUES)
        )
    return " ".join(pieces)


@dataclass
class Report:
    """read, refused, sets: how many of each; sets are written out and read too. broken: sources that failed.
    times: of the processor, s."""

    read: int = 0
    refused: int = 0
    sets: int = 0
    broken: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list, repr=False)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(number: int, *, seed: int, formatter: Callable[[Prompt], str] = format_prompt) -> Report:
    """Read ``number`` random sources; each that is one must read the same after it was written by
    ``formatter``."""
    dice, report = random.Random(seed), Report()
    for _ in range(number):
        source = random_source(dice)
        began = time.process_time()
        try:
            prompts = [parse_prompt(one) for one in expand_sets(source)]
        except PromptError as error:
            report.refused += 1
            if not 10 < len(str(error)) < 900:
                report.broken.append(source)
            prompts = []
        except Exception:
            report.broken.append(source)
            prompts = []
        else:
            report.read, report.sets = report.read + (len(prompts) == 1), report.sets + (len(prompts) > 1)
        report.times.append(time.process_time() - began)
        if not all(_survives(prompt, formatter) for prompt in prompts) or (
            len(prompts) > 1 and len(prompts) != count_prompts(source)
        ):
            report.broken.append(source)
    return report


def _survives(prompt: Prompt, formatter: Callable[[Prompt], str]) -> bool:
    try:
        return parse_prompt(formatter(prompt)) == prompt and expand_sets(formatter(prompt)) == [
            formatter(prompt)
        ]
    except PromptError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = run(options.number, seed=options.seed)
    print(
        f"{options.number:,} random prompts: {report.read:,} read, {report.sets:,} with sets,"
        f" {report.refused:,} refused with a sentence, ",
        end="",
    )
    print(f"{len(report.broken)} broken")
    for source in report.broken[:5]:
        print(repr(source))
    print(
        "ms of processor time: "
        + ", ".join(f"p{share:.1%} {report.percentile(share) * 1e3:.3f}" for share in (0.5, 0.99, 0.999, 1.0))
    )
    return bool(report.broken)


if __name__ == "__main__":
    sys.exit(main())
