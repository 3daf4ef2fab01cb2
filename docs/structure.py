"""Reads the shape of the program from its source: modules, who imports whom, circles, sizes, docstrings.

``python -m docs.structure`` writes docs/structure.md, docs/structure.svg and the modules of docs/glossary.md;
with ``--check`` it writes nothing and says whether arrows and folders of the committed page are still those
of the code. ``--figures`` prints one line of figures for each folder.
"""

import argparse
import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

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


ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    ("core",),
    ("storage", "vision"),
    ("jobs",),
    ("studio",),
    ("bot", "web"),
    ("host",),
)  # the lowest first
LONG_LINE = 110  # characters
PAGE = ROOT / "docs" / "structure.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
MARK = "<!-- modules -->\n"  # what stands behind it on that page is written from the code

Graph = dict[str, set[str]]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One source file. ``imports``: modules of ours, wherever in the file they are imported; ``libraries``:
    all other top-level names that it imports."""

    name: str
    path: Path
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    imports: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def folder(self) -> str:
        return (self.name if self.is_init else self.name.rpartition(".")[0]).replace(".", "/")

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def is_init(self) -> bool:
        return self.path.stem == "__init__"


def packages(root: Path = ROOT) -> list[str]:
    """Return the packages that exist, the lowest layer first."""
    return [name for layer in LAYERS for name in layer if (root / name).is_dir()]


def allowed(package: str) -> set[str]:
    """Return the packages that ``package`` may import besides itself: everything in lower layers."""
    layer = next(i for i, names in enumerate(LAYERS) if package in names)
    return {name for names in LAYERS[:layer] for name in names}


def read(names: Iterable[str], root: Path = ROOT) -> dict[str, Module]:
    """Read every module of the packages ``names``, by its dotted name."""
    paths = {_dotted(path, root): path for name in names for path in sorted((root / name).rglob("*.py"))}
    return {name: _module(name, path, paths.keys()) for name, path in paths.items()}


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(name: str, path: Path, known: Iterable[str]) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, str(path))
    imported = set(_imported(tree, name if path.stem == "__init__" else name.rpartition(".")[0]))
    ours = {found for full in imported if (found := _longest(full, known))} - {name}
    libraries = {full.partition(".")[0] for full in imported if not _longest(full, known)}
    return Module(name, path, text, tree, frozenset(ours), frozenset(libraries))


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names of everything imported, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _longest(full: str, known: Iterable[str]) -> str | None:
    """Return the module that ``full`` names, or the module that holds the name ``full``; None if not ours."""
    parts = full.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in known), None)


def graph(modules: dict[str, Module]) -> Graph:
    """Return who imports whom, module by module."""
    return {name: set(module.imports) for name, module in modules.items()}


def arrows(modules: dict[str, Module], by: str = "package") -> dict[tuple[str, str], int]:
    """Count the imports between packages, or with ``by="folder"`` between folders."""
    counted: dict[tuple[str, str], int] = {}
    for module in modules.values():
        for other in module.imports:
            pair = (getattr(module, by), getattr(modules[other], by))
            if pair[0] != pair[1]:
                counted[pair] = counted.get(pair, 0) + 1
    return counted


def circles(edges: Graph) -> list[list[str]]:
    """Return every group of two names or more that reach each other, by Tarjan's algorithm for strongly
    connected components."""
    found: list[list[str]] = []
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in edges[name]:
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            start = stack.index(name)
            found.append(sorted(stack[start:]))
            del stack[start:]

    for name in edges:
        if name not in order:
            visit(name)
    return [group for group in found if len(group) > 1]


def reached(edges: Graph, starts: Iterable[str]) -> set[str]:
    """Return ``starts`` and everything that they import, directly or through others."""
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += edges[name]
    return seen


SEAMS = (  # folders of parts that are found by a name, each for itself: a command, a capability, a family
    "bot/cogs",
    "jobs/executors",
    "storage/blobs",
    "storage/engines",
    "storage/migrations",
    "vision/capabilities",
    "vision/families",
    "vision/video/families",
)
SEAM_NAMES = {"main", "prepare", "run", "setup"}  # what a seam calls by name in each of its modules
EARNS_ITS_DOOR = 150  # lines: a shorter module has two importers
SAME_NAME = 3  # modules may define a public function of one name
HELPER = 6  # lines: a private function of so few that has one caller is better read where it is used


def starts(module: Module) -> bool:
    """Whether people or programs start the module by its name."""
    return module.path.stem == "__main__" or '__name__ == "__main__"' in module.text


def lonely(modules: dict[str, Module]) -> set[str]:
    """Return the modules of less than EARNS_ITS_DOOR lines that fewer than two others import, but those of
    seams and those that are started by their name."""
    importers: dict[str, int] = {}
    for module in modules.values():
        for other in module.imports:
            importers[other] = importers.get(other, 0) + 1
    return {
        module.name
        for module in modules.values()
        if not module.is_init and not starts(module) and not module.folder.startswith(SEAMS)
        if module.lines < EARNS_ITS_DOOR and importers.get(module.name, 0) < 2
    }


def sibling_circles(modules: dict[str, Module]) -> list[list[str]]:
    """Return the groups of folders with one parent that reach each other by their imports."""
    edges: Graph = {}
    for module in modules.values():
        for other in module.imports:
            one, two = module.folder.split("/"), modules[other].folder.split("/")
            shared = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
            if shared is not None:
                pair = "/".join(one[: shared + 1]), "/".join(two[: shared + 1])
                edges.setdefault(pair[0], set()).add(pair[1])
                edges.setdefault(pair[1], set())
    return circles(edges)


def common_names(modules: dict[str, Module]) -> set[str]:
    """Return the public functions' names that more than SAME_NAME modules define."""
    homes: dict[str, set[str]] = {}
    for module in modules.values():
        for node in module.tree.body if not module.folder.startswith("storage/migrations") else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, set()).add(module.name)
    return {name for name, where in homes.items() if len(where) > SAME_NAME} - SEAM_NAMES


