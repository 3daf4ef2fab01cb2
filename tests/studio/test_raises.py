"""What a public function of the studio raises, itself or by a helper of its module, is in its docstring or in
that of its class."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from core.settings import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
FOLDER = ROOT / "studio"


@dataclass(frozen=True)
class Place:
    """A function, and the class that it belongs to, if any."""

    node: Function
    owner: ast.ClassDef | None

    @property
    def name(self) -> str:
        return f"{self.owner.name}.{self.node.name}" if self.owner else self.node.name

    @property
    def text(self) -> str:
        """The docstrings in which its errors may stand."""
        return f"{ast.get_docstring(self.node)} {ast.get_docstring(self.owner) if self.owner else ''}"

    @property
    def is_public(self) -> bool:
        parts = self.name.split(".")
        return not any(part.startswith("_") for part in parts)


def functions(tree: ast.Module) -> dict[str, Place]:
    """Return the functions and methods of a module by name; those inside functions are part of them."""
    places = [Place(node, None) for node in tree.body if isinstance(node, Function)]
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef):
            places += [Place(node, owner) for node in owner.body if isinstance(node, Function)]
    return {place.name: place for place in places}


def _inside(node: ast.AST, caught: frozenset[str]) -> Iterator[tuple[ast.AST, frozenset[str]]]:
    """Yield what is below ``node``, with the names of errors that are caught there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Try):
            kinds = [node for handler in child.handlers if handler.type for node in ast.walk(handler.type)]
            names = {node.id for node in kinds if isinstance(node, ast.Name)}
            for part in child.body:
                yield part, caught | names
                yield from _inside(part, caught | names)
            for part in (*child.handlers, *child.orelse, *child.finalbody):
                yield from _inside(part, caught)
                yield part, caught
        elif not isinstance(child, Function | ast.Lambda):
            yield child, caught
            yield from _inside(child, caught)


def _helper(call: ast.Call, place: Place) -> str:
    """Return the name of what a call runs, if it is of the same class or module."""
    called = call.func
    if isinstance(called, ast.Name):
        return called.id
    if place.owner and isinstance(called, ast.Attribute) and ast.unparse(called.value) == "self":
        return f"{place.owner.name}.{called.attr}"
    return ""


def raised(place: Place, known: dict[str, Place], seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the names of the errors that a function raises, itself or by private helpers beside it."""
    found: set[str] = set()
    for node, caught in _inside(place.node, frozenset()):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(error, ast.Name) and error.id[:1].isupper():
                found |= {error.id} - caught
        elif isinstance(node, ast.Call):
            helper = known.get(_helper(node, place))
            if helper is not None and not helper.is_public and helper.name not in seen:
                found |= raised(helper, known, seen | {place.name}) - caught
    return found


MODULES = sorted(path for path in FOLDER.rglob("*.py") if path.name != "__init__.py")


def test_a_helper_s_errors_are_those_of_its_caller_and_what_is_caught_is_not() -> None:
    tree = ast.parse(
        "def f():\n    try:\n        _g()\n        raise KeyError('a')\n    except KeyError as e:\n"
        "        raise ValueError from e\ndef _g():\n    raise TypeError\n"
    )
    known = functions(tree)
    assert raised(known["f"], known) == {"TypeError", "ValueError"}


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(FOLDER)) for path in MODULES])
def test_a_public_function_says_what_it_raises(path) -> None:
    known = functions(ast.parse(path.read_text(encoding="utf-8")))
    silent = {
        f"{place.name}: {error}"
        for place in known.values()
        if place.is_public
        for error in raised(place, known)
        if error not in place.text
    }
    assert silent == set()


def test_there_are_errors_to_be_told() -> None:
    told = [
        place.name
        for path in MODULES
        for known in [functions(ast.parse(path.read_text(encoding="utf-8")))]
        for place in known.values()
        if place.is_public and raised(place, known)
    ]
    assert len(MODULES) > 25 and len(told) > 25
