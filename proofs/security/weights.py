"""Poisoned model folders: ``python -m proofs.security.weights`` loads 100 of them under an audit hook that
sees whatever runs."""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AtelierError

WATCHED = (
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "socket.getaddrinfo",
    "marshal.loads",
)


class Watch:
    """An audit hook: counts what would be execution of something from ``folder``, or a way out of the
    process, while ``on``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen, self.on = str(folder), [], False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in ("compile", "exec") or event == "import":
            text = (
                getattr(arguments[0], "co_filename", "")
                if event == "exec"
                else f"{arguments[1] if len(arguments) > 1 else ''}"
            )
            if self.folder in str(text):
                self.seen.append(f"{event} {text}")
        elif event in WATCHED and not (event == "marshal.loads" and not _from(self.folder)):
            self.seen.append(f"{event} {arguments[:2]}")


def _from(folder: str) -> bool:
    """Whether code of that folder is on the stack: Python itself unmarshals its own modules."""
    frame = sys._getframe(2)
    while frame is not None:
        if folder in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


class Bomb:
    """Pickled, it leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@dataclass(frozen=True)
class Poison:
    """apply(folder, mark) spoils a copy of a good folder. may_load: what is harmful lies beside what is
    loaded."""

    name: str
    apply: Callable[[Path, Path], None]
    may_load: bool = False
    pin: bool = False


def _parts(folder: Path) -> list[Path]:
    return [folder, *(p for p in folder.iterdir() if p.is_dir())]


def _weights(folder: Path) -> Path:
    return next(folder.rglob("*.safetensors"))


def _edit(path: Path, **values: Any) -> None:
    data = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**data, **values}))


def _code(mark: Path) -> str:
    return (
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nclass Model: pass\nclass Evil(Model): pass\n"
    )


def _pickle_beside(name: str) -> Callable[[Path, Path], None]:
    def apply(folder: Path, mark: Path) -> None:
        for part in _parts(folder):
            (part / name).write_bytes(pickle.dumps(Bomb(mark)))

    return apply


def _pickle_instead(rename: bool) -> Callable[[Path, Path], None]:
    def apply(folder: Path, mark: Path) -> None:
        for path in list(folder.rglob("*.safetensors")):
            path.unlink()
            target = (
                path
                if rename
                else path.with_name({"model": "pytorch_model"}.get(path.stem, path.stem) + ".bin")
            )
            target.write_bytes(pickle.dumps(Bomb(mark)))

    return apply


def _python(auto_map: bool, where: str = "") -> Callable[[Path, Path], None]:
    def apply(folder: Path, mark: Path) -> None:
        place = folder / where
        place.mkdir(exist_ok=True)
        (place / "modeling.py").write_text(_code(mark))
        (place / "__init__.py").write_text(_code(mark))
        if auto_map:
            for config in folder.rglob("*config.json"):
                names = ("AutoModelForImageClassification", "AutoModel", "AutoImageProcessor")
                _edit(
                    config,
                    auto_map=dict.fromkeys(names, "modeling.Evil")
                    | {"AutoTokenizer": ["modeling.Evil", None]},
                )

    return apply


def _remote_code(folder: Path, mark: Path) -> None:
    for config in folder.rglob("config.json"):
        _edit(
            config,
            auto_map={
                "AutoModelForImageClassification": "evil/repo--modeling.Evil",
                "AutoModel": "evil/repo--modeling.Evil",
            },
        )


def _pipeline(**values: Any) -> Callable[[Path, Path], None]:
    def apply(folder: Path, mark: Path) -> None:
        (folder / "evil").mkdir()
        (folder / "evil" / "config.json").write_text("{}")
        _edit(folder / "model_index.json", **values)

    return apply


def _header(make: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    def apply(folder: Path, mark: Path) -> None:
        path = _weights(folder)
        path.write_bytes(make(path.read_bytes()))

    return apply


def _with_header(header: bytes) -> Callable[[bytes], bytes]:
    return lambda data: struct.pack("<Q", len(header)) + header + data


def _shards(folder: Path, mark: Path) -> None:
    outside = folder.parent / "outside.bin"
    outside.write_bytes(pickle.dumps(Bomb(mark)))
    path = _weights(folder)
    (path.parent / f"{path.name}.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": {"a": "../outside.bin", "b": path.name}})
    )


def _binary(name: str) -> Callable[[Path, Path], None]:
    return lambda folder, mark: (folder / name).write_bytes(b"\x7fELF" + bytes(100)) and None


def changed(folder: Path, mark: Path) -> None:
    path = _weights(folder)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


