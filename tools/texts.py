"""Every text that people read in the program, with its kind, file and line: ``python -m tools.texts``.

A string counts unless its place says that nobody reads it: docstrings, logs, queries, patterns, programmers'
errors. So a new command, button or message is in the table without being named here.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import jinja2

from tools.plain_words import BANNED

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "storage", "vision", "jobs", "studio", "bot", "web", "host")
GAP = "{}"  # what stands for a value in a text
OR = "¦"  # between the texts of an if and of its else

# Classes of core/errors.py whose text is shown to members as it is written, and those that operators read.
ERRORS = frozenset(
    "UserError PromptError ImageError MissingError LimitError NotAllowedError ModelError NotFetched".split()
)
FAILURES = frozenset(
    "SettingsError NotYet OutOfMemory StorageError FilesAway DatabaseInUse BusError BusAway WireError".split()
)
READERS = ("core/settings.py", "core/prompt/values.py")  # files whose ValueErrors are shown, too
LOGS = frozenset("debug info warning error exception critical log".split())
UNREAD = frozenset(  # calls whose strings nobody reads
    "compile sub fullmatch match search findall split execute executescript text getattr setattr hasattr"
    " getLogger TypeVar filterwarnings strptime strftime encode removeprefix removesuffix startswith endswith"
    " CheckConstraint ForeignKey Index".split()
)
TO_MODELS = ("vision/", "core/requests/", "core/styles.py")
KINDS = {  # argument → kind of its text
    "description": "description",
    "label": "label",
    "title": "title",
    "placeholder": "placeholder",
    "help": "help",
    "epilog": "help",
}
SHOWN = {  # attribute of a page → kind of its text
    "title": "title",
    "placeholder": "placeholder",
    "aria-label": "label",
    "alt": "label",
    "label": "label",
}
FOR_MODELS = frozenset(  # constants of vision and core.requests whose words only a model reads
    "SYSTEM SHORT VIDEO INTRO TABLE BOXES TEXT INSTRUCTIONS PREFIXES TEMPLATES STYLES usual_negative".split()
)
PATTERN = re.compile(r"\\[bwds]|\(\?")  # a regular expression, which nobody reads as words
QUERY = re.compile(
    r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|PRAGMA|SET|BEGIN|COMMIT) "
)
WORDS = re.compile(  # two words beside each other, or one that begins a label
    r"[A-Za-z][a-z'’]*[.,:;!?…]? +[`'\"“(*]*[A-Za-z0-9{]|^[A-Z][a-z]{2,}…?$"
)

# The program has one name for the person who runs it.
BANNED_IN_TEXTS = BANNED | {r"(?:the|its|your|every|most) hosts?(?:'s)?(?! name)": "the operator"}


@dataclass(frozen=True, order=True)
class Text:
    """A text: where it is, its kind, and its words, with the name of each value in braces."""

    file: str
    line: int
    kind: str
    words: str


def sentence_lengths(words: str) -> list[int]:
    """Return how many words each sentence of a text has; what is typed counts as one."""
    sentences = re.split(rf"(?<=[.!?])[”\")*_]*\s+|\n|\s[{OR}·]\s", re.sub(r"`[^`]*`", "code", words))
    return [len(re.findall(r"\w[\w'’./=:@-]*", sentence)) for sentence in sentences]


def program_texts(root: Path = ROOT) -> list[Text]:
    """Return every text of the program, by file and line."""
    readers = [
        *((root / package, "*.py", python_texts) for package in PACKAGES),
        (root / "web/templates", "*.html", template_texts),
        (root / "web/static", "*.js", script_texts),
        (root / "bot/page", "*.js", script_texts),
    ]
    return sorted(
        {
            Text(file, line, kind, "\n".join(" ".join(part.split()) for part in words.strip().split("\n")))
            for folder, pattern, read in readers
            for path in folder.rglob(pattern)
            if not {"migrations", "vendor"} & set(path.parts)
            for file in [str(path.relative_to(root))]
            for line, kind, words in read(path.read_text(encoding="utf-8"), file)
        }
    )


Found = Iterator[tuple[int, str, str]]  # line, kind, words


# Python


def python_texts(source: str, file: str) -> Found:
    """Yield the texts of a module."""
    tree = ast.parse(source)
    raised = {  # names of sentences that are raised
        argument.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _called(node) in ERRORS
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    for line in tree.body:
        named = isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") in raised
        for at, kind, words in _read(line, "error" if named else "text", file):
            if (
                (WORDS.search(words) or (kind != "text" and words.strip()))
                and not QUERY.match(words)
                and not PATTERN.search(words)
            ):
                yield at, kind, words


def _read(node: ast.AST, kind: str, file: str) -> Found:
    """Yield the strings below a node that people may read. kind: that of the nearest place that has one."""
    match node:
        case ast.Constant(value=str() as words):
            yield node.lineno, kind, words
        case ast.JoinedStr() | ast.BinOp(op=ast.Add()) if _is_text(node):
            yield node.lineno, kind, _words(node)
            yield from _read_all(_values(node), "text", file)
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            within = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
            yield from _read_all([*node.decorator_list, *within], kind, file)
        case ast.Expr(value=ast.Constant()) | ast.Assert() | ast.Compare():
            return
        case ast.arg(annotation=annotation) if annotation and "Literal" in ast.unparse(annotation):
            yield from _read(annotation, "choice", file)
        case ast.arg():
            return
        case ast.Assign(targets=[ast.Name(id=name)]) if name in FOR_MODELS and file.startswith(TO_MODELS):
            return
        case ast.AnnAssign(value=value):
            yield from _read_all([value] if value else [], kind, file)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=options):
            yield from _read(options, "choice", file)
        case ast.Subscript(value=value):
            yield from _read(value, kind, file)
        case ast.Raise(exc=ast.Call() as error) if _called(error)[:1].isupper() and not _shown(error, file):
            return
        case ast.Call():
            yield from _call(node, kind, file)
        case _:
            yield from _read_all(ast.iter_child_nodes(node), kind, file)


def _read_all(nodes: Iterable[ast.AST], kind: str, file: str) -> Found:
    for node in nodes:
        yield from _read(node, kind, file)


def _call(node: ast.Call, kind: str, file: str) -> Found:
    name, logger = _called(node), getattr(getattr(node.func, "value", None), "id", "")
    if name in UNREAD or (name in LOGS and logger in ("log", "_log", "logger", "logging")):
        return
    kind = "check" if name == "Check" else _shown(node, file) or kind
    yield from _read(node.func, kind, file)
    inside = kind if _shown(node, file) or kind not in ("error", "failure") else "text"
    yield from _read_all(node.args, inside, file)
    for keyword in node.keywords:
        own = "description" if name == "describe" else KINDS.get(keyword.arg or "")
        yield from _read(keyword.value, own or inside, file)


def _shown(error: ast.Call, file: str) -> str:
    """The kind of an error that people read, "" of another call."""
    name = _called(error)
    if name in ERRORS:
        return "error"
    return "failure" if name in FAILURES or (name == "ValueError" and file in READERS) else ""


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_text(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
    return False


def _words(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str() as words):
            return words
        case ast.JoinedStr(values=parts):
            return "".join(map(_words, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _words(left) + _words(right)
        case ast.FormattedValue(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return f"{{{name}}}"
    return GAP


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the expressions within a text."""
    match node:
        case ast.JoinedStr(values=parts):
            yield from (part.value for part in parts if isinstance(part, ast.FormattedValue))
        case ast.BinOp(left=left, right=right):
            for side in (left, right):
                yield from _values(side) if _is_text(side) else [side]


