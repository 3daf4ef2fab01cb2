"""The things of the drawn world: one function draws each, with a brush in its own unit square."""

import math

CREAM, WOOD, LEAF, DARK = (250, 244, 228), (122, 78, 46), (58, 140, 66), (28, 28, 34)


def mix(colour, other, share):
    """Return `colour` moved by `share` (0..1) towards `other`; both are RGB triples."""
    return tuple(round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))


class Brush:
    """Draws in an object's own unit square (-1 to 1) around its centre."""

    def __init__(self, draw, x, y, half, paint, outline):
        self.draw, self.x, self.y, self.half, self.outline = draw, x, y, half, outline
        self.main = paint
        dark, bright = sum(paint) < 150, min(paint) > 215
        self.light = mix(paint, (255, 255, 255), 0.3 if dark else 0.42)
        warm = (
            paint[0] > 220 and paint[1] > 110 and paint[2] < 100
        )  # yellow and orange darken to brown, not to olive
        deep = (150, 52, 0) if warm else (16, 6, 30)
        self.shade = (212, 217, 230) if bright else mix(paint, deep, 0.38 if dark or warm else 0.22)
        self.line = (
            (112, 114, 130)
            if dark
            else (134, 138, 158)
            if bright
            else mix(paint, deep, 0.75 if warm else 0.5)
        )
        if outline:
            self.line = paint
        self.width = max(3, round(half * (0.16 if outline else 0.075)))

    def _points(self, points):
        return [(self.x + px * self.half, self.y + py * self.half) for px, py in points]

    def polygon(self, points, fill, line=True):
        points = self._points(points)
        if not self.outline:
            self.draw.polygon(points, fill=fill)
        if line:
            self.draw.line(points + points[:2], fill=self.line, width=self.width, joint="curve")

    def ellipse(self, x, y, rx, ry, fill, line=True):
        (x0, y0), (x1, y1) = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse(
            [x0, y0, x1, y1],
            fill=None if self.outline else fill,
            outline=self.line if line else None,
            width=self.width if line else 0,
        )

    def stroke(self, points, fill, width=1.0):
        width = max(3, round(self.half * 0.13 * width))
        self.draw.line(
            self._points(points), fill=self.line if self.outline else fill, width=width, joint="curve"
        )

    def dot(self, x, y, rx, ry, fill):
        """A filled detail such as an eye: kept in line drawings too."""
        (x0, y0), (x1, y1) = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse([x0, y0, x1, y1], fill=self.line if self.outline else fill)


class Silhouette(Brush):
    """Draws all that an object covers in 255, on a canvas of mode "L"."""

    def __init__(self, draw, x, y, half, outline):
        super().__init__(draw, x, y, half, (0, 0, 0), outline)

    def polygon(self, points, fill, line=True):
        points = self._points(points)
        self.draw.polygon(points, fill=255)
        if line:
            self.draw.line(points + points[:2], fill=255, width=self.width, joint="curve")

    def ellipse(self, x, y, rx, ry, fill, line=True):
        (x0, y0), (x1, y1) = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self.draw.ellipse([x0, y0, x1, y1], fill=255)

    def stroke(self, points, fill, width=1.0):
        width = max(3, round(self.half * 0.13 * width))
        self.draw.line(self._points(points), fill=255, width=width, joint="curve")

    def dot(self, x, y, rx, ry, fill):
        self.ellipse(x, y, rx, ry, fill)


def _star_points(radius, inner=0.46, dy=0.05):
    turn = math.pi / 5
    radii = (radius, radius * inner)
    return [(math.sin(i * turn) * radii[i % 2], dy - math.cos(i * turn) * radii[i % 2]) for i in range(10)]


def _heart_points(scale, dx=0.0, dy=0.0):
    points = []
    for i in range(36):
        t = i * math.pi / 18
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((dx + scale * 0.95 * math.sin(t) ** 3, dy - scale * y / 16.5 - 0.03))
    return points


def _ball(b):
    b.ellipse(0, 0, 0.9, 0.9, b.shade)
    if not b.outline:
        b.ellipse(-0.07, -0.08, 0.76, 0.75, b.main, line=False)
        b.ellipse(-0.32, -0.38, 0.27, 0.22, b.light, line=False)


def _star(b):
    b.polygon(_star_points(1.0), b.main)
    if not b.outline:
        b.polygon(_star_points(0.55), b.light, line=False)


def _heart(b):
    b.polygon(_heart_points(1.0), b.main)
    if not b.outline:
        b.ellipse(-0.42, -0.42, 0.24, 0.2, b.light, line=False)


def _moon(b):
    outer = [
        (-0.05 + 0.95 * math.cos(math.radians(a)), 0.95 * math.sin(math.radians(a)))
        for a in range(50, 311, 10)
    ]
    inner = [
        (0.34 + 0.73 * math.cos(math.radians(a)), 0.73 * math.sin(math.radians(a)))
        for a in range(291, 68, -10)
    ]
    b.polygon(outer + inner, b.main)
    if not b.outline:
        b.ellipse(-0.62, -0.18, 0.16, 0.17, b.shade, line=False)
        b.ellipse(-0.42, 0.4, 0.14, 0.14, b.light, line=False)


