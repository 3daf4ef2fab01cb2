"""The shape of the program, held by tests: who imports whom, what a process loads, which public
names lack a docstring, which tuples name which files."""

import ast
import functools
import json
import re
import subprocess
import sys
from collections import Counter

import pytest

from bot.cogs import EXTENSIONS
from core.requests import REQUESTS
from core.settings import ROOT, env_example
from tools import structure
from vision.capabilities import CAPABILITIES

MAY_NOT_LOAD = {  # package → libraries that importing all of its modules never loads
    "atelier": {"discord", "aiohttp", "torch", "numpy", "sqlalchemy", "PIL", "msgspec"},
    "core": {"discord", "aiohttp", "torch", "numpy", "sqlalchemy", "PIL"},
    "storage": {"discord", "aiohttp", "torch", "numpy"},
    "jobs": {"discord", "aiohttp", "torch", "numpy", "nats"},
    "studio": {"discord", "aiohttp", "starlette", "jinja2", "torch", "diffusers", "transformers"},
    "bot": {"starlette", "jinja2", "torch", "diffusers", "transformers", "numpy"},
    "web": {"discord", "simcord", "torch", "diffusers", "transformers", "numpy", "PIL"},
    "host": {"torch", "diffusers", "transformers", "numpy"},
}
MAY_NOT_IMPORT = MAY_NOT_LOAD | {  # anywhere in a module
    "vision": {"discord", "aiohttp", "sqlalchemy"},
    "jobs": MAY_NOT_LOAD["jobs"] - {"nats"},  # in a function, once there is a server
}
WAY_IN = "bot.__main__ → host.cli"  # `python -m bot`, the one arrow up
DOCUMENTED = (
    "atelier",
    "core",
    "storage",
    "vision",
    "jobs",
    "studio",
    "bot",
    "web",
    "host",
)  # every public name
# What has no command: only a document of the editor can say where layers lie, only a button under an answer
# what of it is to be explained.
EDITED = {"bundle", "compose", "train", "why"}
COMING: set[str] = set()  # packages of the layers that are not there yet

# What breaks a rule and may, by rule.
EXCUSED = {
    "lonely": {
        "vision.custom_models.predict",  # a program that bundles carry: it imports nothing of ours
        "host.outside_client",  # loaded only where the operator allows hosts
        "host.mqtt_client",  # loaded only with MQTT_URL: its package is an extra
        "web.page_texts",  # a dialect of templates, which web.app and tools.languages read with
    },
    "modules in -ing or -ed": {"packaged"},  # models that are
}


@functools.cache
def modules() -> dict[str, structure.Module]:
    """Every module of the program, read once a process."""
    return structure.read(structure.packages())


def _is_met(rule: str, breaches: set[str]) -> None:
    excused = EXCUSED.get(rule, set())
    assert breaches - excused == set(), rule
    assert excused - breaches == set(), f"{rule}: take these out of EXCUSED"


def test_every_package_of_the_layers_is_there_and_holds_modules() -> None:
    counted = Counter(module.package for module in modules().values() if not module.is_init)
    named = {name for layer in structure.LAYERS for name in layer}
    assert {name for name in named if not counted[name]} == COMING
    assert sum(counted.values()) > 100


def test_imports_are_found_under_type_checking_and_in_functions(tmp_path) -> None:
    (tmp_path / "bot").mkdir()
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "job.py").write_text("import torch.nn\n")
    (tmp_path / "core" / "events.py").write_text("")
    (tmp_path / "bot" / "__init__.py").write_text("")
    (tmp_path / "bot" / "client.py").write_text(
        "if TYPE_CHECKING:\n    from core.job import Job\n"
        "def f():\n    from core import events\n    from . import ui\n"
    )
    (tmp_path / "bot" / "ui.py").write_text("from .client import Client\n")
    modules = structure.read(["core", "bot"], tmp_path)
    assert modules["bot.client"].imports == {"core.job", "core.events", "bot.ui"}
    assert modules["core.job"].libraries == {"torch"}
    assert structure.circles(structure.graph(modules)) == [["bot.client", "bot.ui"]]


def test_imports_point_one_way() -> None:
    wrong = {
        f"{module.name} → {other}"
        for module in modules().values()
        for other in module.imports
        if modules()[other].package not in structure.allowed(module.package) | {module.package}
    }
    _is_met("arrows up", wrong - {WAY_IN})