# Pages


class _Page(HTMLParser):
    """Collects the words between the marks of a page, and those of attributes that are shown."""

    INLINE = frozenset("a b i em strong code kbd abbr small br span".split())

    def __init__(self, line: int) -> None:
        super().__init__(convert_charrefs=True)
        self.first = line  # of the page, in its file
        self.found: list[tuple[int, str, str]] = []
        self.words, self.at, self.silent = "", 0, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0] + self.first
        for name, value in attrs:
            if name in SHOWN and value and re.search("[A-Za-z]{2}", value):
                self.found.append((line, SHOWN[name], value))
        self.silent = tag in ("script", "style")
        if tag not in self.INLINE:
            self.end_text()

    def handle_endtag(self, tag: str) -> None:
        self.silent = False
        if tag not in self.INLINE:
            self.end_text()

    def handle_data(self, data: str) -> None:
        if self.silent:
            return
        if not self.at and data.strip():
            blank = data[: len(data) - len(data.lstrip())].count("\n")
            self.at = self.getpos()[0] + self.first + blank
        self.words += data

    def end_text(self) -> None:
        """Keep the words so far as one text."""
        words = " ".join(self.words.split())
        if re.search("[A-Za-z]{2}", words):
            self.found.append((self.at, "page", words))
        self.words, self.at = "", 0


