"""The cells of a table: numbers as people and models write them, and names."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from core.results import Cell

LONGEST = 200  # characters of a cell
NOTHING = {"", "-", "–", "—", "n/a", "na", "nan", "none", "null", "?", "…", "..."}
_SIGN = r"[-+−–]?"
_NUMBER = re.compile(rf"{_SIGN}(?:\d[\d.,'’ \u00a0\u2009\u202f_]*|[.,]\d+)(?:[eE][-+]?\d+)?")
_BEFORE = re.compile(r"(?:~|≈|ca\.?|about)\s*", re.IGNORECASE)
_UNIT = re.compile(r"[%‰$€£¥°]|[A-Za-zµ°²³/]{1,6}|[%‰$€£¥°][A-Za-z]{1,3}")
_GROUPED = re.compile(r"\d{1,3}(?P<mark>[,.'’_ ])\d{3}(?:(?P=mark)\d{3})*")
LARGEST = 1e15  # numbers beyond it are kept as text


def clean(value: Any) -> str:
    """Return a name on one line, without signs that can't be seen."""
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(value))
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def cell(value: Any) -> tuple[Cell, str]:
    """Return what a cell holds, and the unit of its number: ("12 %") → (12.0, "%"). What is no number is a
    name, and what says that there is nothing is None."""
    if value is None:
        return None, ""
    text = clean(value)
    if text.lower() in NOTHING:
        return None, ""
    found = number(text)
    return (text, "") if found is None else found


def number(text: str) -> tuple[float, str] | None:
    """Return the number in a text that is nothing else, with its unit, else None."""
    text = _BEFORE.sub("", text.strip(), count=1)
    owed = text.startswith("(") and text.endswith(")")  # as bookkeepers write what is less than nothing
    text = text.strip("()").strip() if owed else text
    before = _UNIT.match(text)
    if before and not before[0].isalpha():
        text = text[before.end() :].lstrip()
    signed = re.fullmatch(rf"({_SIGN})\s*([$€£¥])\s*(.+)", text)
    if signed:
        before, text = _UNIT.match(signed[2]), signed[1] + signed[3]
    found = _NUMBER.match(text)
    if found is None:
        return None
    after = text[found.end() :].strip()
    if after and not _UNIT.fullmatch(after):
        return None
    value = _value(found[0].strip())
    if value is None:
        return None
    unit = after or (before[0] if before and not before[0].isalpha() else "")
    return (-value if owed else value), unit


def _value(text: str) -> float | None:
    digits = text.replace("−", "-").replace("–", "-")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits.lstrip("+"))
    mantissa, _, exponent = digits.lower().partition("e")
    mantissa = re.sub("[\u00a0\u2009\u202f ]", " ", mantissa).strip()
    whole = _plain(mantissa)
    if whole is None:
        return None
    try:
        value = float(f"{sign}{whole}e{exponent or 0}")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= LARGEST else None


def _plain(text: str) -> str | None:
    """Return digits with a point, without marks between thousands; None where it is no number. A mark before
    three digits is one between thousands unless it is a point alone."""
    if re.fullmatch(r"\d*\.?\d+|\d+\.", text):
        return text
    for point, mark in ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (".", "’"), (".", "_")):
        head, cut, tail = text.rpartition(point) if point in text else (text, "", "")
        grouped = _GROUPED.fullmatch(head)
        if grouped and grouped["mark"] == mark and (not cut or tail.isdigit()):
            return head.replace(mark, "") + (f".{tail}" if cut else "")
    if re.fullmatch(r"\d*,\d+", text):
        return text.replace(",", ".")
    return None


def written(value: Cell) -> str:
    """Return a cell as it is shown: 12.0 as 12, nothing as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.10g}"