def small_helpers(modules: dict[str, Module]) -> set[str]:
    """Return the private functions of at most HELPER lines whose name their module uses once."""
    found = set()
    for module in modules.values():
        words = Counter(re.findall(r"\b_\w+", module.text))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("_"):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if not node.name.startswith("__") and lines <= HELPER and words[node.name] == 2:
                    found.add(f"{module.name}.{node.name}")
    return found


def split_classes(modules: dict[str, Module]) -> set[str]:
    """Return the classes that only one other class uses, by inheriting from it: one class cut in two."""
    bases: dict[str, int] = {}
    uses: Counter[str] = Counter()
    classes: dict[str, str] = {}
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = f"{module.name}.{node.name}"
                for base in node.bases:
                    name = ast.unparse(base).rpartition(".")[2]
                    bases[name] = bases.get(name, 0) + 1
            elif isinstance(node, ast.Name):
                uses[node.id] += 1
            elif isinstance(node, ast.Attribute):
                uses[node.attr] += 1
    return {full for name, full in classes.items() if bases.get(name) == 1 and uses[name] == 1}


def public(module: Module) -> Iterator[tuple[str, Definition]]:
    """Yield the public functions and classes of a module and the public methods of these classes; none of a
    migration, whose functions Alembic names."""
    if module.folder.endswith("migrations/versions"):
        return
    for node in module.tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{module.name}.{node.name}", node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, Definition) and not inner.name.startswith("_"):
                    yield f"{module.name}.{node.name}.{inner.name}", inner