def _diamond(b):
    b.polygon([(-0.5, -0.72), (0.5, -0.72), (0.95, -0.18), (0, 0.9), (-0.95, -0.18)], b.main)
    if b.outline:
        b.stroke([(-0.9, -0.18), (0.9, -0.18)], b.line)
        return
    b.polygon([(-0.48, -0.66), (0.48, -0.66), (0.86, -0.2), (-0.86, -0.2)], b.light, line=False)
    b.polygon([(0.3, -0.18), (0.86, -0.18), (0.04, 0.8)], b.shade, line=False)


def _house(b):
    b.polygon([(-0.7, -0.12), (0.7, -0.12), (0.7, 0.88), (-0.7, 0.88)], b.main)
    b.polygon([(-0.98, -0.08), (0, -0.95), (0.98, -0.08)], b.shade)
    b.polygon([(-0.48, 0.22), (-0.02, 0.22), (-0.02, 0.88), (-0.48, 0.88)], b.line)
    b.polygon([(0.18, 0.16), (0.52, 0.16), (0.52, 0.5), (0.18, 0.5)], (255, 240, 165))


def _tree(b):
    b.polygon([(-0.15, 0.4), (0.15, 0.4), (0.15, 0.95), (-0.15, 0.95)], WOOD, line=b.outline)
    if b.outline:
        b.polygon([(0, -0.95), (0.72, 0.5), (-0.72, 0.5)], b.main)
        return
    b.polygon([(0, -0.4), (0.78, 0.52), (-0.78, 0.52)], b.shade)
    b.polygon([(0, -0.95), (0.6, 0.05), (-0.6, 0.05)], b.main)
    b.polygon([(-0.02, -0.74), (0.06, -0.1), (-0.4, -0.1)], b.light, line=False)


def _boat(b):
    b.polygon([(0.06, -0.92), (0.8, 0.18), (0.06, 0.18)], CREAM)
    b.polygon([(-0.1, -0.6), (-0.1, 0.18), (-0.62, 0.18)], CREAM)
    b.stroke([(-0.02, -0.95), (-0.02, 0.4)], b.line)
    b.polygon([(-0.97, 0.32), (0.97, 0.32), (0.6, 0.9), (-0.6, 0.9)], b.main)
    if not b.outline:
        b.polygon([(-0.82, 0.38), (0.82, 0.38), (0.76, 0.52), (-0.72, 0.52)], b.light, line=False)


def _flower(b):
    b.stroke([(0, 0), (0, 0.95)], LEAF, 1.2)
    b.polygon([(0, 0.86), (0.2, 0.56), (0.55, 0.5), (0.36, 0.8)], LEAF, line=b.outline)
    for k in range(5):
        angle = k * 2 * math.pi / 5 - math.pi / 2
        b.ellipse(0.42 * math.cos(angle), 0.42 * math.sin(angle) - 0.25, 0.33, 0.33, b.main)
    yellow = b.main[0] > 200 and b.main[1] > 180 and b.main[2] < 120
    b.ellipse(0, -0.25, 0.25, 0.25, (236, 124, 40) if yellow else (255, 214, 70))


def _cat(b):
    for side in (-1, 1):
        b.polygon([(side * 0.82, 0.0), (side * 0.74, -0.95), (side * 0.1, -0.5)], b.shade)
    b.ellipse(0, 0.15, 0.88, 0.74, b.main)
    dark = sum(b.main) < 150
    if not b.outline:
        b.ellipse(0, 0.5, 0.36, 0.26, b.light, line=False)
    for side in (-1, 1):
        b.dot(side * 0.36, 0.04, 0.13, 0.17, (244, 226, 90) if dark else DARK)
    b.dot(0, 0.4, 0.13, 0.1, (240, 150, 170) if dark else DARK)


def _fish(b):
    b.polygon([(0.36, 0.02), (0.98, -0.55), (0.86, 0.02), (0.98, 0.6)], b.shade)
    b.ellipse(-0.2, 0.02, 0.76, 0.56, b.main)
    if not b.outline:
        b.ellipse(-0.2, 0.26, 0.5, 0.22, b.light, line=False)
        b.polygon([(-0.08, -0.1), (0.32, 0.02), (-0.08, 0.2)], b.shade, line=False)
        b.dot(-0.6, -0.12, 0.17, 0.17, (255, 255, 255))
    b.dot(-0.62, -0.11, 0.1, 0.11, DARK)


def _mushroom(b):
    b.polygon([(-0.26, 0.0), (0.26, 0.0), (0.36, 0.9), (-0.36, 0.9)], CREAM)
    cap = [(0.95 * math.cos(math.pi * i / 16), 0.15 - 0.98 * math.sin(math.pi * i / 16)) for i in range(17)]
    b.polygon(cap, b.main)
    if not b.outline:
        bright = min(b.main) > 215
        for x, y in ((-0.48, -0.2), (0.08, -0.48), (0.5, -0.12)):
            b.ellipse(x, y, 0.16, 0.15, (228, 120, 110) if bright else (255, 252, 244), line=False)


ARTISTS = {
    "ball": _ball,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "diamond": _diamond,
    "house": _house,
    "tree": _tree,
    "boat": _boat,
    "flower": _flower,
    "cat": _cat,
    "fish": _fish,
    "mushroom": _mushroom,
}
FLOATING = {"star", "moon", "heart", "diamond", "fish"}