def _page(source: str, line: int = 0) -> list[tuple[int, str, str]]:
    page = _Page(line)
    page.feed(source)
    page.close()
    page.end_text()
    return page.found


def template_texts(source: str, file: str) -> Found:
    """Yield the texts of a template of Jinja: of its page, and of the strings in its expressions."""
    page = ""
    for line, token, value in jinja2.Environment().lex(source):
        if token == "data":
            page += value
            continue
        if token == "variable_begin":
            page += GAP
        elif token == "name" and value in ("else", "elif"):
            page += f" {OR} "
        elif token == "string" and WORDS.search(value[1:-1]):
            yield line, "page", value[1:-1]
        page += "\n" * value.count("\n")
    yield from _page(page)


# Scripts

SELECTOR = re.compile(r"[#.(\[][a-z]|[a-z]+:not")  # of CSS
_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<pattern>(?<=[(,=:\[!&|?{};])\s*/(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*)"
    r"|(?P<page>(?:html|svg)?`)|(?P<brace>[{}])",
    re.DOTALL,
)


def script_texts(source: str, file: str) -> Found:
    """Yield the texts of a script: its strings, and its templates of pages."""
    for begin, words, is_page in script_strings(source):
        line = source.count("\n", 0, begin) + 1
        if is_page:
            yield from _page(words, line - 1)
        elif WORDS.search(words) and not SELECTOR.match(words):
            yield line, "script", words


def script_strings(source: str) -> Iterator[tuple[int, str, bool]]:
    """Yield (where it begins, words, whether a page's) of each string of a script, those within templates
    too."""
    templates: list[
        tuple[list[str], int, bool, int]
    ] = []  # open: words, where it begins, a page's, braces open in a value
    at, depth = 0, 0
    while found := _TOKEN.search(source, at):
        at, kind = found.end(), found.lastgroup
        ends_value = found[0] == "}" and bool(templates) and depth == templates[-1][3]
        if kind == "string":
            yield found.start(), re.sub(r"\\(.)", r"\1", found[0][1:-1]), False
        elif kind == "page" or ends_value:
            words, began, is_page, _ = (
                templates.pop() if ends_value else ([], found.start(), found[0] != "`", 0)
            )
            at, has_value = _template(source, at, words)
            if has_value:
                words.append(GAP)
                templates.append((words, began, is_page, depth))
            else:
                yield began, "".join(words), is_page
        elif kind == "brace":
            depth += 1 if found[0] == "{" else -1


def _template(source: str, at: int, words: list[str]) -> tuple[int, bool]:
    """Read a template's words up to its next value, or its end: return where that is, and whether a value
    comes."""
    while at < len(source):
        if source[at] == "\\":
            words.append(source[at + 1])
            at += 2
        elif source[at] == "`":
            return at + 1, False
        elif source.startswith("${", at):
            return at + 2, True
        else:
            words.append(source[at])
            at += 1
    return at, False


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Every text that people read, with its file and line.")
    parser.add_argument("part", nargs="*", help="only files whose path begins so")
    parts = tuple(parser.parse_args().part) or ("",)
    for text in program_texts():
        if text.file.startswith(parts):
            print(f"{text.kind} · {text.file}:{text.line} · {text.words.replace(chr(10), ' / ')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