def documented(node: Definition) -> bool:
    """Whether a name has a docstring, or needs none: a Discord command, whose description members read, or an
    override."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return ast.get_docstring(node) is not None or any(
        "description=" in text or text in ("override", "overload") or text.endswith(".setter")
        for text in decorators
    )


def inherited(modules: dict[str, Module]) -> set[str]:
    """Return the public methods that a base class explains: ``help`` shows its docstring for them too."""
    bases: dict[str, list[ast.ClassDef]] = {}
    tops = [(module, node) for module in modules.values() for node in module.tree.body]
    classes = [(module, node) for module, node in tops if isinstance(node, ast.ClassDef)]
    for _, node in classes:
        bases.setdefault(node.name, []).append(node)

    def explained(node: ast.ClassDef) -> set[str]:
        found = set()
        for name in (ast.unparse(base).rpartition(".")[2] for base in node.bases):
            for base in (one for one in bases.get(name, []) if one is not node):
                found |= {one.name for one in base.body if isinstance(one, Definition) and documented(one)}
                found |= explained(base)
        return found

    return {f"{module.name}.{node.name}.{name}" for module, node in classes for name in explained(node)}


def undocumented(module: Module, explained: Collection[str]) -> list[str]:
    """Return the public names without a docstring, but for those that are ``explained`` by a base class."""
    return [name for name, node in public(module) if not documented(node) and name not in explained]


def function_lengths(module: Module) -> list[int]:
    """Return the lines of every function, from its ``def`` to its last line, docstring included."""
    functions = (n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return [(n.end_lineno or n.lineno) - n.lineno + 1 for n in functions]


def long_lines(module: Module) -> int:
    """Count the lines of more than LONG_LINE characters."""
    return sum(len(line) > LONG_LINE for line in module.text.splitlines())


@dataclass(frozen=True)
class Figures:
    """What a folder measures. ``modules`` leaves its ``__init__.py`` out; ``median`` and ``p90``: lines of a
    function."""

    modules: int
    lines: int
    longest: str
    longest_lines: int
    functions: int
    median: float
    p90: float
    over: int
    public: int
    documented: int


def figures(modules: list[Module]) -> Figures:
    """Measure the modules of one folder, or of several together."""
    lengths = sorted(length for module in modules for length in function_lengths(module)) or [0]
    longest = max(modules, key=lambda module: module.lines)
    names = [node for module in modules for _, node in public(module)]
    return Figures(
        modules=sum(not module.is_init for module in modules),
        lines=sum(module.lines for module in modules),
        longest=longest.path.name,
        longest_lines=longest.lines,
        functions=len(lengths),
        median=statistics.median(lengths),
        p90=lengths[int(0.9 * (len(lengths) - 1))],
        over=sum(long_lines(module) for module in modules),
        public=len(names),
        documented=sum(documented(node) for node in names),
    )


def folders(modules: dict[str, Module]) -> dict[str, list[Module]]:
    """Group the modules by folder, in the order of the layers."""
    grouped: dict[str, list[Module]] = {}
    for module in modules.values():
        grouped.setdefault(module.folder, []).append(module)
    return grouped


def _knows(members: list[Module]) -> str:
    """Return the first sentence that the folder's ``__init__.py`` says about it."""
    inits = [ast.get_docstring(module.tree) or "" for module in members if module.is_init]
    sentence = " ".join((inits or [""])[0].split()).partition(". ")[0]
    return sentence.rstrip(".").replace("|", "\\|")


def page(modules: dict[str, Module]) -> str:
    """Return docs/structure.md."""
    between = arrows(modules, "folder")
    rows = [_row(folder, members, between) for folder, members in folders(modules).items()]
    return "\n".join([PAGE_HEAD, *rows, "", *_sums(modules), ""])


PAGE_HEAD = """\
# Structure

Written by `make structure` from the code; a test holds that arrows and folders are those of the code.

![The packages and their import arrows](structure.svg)

An arrow goes from a package to one that it imports, with the number of imports; types and imports inside
functions count. Arrows point down only: `core ← storage, vision ← jobs ← studio ← bot, web ← host`.

| folder | what it is | modules | lines | longest | imports |
|---|---|---|---|---|---|"""


def _row(folder: str, members: list[Module], between: dict[tuple[str, str], int]) -> str:
    of = figures(members)
    imports = ", ".join(f"`{other}`" for one, other in sorted(between) if one == folder)
    longest = f"`{of.longest}` {of.longest_lines}"
    return f"| `{folder}` | {_knows(members)} | {of.modules} | {of.lines} | {longest} | {imports} |"


