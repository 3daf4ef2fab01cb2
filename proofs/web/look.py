"""How the pages look, held to their tokens: ``python -m proofs.web.look`` tells what in
web/static/*.css isn't of the scale, and which colours are too near each other. ``--mend`` writes the nearest
token instead of a length.

Contrast is that of WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio): 4.5 for text, 3 for the edges
of controls and for focus rings.
"""

import argparse
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from core.settings import ROOT

STATIC = ROOT / "web" / "static"
TEXT, CONTROL = 4.5, 3.0  # ratios that WCAG 2.2 asks for, 1.4.3 and 1.4.11
INKS = ("ink", "muted", "accent", "bad")  # text, on each of the grounds
GROUNDS = ("bg", "side-bg", "surface", "raised", "well", "hover", "bad-well")
EDGES = ("edge", "accent")  # edges of controls, and the ring around what has the focus
PLACES = ("bg", "side-bg", "surface", "raised", "well")  # where controls stand
INVERSE = (("bg", "ink"), ("bg", "bad-strong"), ("film-ink", "film"), ("film-accent", "film"))
MOVES = {"opacity", "transform", "translate", "scale", "rotate"}  # what moves without a new layout
MIDDLE = 0.15  # s, between what answers a hand and what comes and goes
HAIR = 3  # px up to which a line is a line, and no space
LINES = ("1", "1.25", "1.5")  # heights of a line, of its letters
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FRAMES = re.compile(r"@keyframes ([\w-]+ \{(?:[^{}]*\{[^{}]*\})*)")
_DECLARED = re.compile(r"(?<![\w-])([\w-]+)\s*:\s*([^;{}]+)")
_LENGTH = re.compile(r"(?<![\w.-])(-?)(\d*\.?\d+)(rem|em|px)\b")
_RAW = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|oklch)\(|\b(?:white|black)\b(?!-)")
_MOVED = re.compile(r"(?<![\w.-])(0?\.[0-3]\d*)s(?: (?:linear|ease[\w-]*|cubic-bezier\([^)]*\)))?")
_TIME = re.compile(r"(?<![\w.-])\d*\.?\d+m?s\b")


class Fault(NamedTuple):
    """A declaration that isn't of the scale, and why."""

    declared: str
    why: str


@cache
def tokens(name: str = "") -> dict[str, str]:
    """Return the tokens of app.css whose names begin with ``name``, as they are written."""
    root = re.search(r":root \{(.*?)\n\}", (STATIC / "app.css").read_text(encoding="utf-8"), re.DOTALL)
    assert root is not None
    declared = re.findall(r"--([\w-]+):\s*([^;]+);", root[1])
    return {key: value for key, value in declared if key.startswith(name)}


def kind_of(prop: str) -> str:
    """Return which scale a property takes its values from, "" = none."""
    if re.fullmatch(r"(padding|margin)(-.+)?|gap|row-gap|column-gap", prop):
        return "space"
    if re.fullmatch(r"border(-.+)?-radius", prop):
        return "round"
    return "text" if prop in ("font-size", "font") else ""


def mended(prop: str, value: str) -> str:
    """Return a value with the nearest token in place of each length or time, and the nearest height of a
    line."""
    if prop == "line-height" and value not in LINES:
        return min(LINES, key=lambda line: abs(float(line) - float(value)))
    if prop in ("transition", "animation"):
        return _MOVED.sub(lambda found: "var(--quick)" if float(found[1]) < MIDDLE else "var(--calm)", value)
    scale = kind_of(prop)
    known = tokens(scale).items()
    sizes = {key: float(size.removesuffix("rem")) for key, size in known if size.endswith("rem")}

    def nearest(found: re.Match[str]) -> str:
        size = float(found[2]) / (16 if found[3] == "px" else 1)
        if size == 0 or (found[3] == "px" and float(found[2]) <= HAIR):
            return found[0]
        # of two that are as near, the tighter space and the rounder corner
        token = min(
            sizes,
            key=lambda key: (round(abs(sizes[key] - size), 4), (scale == "round") == (sizes[key] < size)),
        )
        return f"calc(-1 * var(--{token}))" if found[1] else f"var(--{token})"

    return _LENGTH.sub(nearest, value) if scale else value


def faults(text: str) -> Iterator[Fault]:
    """Find what isn't of the scale in a style sheet."""
    text = _COMMENT.sub("", text)
    for block in _FRAMES.findall(text):
        for prop in {prop for prop, _ in _DECLARED.findall(block)} - MOVES:
            yield Fault(
                f"@keyframes {block.split()[0]}", f"{prop} moves; only {', '.join(sorted(MOVES))} may"
            )
    for prop, value in _DECLARED.findall(text):
        tells = not prop.startswith("--") and "0.01ms !important" not in value  # less motion is no motion
        if tells and (why := _wrong(prop, value.strip())):
            yield Fault(f"{prop}: {value.strip()}", why)


def _wrong(prop: str, value: str) -> str:
    """Return why a declaration isn't of the scale, "" where it is."""
    if _RAW.search(re.sub(r"url\([^)]*\)", "", value)):
        return "a colour of its own; app.css has tokens"
    if (better := mended(prop, value)) != value:
        return f"of no scale; the nearest is {better}"
    if prop in ("transition", "animation") and _TIME.search(value):
        return "a time of its own; --quick, --calm and --pulse are there"
    if prop == "transition" and (moved := {one.split()[0] for one in value.split(",")} - MOVES - {"none"}):
        return f"moves {', '.join(sorted(moved))}; only {', '.join(sorted(MOVES))} may"
    return ""


def mend() -> int:
    """Write the nearest token in place of each length that no scale has; return how many."""
    count = 0

    def better(found: re.Match[str]) -> str:
        nonlocal count
        value = found[2] if found[1].startswith("--") else mended(found[1], found[2])
        count += value != found[2]
        return found[0].removesuffix(found[2]) + value

    for path in sorted(STATIC.glob("*.css")):
        text = path.read_text(encoding="utf-8")
        path.write_text(_DECLARED.sub(better, text), encoding="utf-8")
    return count


class Pair(NamedTuple):
    """Two tokens that stand on each other: how far apart they are in light and in dark, and have to be."""

    front: str
    ground: str
    light: float
    dark: float
    least: float


def pairs() -> list[Pair]:
    """Return every pair of tokens that can meet on a page, with its contrast. What lies over pictures is
    measured on the lightest and on the darkest picture there can be."""
    named = [(front, ground, TEXT) for front in INKS for ground in GROUNDS]
    named += [(front, ground, TEXT) for front, ground in INVERSE]
    named += [(front, ground, CONTROL) for front in EDGES for ground in PLACES]
    return [
        Pair(front, ground, *(_contrast(front, ground, dark) for dark in (0, 1)), least)
        for front, ground, least in named
    ]


def _contrast(front: str, ground: str, dark: int) -> float:
    """Return the ratio of two tokens; for what is seen through, the least over white and over black."""
    return min(_ratio(_colour(front, dark, under), _colour(ground, dark, under)) for under in (255.0, 0.0))


def _colour(token: str, dark: int, under: float) -> tuple[float, ...]:
    """Return a token's red, green and blue, 0 to 255, laid over grey ``under`` where it is seen through."""
    value = tokens()[token]
    both = re.fullmatch(r"light-dark\((#\w+), (#\w+)\)", value)
    digits = (both[1 + dark] if both else value).removeprefix("#")
    if len(digits) < 6:
        digits = "".join(2 * digit for digit in digits)
    red, green, blue, *alpha = bytes.fromhex(digits)
    share = alpha[0] / 255 if alpha else 1.0
    return tuple(share * one + (1 - share) * under for one in (red, green, blue))


def _ratio(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if (c := one / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for one in colour]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mend", action="store_true", help="write the nearest token instead of a length")
    args = parser.parse_args()
    if args.mend:
        print(f"{mend()} declarations mended")
    sheets = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.css"))}
    found = [(name, *fault) for name, text in sheets.items() for fault in faults(text)]
    for name, declared, why in found:
        print(f"{name}: {declared} — {why}")
    low = [pair for pair in pairs() if min(pair.light, pair.dark) < pair.least]
    for pair in low:
        print(
            f"--{pair.front} on --{pair.ground}: {pair.light:.2f}, dark {pair.dark:.2f}, least {pair.least}"
        )
    raise SystemExit(f"{len(found)} faults, {len(low)} contrasts too low" if found or low else None)


if __name__ == "__main__":
    main()