def test_what_is_not_installed_is_imported_by_nothing_that_is() -> None:
    ours = {"benchmarks", "demo", "docs", "proofs", "tests", "tools"}
    assert {m.name for m in modules().values() if m.libraries & ours} == set()


def test_each_package_imports_only_libraries_of_its_own_room() -> None:
    wrong = {
        f"{module.name}: {library}"
        for module in modules().values()
        for library in module.libraries & MAY_NOT_IMPORT.get(module.package, set())
    }
    _is_met("libraries", wrong)


def test_there_are_no_circles_of_imports() -> None:
    circles = structure.circles(structure.graph(modules()))
    _is_met("circles", {name for circle in circles for name in circle})


def _shared_raises(read: dict[str, structure.Module]) -> set[str]:
    """Where a module raises something that was made when a module was imported."""
    made = {
        f"{module.name}.{target.id}"
        for module in read.values()
        for line in module.tree.body
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Call)
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
        if isinstance(target, ast.Name)
    }
    found = set()
    for module in read.values():
        known = {
            name.asname or name.name: f"{line.module}.{name.name}"
            for line in ast.walk(module.tree)
            if isinstance(line, ast.ImportFrom)
            for name in line.names
        }
        for line in ast.walk(module.tree):
            if not isinstance(line, ast.Raise) or not isinstance(line.exc, ast.Name | ast.Attribute):
                continue
            text = ast.unparse(line.exc)
            first, _, rest = text.partition(".")
            names = {f"{module.name}.{text}", f"{known.get(first, first)}{rest and f'.{rest}'}"}
            if names & made:
                found.add(f"{module.name}:{line.lineno} raises {text}")
    return found


def test_errors_are_made_where_they_are_raised() -> None:
    """Python keeps the frames of every raise, and all that they hold, with an error that is raised again."""
    assert _shared_raises(modules()) == set()


def test_an_error_that_is_made_at_import_is_found_wherever_it_is_raised(tmp_path) -> None:
    for package in ("core", "web"):
        (tmp_path / package).mkdir()
    (tmp_path / "core" / "errors.py").write_text("GONE = KeyError('gone')\ndef f():\n    raise GONE\n")
    (tmp_path / "web" / "pages.py").write_text(
        "from core import errors\nfrom core.errors import GONE as LOST\n"
        "def f():\n    raise LOST from None\ndef g():\n    raise errors.GONE\n"
        "def h():\n    late = KeyError()\n    raise late\ndef i():\n    raise KeyError\n"
    )
    assert _shared_raises(structure.read(["core", "web"], tmp_path)) == {
        "core.errors:3 raises GONE",
        "web.pages:4 raises LOST",
        "web.pages:6 raises errors.GONE",
    }