def _sums(modules: dict[str, Module]) -> Iterator[str]:
    yield "| package | functions | median lines | 90th percentile | lines over 110 | docstrings |"
    yield "|---|---|---|---|---|---|"
    for name in packages():
        of = figures([module for module in modules.values() if module.package == name])
        share = f"{of.documented} of {of.public}"
        yield f"| `{name}` | {of.functions} | {of.median:g} | {of.p90:g} | {of.over} | {share} |"


def _first_sentence(module: Module) -> str:
    text = " ".join((ast.get_docstring(module.tree) or "").split())
    return re.split(r"(?<=\.) ", text)[0].rstrip(".").replace("|", "\\|")


def nouns(modules: dict[str, Module]) -> str:
    """Return the part of docs/glossary.md about the modules, those of seams and entry points left out."""
    shown = [m for m in modules.values() if not m.is_init and m.path.stem != "__main__"]
    shown = [m for m in shown if not m.folder.startswith(SEAMS)]
    rows = [
        f"| {m.path.stem.replace('_', ' ')} | `{m.folder}` | {_first_sentence(m)} |"
        for m in sorted(shown, key=lambda m: (m.path.stem, m.folder))
    ]
    return "\n".join(["", "| noun | in | what it is |", "|---|---|---|", *rows, ""])


def told(text: str) -> set[tuple[str, str]]:
    """Return what matters of a page: each folder with the folders that it imports."""
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `") and line.count("|") == 7]
    return {(row[1].strip(), row[6].strip()) for row in rows}


def is_current(modules: dict[str, Module]) -> bool:
    """Whether the committed pages and picture show the arrows, folders and modules of the code."""
    drawn = (ROOT / "docs" / "structure.svg").read_text(encoding="utf-8")
    shown = all(f'id="{one}-{other}"' in drawn for one, other in arrows(modules))
    named = GLOSSARY.read_text(encoding="utf-8").partition(MARK)[2]
    return (
        told(PAGE.read_text(encoding="utf-8")) == told(page(modules))
        and shown
        and _named(named) == _named(nouns(modules))
    )


def _named(text: str) -> list[list[str]]:
    return [line.split(" | ")[:2] for line in text.splitlines()]


def write() -> None:
    """Write docs/structure.md, docs/structure.svg and the modules of docs/glossary.md."""
    modules = read(packages())
    boxes = {name: _folders_of(name, modules) for name in packages()}
    PAGE.write_text(page(modules), encoding="utf-8")
    words = GLOSSARY.read_text(encoding="utf-8").partition(MARK)[0]
    GLOSSARY.write_text(words + MARK + nouns(modules), encoding="utf-8")
    (ROOT / "docs" / "structure.svg").write_text(picture(boxes, arrows(modules)), encoding="utf-8")


def _folders_of(package: str, modules: dict[str, Module]) -> list[tuple[str, int, int]]:
    """Return a package's folders, each with the number of its modules and its lines."""
    grouped = folders({name: module for name, module in modules.items() if module.package == package})
    measured = {folder: figures(members) for folder, members in grouped.items()}
    return [(folder, of.modules, of.lines) for folder, of in measured.items()]


def print_figures() -> None:
    """Print functions' lengths, lines over 110 characters and docstrings, by folder and all together."""
    modules = read(packages())
    print(f"{'folder':24} {'modules':>7} {'lines':>6} {'median':>6} {'p90':>4} {'>110':>4}  docstrings")
    for folder, members in [*folders(modules).items(), ("all", list(modules.values()))]:
        of = figures(members)
        share = f"{of.documented}/{of.public}"
        print(f"{folder:24} {of.modules:7} {of.lines:6} {of.median:6g} {of.p90:4g} {of.over:4}  {share}")


def main() -> None:
    """Write, check or print, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the page is old")
    parser.add_argument("--figures", action="store_true", help="print figures for each folder")
    args = parser.parse_args()
    if args.figures:
        print_figures()
    elif not args.check:
        write()
    elif not is_current(read(packages())):
        sys.exit("docs/structure.md or docs/structure.svg is old: run `make structure`")


if __name__ == "__main__":
    main()
