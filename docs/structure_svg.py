"""Draws packages as boxes, one above the other, with their imports as arcs at the right."""

from html import escape

BOX = 560  # width of a package's box, pixels
CHIP, CHIP_HEIGHT, GAP = 172, 24, 10  # a folder within its box
HEAD = 30  # height of a box's title
SPACE = 26  # between two boxes
LEFT = 20
REACH = 46  # how far an arc of one step reaches to the right
COLUMNS = 3
COLOURS = ("#e8f1fb", "#e6f5ec", "#fdf3e1", "#f3ecfb", "#fde9ec", "#e7f6f7", "#f5f5ee", "#f1f1f1")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:15px}"
    ".small{font-size:11px;fill:#555}.arc{fill:none;stroke:#4a6785;opacity:.75}.up{stroke:#c1121f}"
)

Folder = tuple[str, int, int]  # its path, its modules, its lines


def picture(boxes: dict[str, list[Folder]], arrows: dict[tuple[str, str], int]) -> str:
    """Return an SVG. boxes: each package with its folders, the lowest layer first; arrows: how many imports
    go from one package to another. An arrow that points up is red."""
    order = list(reversed(boxes))
    tops, height = _tops(order, boxes)
    width = LEFT + BOX + REACH * len(order)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
        f"<title>The packages and their imports</title><style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a6785"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *(_box(name, boxes[name], tops[name], COLOURS[i % len(COLOURS)]) for i, name in enumerate(order)),
        *_arcs(order, tops, boxes, arrows),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _height(folders: list[Folder]) -> int:
    return HEAD + -(-len(folders) // COLUMNS) * (CHIP_HEIGHT + GAP) + 4


def _tops(order: list[str], boxes: dict[str, list[Folder]]) -> tuple[dict[str, int], int]:
    """Return the top of each box, and the height of the whole."""
    tops, y = {}, SPACE
    for name in order:
        tops[name] = y
        y += _height(boxes[name]) + SPACE
    return tops, y


def _box(name: str, folders: list[Folder], top: int, colour: str) -> str:
    chips = [_chip(folder, name, i, top) for i, folder in enumerate(folders)]
    lines = sum(folder[2] for folder in folders)
    size = f'width="{BOX}" height="{_height(folders)}"'
    right = LEFT + BOX - 12
    return "\n".join(
        [
            f'<rect x="{LEFT}" y="{top}" {size} rx="6" fill="{colour}" stroke="#999"/>',
            f'<text class="title" x="{LEFT + 12}" y="{top + 20}">{escape(name)}</text>',
            f'<text class="small" x="{right}" y="{top + 20}" text-anchor="end">{lines} lines</text>',
            *chips,
        ]
    )


def _chip(folder: Folder, package: str, index: int, top: int) -> str:
    path, modules, _ = folder
    x = LEFT + 12 + index % COLUMNS * (CHIP + GAP)
    y = top + HEAD + index // COLUMNS * (CHIP_HEIGHT + GAP)
    label = "·" if path == package else path.removeprefix(f"{package}/")
    return (
        f'<rect x="{x}" y="{y}" width="{CHIP}" height="{CHIP_HEIGHT}" rx="4" fill="#fff" stroke="#bbb"/>'
        f'<text x="{x + 8}" y="{y + 16}">{escape(label)}</text>'
        f'<text class="small" x="{x + CHIP - 8}" y="{y + 16}" text-anchor="end">{modules} modules</text>'
    )


def _arcs(
    order: list[str], tops: dict[str, int], boxes: dict[str, list[Folder]], arrows: dict[tuple[str, str], int]
) -> list[str]:
    return [
        _arc(
            one,
            other,
            count,
            order,
            _end(tops, boxes, one, other, leaving=True),
            _end(tops, boxes, other, one),
        )
        for (one, other), count in sorted(arrows.items())
    ]


def _end(
    tops: dict[str, int], boxes: dict[str, list[Folder]], at: str, far: str, leaving: bool = False
) -> float:
    """Return the height at which an arc meets the box ``at``: leaving low and arriving high, spread out by
    how far the other end is, so that arcs neither share an end nor cross beside the box."""
    names = sorted(tops, key=tops.__getitem__)
    steps = abs(names.index(at) - names.index(far)) / len(names)
    half = _height(boxes[at]) / 2
    return tops[at] + (half + half * (1 - steps) * 0.9 if leaving else half * steps * 0.9 + 4)


def _arc(one: str, other: str, count: int, order: list[str], start: float, end: float) -> str:
    steps = order.index(other) - order.index(one)
    x, reach = LEFT + BOX, REACH * abs(steps)
    far = x + reach
    kind = "arc" if steps > 0 else "arc up"
    width = min(1 + count / 20, 4)
    return (
        f'<path id="{one}-{other}" class="{kind}" stroke-width="{width:.1f}" marker-end="url(#tip)" '
        f'd="M{x} {start:.0f}C{far} {start:.0f} {far} {end:.0f} {x + 1} {end:.0f}">'
        f"<title>{one} imports {other}: {count}</title></path>"
        f'<text class="small" x="{x + reach * 0.75 + 3:.0f}" y="{(start + end) / 2 + 4:.0f}">{count}</text>'
    )