@functools.cache
def _loads() -> dict[str, list[str]]:
    """What each package loads that it may not. Those that all others import come one after the other in one
    process, which is forked for each of the others."""
    asked = {
        package: (
            [m.name for m in modules().values() if m.package == package and "migrations" not in m.name],
            sorted(barred),
        )
        for package, barred in MAY_NOT_LOAD.items()
    }
    code = """if True:
        import importlib, json, os, sys

        def look(package):
            names, barred = asked[package]
            for name in names:
                try:
                    importlib.import_module(name)
                except ModuleNotFoundError as error:  # of an extra that tests don't install
                    if error.name != "aiomqtt":
                        raise
            print(json.dumps([package, sorted(set(barred) & set(sys.modules))]), flush=True)

        asked, first = json.load(sys.stdin), ("atelier", "core", "storage", "jobs")
        for package in first:
            look(package)
        for package in asked.keys() - set(first):
            if os.fork() == 0:
                look(package)
                os._exit(0)
            if os.wait()[1]:
                sys.exit(f"{package} can't be imported")
    """
    command = [sys.executable, "-c", code]
    run = subprocess.run(
        command, cwd=ROOT, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(line) for line in run.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("package", sorted(MAY_NOT_LOAD))
def test_importing_a_whole_package_loads_nothing_heavy(package: str) -> None:
    _is_met(f"loads of {package}", set(_loads()[package]))


# These two numbers only fall.
HELPERS = 115  # private functions of a few lines that have one caller
INSIDE = 95  # uses of an object's private names in tests
ONE_THING = "one thing because"  # what the docstring of a module of more than 800 lines says


def _product() -> dict[str, structure.Module]:
    return {name: module for name, module in modules().items() if module.package in DOCUMENTED}


def test_a_module_has_two_importers_or_150_lines_or_stands_in_a_seam() -> None:
    _is_met("lonely", structure.lonely(_product()))


def test_folders_beside_each_other_form_no_circle() -> None:
    groups = [set(group) - {"bot", "host"} for group in structure.sibling_circles(_product())]
    _is_met("folders in a circle", {" ".join(sorted(group)) for group in groups if group})


def test_no_folder_holds_a_single_module_or_lies_deeper_than_two() -> None:
    held = Counter(module.folder for module in _product().values() if not module.is_init)
    folders = {folder for folder in held if "migrations" not in folder}
    _is_met("folders of one", {folder for folder in folders if held[folder] < 2})
    _is_met("folders too deep", {folder for folder in folders if folder.count("/") > 2})


def test_a_module_of_more_than_800_lines_says_why_it_is_one_object() -> None:
    long = {
        module.name: ast.get_docstring(module.tree) or ""
        for module in _product().values()
        if module.lines > 800
    }
    _is_met(
        "long modules",
        {name for name, text in long.items() if ONE_THING not in " ".join(text.split()).lower()},
    )


def test_nothing_is_inherited_in_order_to_cut_a_class_in_two() -> None:
    _is_met("classes cut in two", structure.split_classes(_product()))


def test_no_public_function_has_a_name_that_more_than_three_modules_define() -> None:
    _is_met("common names", structure.common_names(_product()))


def test_helpers_of_a_few_lines_with_one_caller_do_not_grow_in_number() -> None:
    assert len(structure.small_helpers(_product())) <= HELPERS


def test_no_module_is_called_by_what_it_does() -> None:
    stems = {module.path.stem for module in _product().values()}
    _is_met("modules in -ing or -ed", {stem for stem in stems if re.search("(ing|[^e]ed)$", stem)})


def test_tests_do_not_look_more_often_inside_of_what_they_test() -> None:
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    looks = (re.findall(r"(\w+|[)\]])\._[a-z]", text) for text in texts)
    assert sum(before not in ("self", "cls") for found in looks for before in found) <= INSIDE


def test_the_rules_of_shape_find_what_breaks_them(tmp_path) -> None:
    """Each rule in a house of a few modules that breaks it once."""
    texts = {
        "core/one/a.py": "from core.two.b import B\nclass A(B): pass\n"
        "def look(): return _of(1)\ndef _of(x): return x\n",
        "core/two/b.py": "def late():\n    import core.one.c\nclass B: pass\ndef look(): ...\n",
        "core/one/c.py": "def look(): ...\n",
        "core/two/d.py": "import core.one.c\ndef look(): ...\ndef run(): ...\n",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    read = structure.read(["core"], tmp_path)
    assert structure.lonely(read) == {"core.one.a", "core.two.b", "core.two.d"}
    assert structure.sibling_circles(read) == [["core/one", "core/two"]]
    assert structure.common_names(read) == {"look"}
    assert structure.small_helpers(read) == {"core.one.a._of"}
    assert structure.split_classes(read) == {"core.two.b.B"}


def test_every_public_name_has_a_docstring() -> None:
    """Of a command, what members read takes its place; of an override, what its base class says."""
    documented = [
        module
        for module in modules().values()
        if module.package in DOCUMENTED and not module.folder.startswith("bot/cogs")
    ]
    inherited = structure.inherited(modules())
    _is_met("docstrings", {module.name for module in documented if structure.undocumented(module, inherited)})


def test_the_extensions_are_the_files_of_the_folder() -> None:
    files = {m.name for m in modules().values() if m.folder.startswith("bot/cogs") and not m.is_init}
    assert set(EXTENSIONS) == files
    assert len(EXTENSIONS) == len(files) > 10


def test_every_capability_has_its_request_its_file_and_its_command() -> None:
    kinds = {cls.kind for cls in REQUESTS}
    files = {m.path.stem for m in modules().values() if m.folder == "vision/capabilities" and not m.is_init}
    cogs = {m.path.stem for m in modules().values() if m.folder == "bot/cogs"}
    assert set(CAPABILITIES) == files == kinds
    assert len(CAPABILITIES) == len(files) > 5
    assert files - cogs == EDITED


def test_the_example_of_settings_is_complete_and_shows_the_defaults() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_the_command_line_answers_help_without_loading_anything_heavy() -> None:
    heavy = {"discord", "torch", "sqlalchemy", "PIL", "simcord"}
    code = (
        "import sys\nfrom host.cli import main\ntry: main(['--help'])\nexcept SystemExit:"
        f" pass\nprint(sorted({heavy} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith("[]")
    assert "doctor" in run.stdout