POISONS = (
    *(
        Poison(f"{name} beside", _pickle_beside(name), may_load=True)
        for name in ("pytorch_model.bin", "diffusion_pytorch_model.bin", "a.ckpt", "a.pt", "a.pkl")
    ),
    Poison("pickle instead", _pickle_instead(False)),
    Poison("pickle named safetensors", _pickle_instead(True)),
    Poison("python named by the config", _python(True)),
    Poison("python", _python(False)),
    Poison("python in a folder", _python(True, "deep")),
    Poison("remote code named", _remote_code, may_load=True),
    Poison("shards outside", _shards),
    Poison("compiled", _binary("module.pyc")),
    Poison("library", _binary("libtorch.so")),
    Poison("another's contents", changed, pin=True),
    Poison("archive", _binary("code.zip")),
    Poison("huge header", _header(lambda data: struct.pack("<Q", 2**40) + data[8:])),
    Poison("cut off", _header(lambda data: data[: len(data) // 2])),
    Poison("long header", _header(lambda data: struct.pack("<Q", 90 * 10**6) + b"{" * 1000)),
    Poison("empty", _header(lambda data: b"")),
    Poison("deep header", _header(_with_header(b'{"a":' * 100_000))),
    Poison("no header", _header(lambda data: data[:8] + b"x" * (len(data) - 8))),
    Poison(
        "offsets outside",
        _header(_with_header(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,99999999999]}}')),
    ),
    Poison(
        "offsets of text", _header(_with_header(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":"ab"}}'))
    ),
    Poison("tensors of nothing", _header(_with_header(b'{"a":7}'))),
)
PIPELINE_POISONS = (
    Poison("component of os", _pipeline(evil=["os", "system"])),
    Poison("component of subprocess", _pipeline(evil=["subprocess", "Popen"])),
    Poison("component of its own", _pipeline(evil=["evil", "Model"])),
    Poison("pipeline of its own", _pipeline(_class_name=["pipeline", "Evil"])),
    Poison("component of a hub module", _pipeline(evil=["pipeline_evil", "Model"])),
)


def cases(folders: dict[str, Path]) -> Iterator[tuple[str, str, Poison]]:
    """(model, role, poison), 100 or more."""
    models = (("vit", "vit"), ("clip", "clip"), ("blip", "caption"), ("stable-diffusion", "image"))
    for (name, role), poison in itertools.product(models, POISONS):
        yield name, role, poison
    for poison in PIPELINE_POISONS:
        yield "stable-diffusion", "image", poison
        yield "flux", "image", poison


def attack(folders: dict[str, Path], work: Path, watch: Watch) -> tuple[int, list[str], list[str]]:
    """(folders tried, what ran, poisoned ones that loaded though they must not)."""
    from vision.protocol import WorkerConfig
    from vision.store import Models
    from vision.weights.files import digest

    count, ran, loaded = 0, [], []
    for name, role, poison in cases(folders):
        folder, mark = work / f"{name}-{count}", work / f"mark-{count}"
        shutil.copytree(folders[name], folder)
        spec = f"{folder}@sha256:{digest(folder)}" if poison.pin else str(folder)
        poison.apply(folder, mark)
        watch.on = True
        try:
            Models(WorkerConfig("cpu", {role: spec}, str(work / "cache"), allow_download=False)).get(role)
            if not poison.may_load:
                loaded.append(f"{name}: {poison.name}")
        except AtelierError:
            pass
        finally:
            watch.on = False
        if mark.exists():
            ran.append(f"{name}: {poison.name} left its mark")
        shutil.rmtree(folder)
        count += 1
    return count, [*ran, *watch.seen], loaded


def control(work: Path, watch: Watch) -> int:
    """How many of two executions that really happen are seen."""
    before = len(watch.seen)
    bomb, module = pickle.dumps(Bomb(work / "control")), work / "control.py"
    module.write_text("x = 1\n")
    watch.on = True
    pickle.loads(bomb)
    first = len(watch.seen) - before
    exec(compile(module.read_text(), str(module), "exec"))
    watch.on = False
    return int(first > 0 and (work / "control").exists()) + int(len(watch.seen) - before > first)


def main(argv: list[str] | None = None) -> int:
    argparse.ArgumentParser().parse_args(argv)
    from tests.support import tiny
    from vision.worker.main import quiet_libraries

    quiet_libraries()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        folders = tiny.build(work / "tiny")
        watch = Watch(work)
        count, ran, loaded = attack(folders, work, watch)
        seen = control(work, watch)
    print(
        f"weights: {count} poisoned folders, {len(ran)} executions, {len(loaded)} loaded though they must not"
    )
    print(f"  negative control: {seen} of 2 executions that happen are seen")
    print(*ran[:5], *loaded[:5], sep="\n", end="")
    return 1 if ran or loaded or seen != 2 or count < 100 else 0


if __name__ == "__main__":
    raise SystemExit(main())
