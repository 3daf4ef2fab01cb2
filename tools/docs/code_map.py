"""The page of packages and folders, from what their ``__init__.py`` say."""

from __future__ import annotations

import ast

from tools.docs.markdown import code, first_sentence, page, table
from tools.structure import ROOT, packages

INTRO = """\
Where to find what: each package with its folders, and the modules in each. \
[Architecture](../explanation/architecture.md) explains how they work together. Imports point one way: \
`core ← storage, vision ← jobs ← studio ← bot, web ← host`. Every module begins with a sentence that says \
what it knows, and `make structure` prints sizes by folder.

Beside the packages: `tests` mirrors them, `proofs` has long measurements, `benchmarks` the figures of \
speed, `demo` trains the demo models, `tools` has what developers run, `deploy` what hosts install."""


def code_map_page() -> str:
    """Return the page. Raises ValueError for a folder whose ``__init__.py`` says nothing."""
    parts = []
    for package in packages():
        rows = []
        for init in sorted((ROOT / package).rglob("__init__.py")):
            name = init.parent.relative_to(ROOT).as_posix()
            modules = sorted(path.stem for path in init.parent.glob("*.py") if path != init)
            about = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
            rows.append((code(name), first_sentence(about, name), code(*modules)))
        parts.append(f"## {package}\n\n{table(('folder', 'what it is', 'modules'), rows)}")
    return page("Code map", INTRO, *parts)
