"""What the editor's document, history and mask should do, said plainly: every state is kept whole, and undo
goes back to it. Random commands for it and for the browser's modules."""

from __future__ import annotations

import base64
import copy
import hashlib
import math
import random
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.studio.editor import reference

Command = dict[str, Any]
LAYER = {"x": 0, "y": 0, "scale": 1, "opacity": 1, "visible": True, "name": "", "clip": None}
FRESH = {
    "words": "",
    "references": [],
    "amount": None,
    "seed": None,
    "images": 4,
    "keep_seam": False,
    "keep_structure": False,
}
SOURCE = 300, 24  # px of every layer's picture
WHOLE = b"\1" * (SOURCE[0] * SOURCE[1])
WORDS = ("a", "a red", "a red house", "", "Ünïcödé 屋")


@dataclass
class Model:
    """A document with its whole past. steps: how many of them can be undone."""

    width: int
    height: int
    steps: int
    past: list[tuple[dict[str, Any], bytes, str]] = field(default_factory=list)
    future: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        layers = [{**LAYER, "id": "base", "source": {"upload": "base"}}]
        self.state: dict[str, Any] = {**FRESH, "width": self.width, "height": self.height, "layers": layers}
        self.bits = bytes(self.width * self.height)

    def run(self, command: Command) -> None:
        """Do what a command says."""
        getattr(self, f"_{command['do']}")(**{key: value for key, value in command.items() if key != "do"})

    def seen(self) -> dict[str, Any]:
        """Return what can be compared."""
        digest = hashlib.sha256(self.bits).hexdigest()
        return {
            "bits": digest,
            "strokes": digest,
            "state": self.state | {"layers": [_told(layer) for layer in self.state["layers"]]},
            "past": len(self.past),
            "future": len(self.future),
        }

    def _step(self, state: dict[str, Any], bits: bytes, kind: str = "") -> None:
        if not (kind and self.past and self.past[-1][2] == kind and not self.future):
            self.past = [*self.past, (self.state, self.bits, kind)][-self.steps :]
        self.state, self.bits, self.future = state, bits, []

    def _paint(self, *strokes: dict[str, Any]) -> None:
        size = self.state["width"], self.state["height"]
        self._step(self.state, bytes(reference.replay(*size, self.bits, list(strokes))))

    def _stroke(self, stroke: dict[str, Any]) -> None:
        self._paint(stroke)

    def _brush(self, value: int, points: list[list[int]], radii: list[int], taken_back: bool) -> None:
        if not taken_back:
            self._paint({"tool": "brush", "value": value, "r": radii, **packed(points)})

    def _found(self, box: list[int]) -> None:
        size = self.state["width"], self.state["height"]
        stroke = {"tool": "rect", "value": 1, "box": box}
        self._step(self.state, bytes(reference.replay(*size, None, [stroke])))

    def _canvas(self, left: int, top: int, width: int, height: int) -> None:
        before, bits = self.state, bytearray(width * height)
        for y in range(before["height"]):
            for x in range(before["width"]):
                if 0 <= x + left < width and 0 <= y + top < height:
                    bits[(y + top) * width + x + left] = self.bits[y * before["width"] + x]
        state = copy.deepcopy(before) | {"width": width, "height": height}
        for layer in state["layers"]:
            layer["x"] += left
            layer["y"] += top
        self._step(state, bytes(bits))

    def _layer(self, id: str, change: dict[str, Any], kind: str) -> None:
        state = copy.deepcopy(self.state)
        for layer in state["layers"]:
            layer.update(change if layer["id"] == id else {})
        self._step(state, self.bits, kind)

    def _add(self, id: str) -> None:
        state = copy.deepcopy(self.state)
        state["layers"].append({**LAYER, "id": id, "source": {"upload": id}})
        self._step(state, self.bits)

    def _restore(
        self, id: str, value: int, points: list[list[int]], radii: list[int], taken_back: bool
    ) -> None:
        if taken_back:
            return
        layer = next(layer for layer in self.state["layers"] if layer["id"] == id)
        stroke = {"tool": "brush", "value": value, "r": radii, **packed(points)}
        shown = bytes(reference.replay(*SOURCE, layer["clip"] or WHOLE, [stroke]))
        self._layer(id, {"clip": _clip(shown)}, "")

    def _cut(self, id: str, new: str, hole: bool) -> None:
        state = copy.deepcopy(self.state)
        at = next(at for at, layer in enumerate(state["layers"]) if layer["id"] == id)
        layer = state["layers"][at]
        shown = layer["clip"] or WHOLE
        marked = bytes(
            shown[y * SOURCE[0] + x] and self._marked(layer, x, y)
            for y in range(SOURCE[1])
            for x in range(SOURCE[0])
        )
        if not any(marked):
            return
        state["layers"].insert(at + 1, {**layer, "id": new, "name": "Cut-out", "clip": _clip(marked)})
        if hole:
            layer["clip"] = _clip(bytes(a & (1 - b) for a, b in zip(shown, marked, strict=True)))
        self._step(state, bytes(len(self.bits)))

    def _marked(self, layer: dict[str, Any], x: int, y: int) -> int:
        """Return what the mask has over a pixel of a layer's picture."""
        column, row = (math.floor(layer[at] + (px + 0.5) * layer["scale"]) for at, px in (("x", x), ("y", y)))
        width, height = self.state["width"], self.state["height"]
        return self.bits[row * width + column] if 0 <= column < width and 0 <= row < height else 0

    def _raise(self, id: str, way: int) -> None:
        state = copy.deepcopy(self.state)
        at = next(at for at, layer in enumerate(state["layers"]) if layer["id"] == id)
        layer = state["layers"].pop(at)
        state["layers"].insert(max(0, at + way), layer)
        self._step(state, self.bits)

    def _words(self, words: str) -> None:
        self._step(self.state | {"words": words}, self.bits, "words")

    def _settle(self) -> None:
        if self.past:
            state, bits, _ = self.past[-1]
            self.past[-1] = (state, bits, "")

    def _undo(self) -> None:
        if self.past:
            self.future.append((self.state, self.bits))
            self.state, self.bits, _ = self.past.pop()

    def _redo(self) -> None:
        if self.future:
            self.past.append((self.state, self.bits, ""))
            self.state, self.bits = self.future.pop()

    def _reload(self) -> None:
        self.past, self.future = [], []


