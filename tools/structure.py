"""Reads the shape of the program from its source: modules, who imports whom, circles, sizes, docstrings.

``python -m tools.structure`` prints one line of figures for each folder.
"""

import ast
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    ("core", "atelier"),
    ("storage", "vision"),
    ("jobs",),
    ("studio",),
    ("bot", "web"),
    ("host",),
)  # the lowest first
LONG_LINE = 110  # characters

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


def print_figures() -> None:
    """Print functions' lengths, lines over 110 characters and docstrings, by folder and all together."""
    modules = read(packages())
    print(f"{'folder':24} {'modules':>7} {'lines':>6} {'median':>6} {'p90':>4} {'>110':>4}  docstrings")
    for folder, members in [*folders(modules).items(), ("all", list(modules.values()))]:
        of = figures(members)
        share = f"{of.documented}/{of.public}"
        print(f"{folder:24} {of.modules:7} {of.lines:6} {of.median:6g} {of.p90:4g} {of.over:4}  {share}")


if __name__ == "__main__":
    print_figures()