def _clip(shown: bytes) -> bytes | None:
    """Return what is shown of a layer as the model keeps it: None for all."""
    return None if all(shown) else shown


def _told(layer: dict[str, Any]) -> dict[str, Any]:
    """Return a layer as it can be compared."""
    return layer | {"clip": layer["clip"] and hashlib.sha256(layer["clip"]).hexdigest()}


def packed(points: list[list[int]]) -> dict[str, Any]:
    """Return a stroke's points as a document keeps them."""
    ways = [struct.pack("<hh", b[0] - a[0], b[1] - a[1]) for a, b in zip(points, points[1:], strict=False)]
    return {"at": points[0], "xy": base64.b64encode(b"".join(ways)).decode()}


class Commands:
    """Random commands for a document whose size and layers it follows."""

    def __init__(self, rng: random.Random, model: Model) -> None:
        self._rng, self._model, self._made = rng, model, 0

    def next(self) -> Command:
        """Return the next one."""
        rng = self._rng
        kinds = ["brush"] * 6 + ["stroke"] * 5 + ["undo"] * 6 + ["redo"] * 4 + ["words"] * 2
        others = ["found", "canvas", "layer", "layer", "add", "raise", "settle", "reload"]
        others += ["restore"] * 4 + ["cut"] * 2
        found: Command = getattr(self, f"_{rng.choice(kinds + others)}")()
        return found

    def _spot(self, far: int = 400) -> list[int]:
        width, height = self._model.state["width"] * 8, self._model.state["height"] * 8
        return [self._rng.randint(-far, width + far), self._rng.randint(-far, height + far)]

    def _points(self, least: int) -> list[list[int]]:
        return [self._spot() for _ in range(self._rng.randint(least, 7))]

    def _brush(self) -> Command:
        points = self._points(1)
        radii = [self._rng.choice((6, 7, 16, self._rng.randint(6, 160)))] * len(points)
        if self._rng.random() < 0.3:
            radii = [self._rng.randint(6, 90) for _ in points]
        back = self._rng.random() < 0.15
        value = int(self._rng.random() < 0.7)
        return {"do": "brush", "value": value, "points": points, "radii": radii, "taken_back": back}

    def _stroke(self) -> Command:
        rng = self._rng
        tool = rng.choice(("rect", "lasso", "lasso", "invert", "grow", "shrink"))
        stroke: dict[str, Any] = {"tool": tool}
        if tool == "rect":
            stroke |= {"value": rng.randint(0, 1), "box": [rng.randint(-30, 700) for _ in range(4)]}
        elif tool == "lasso":
            stroke |= {"value": rng.randint(0, 1), **packed(self._points(3))}
        elif tool != "invert":
            stroke["px"] = rng.choice((1, 2, 3, rng.randint(1, 40)))
        return {"do": "stroke", "stroke": stroke}

    def _found(self) -> Command:
        return {"do": "found", "box": [self._rng.randint(-20, 500) for _ in range(4)]}

    def _canvas(self) -> Command:
        rng = self._rng
        left, top = rng.randint(-40, 40), rng.randint(-9, 9)
        return {
            "do": "canvas",
            "left": left,
            "top": top,
            "width": rng.randint(200, 620),
            "height": rng.randint(8, 40),
        }

    def _some(self) -> str:
        id: str = self._rng.choice(self._model.state["layers"])["id"]
        return id

    def _layer(self) -> Command:
        rng = self._rng
        placed = {"x": rng.randint(-50, 50)}, {"scale": rng.choice((0.5, 1, 1.7))}
        change = rng.choice((*placed, {"visible": False}, {"opacity": 0.5}, {"name": "one"}))
        return {"do": "layer", "id": self._some(), "change": change, "kind": self._rng.choice(("", "move"))}

    def _restore(self) -> Command:
        return {**self._brush(), "do": "restore", "id": self._some()}

    def _cut(self) -> Command:
        self._made += 1
        return {"do": "cut", "id": self._some(), "new": f"l{self._made}", "hole": self._rng.random() < 0.5}

    def _add(self) -> Command:
        self._made += 1
        return {"do": "add", "id": f"l{self._made}"}

    def _raise(self) -> Command:
        return {"do": "raise", "id": self._some(), "way": self._rng.choice((1, -1))}

    def _words(self) -> Command:
        return {"do": "words", "words": self._rng.choice(WORDS)}

    def _settle(self) -> Command:
        return {"do": "settle"}

    def _undo(self) -> Command:
        return {"do": "undo"}

    def _redo(self) -> Command:
        return {"do": "redo"}

    def _reload(self) -> Command:
        return {"do": "reload"}
