"""A child process that reads strangers' zip files and label files. Runs as ``python -m
studio.projects.unzip``.

Names in an archive say
what its pictures are called and never become paths. Commands: ``pictures`` (a zip file → its pictures with
the labels that folders or label files give) and ``labels`` (a zip, CSV or JSON file → what it says).
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath

from studio.pictures import confine
from studio.projects import label_files
from studio.projects.limits import MAX_FILES, MAX_RATIO, MAX_UNPACKED

MAX_MEMORY = 440 * 2**20  # bytes above what the interpreter and its imports need
MAX_SECONDS = 20  # of processor time
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
ARCHIVES = (".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz", ".zst")
LABELS = (".csv", ".json", ".txt", ".yaml", ".yml")
PLACES = {"images", "image", "pictures", "train", "test", "val", "valid", "validation", "data", "dataset", ""}
MASKS = "ground_truth"
MAX_LABELS = 8 * 2**20  # bytes of label files
MOST_NAMED = 20  # refused files that are named
LONGEST = 200  # characters of a name


def main() -> None:
    """Answer requests for one command, in a process that can do nothing else."""
    confine.serve(prepare, MAX_MEMORY, MAX_SECONDS)


def prepare(command: str) -> Callable[[bytes], tuple[dict[str, object], bytes]]:
    """Import all that reading will need: afterwards no file can be opened. Return what answers a command."""
    import encodings.cp437
    import encodings.utf_8_sig  # noqa: F401

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:  # loads all that reading one loads
        archive.writestr("a/b.csv", "file,label\nx,y\n")
    with zipfile.ZipFile(made) as archive:
        label_files.read({"b.csv": archive.read("a/b.csv")})
    return partial(answer, command=command)


def answer(data: bytes, command: str) -> tuple[dict[str, object], bytes]:
    """Return (header, bytes); a header with "error" says in a few words why nothing was read."""
    try:
        return pictures(data) if command == "pictures" else labels(data)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        known = isinstance(error, ValueError) and not isinstance(error, UnicodeError)
        return {"error": str(error) if known else "is damaged, or no zip file."}, b""
    except Exception as error:  # zlib, struct and the like raise whatever they like
        if isinstance(error, MemoryError):
            return {"error": "needs too much memory to read."}, b""
        return {"error": "is damaged, or no zip file."}, b""


def pictures(data: bytes) -> tuple[dict[str, object], bytes]:
    """Return the pictures of a zip file, with what they are called. Raises ValueError."""
    refused: list[tuple[str, str]] = []
    bodies: list[tuple[str, str, bytes]] = []
    texts: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [info for info in archive.infolist() if not info.is_dir()]
        entries = [info for info in entries if not _is_rubbish(info.filename)]
        if len(entries) > 4 * MAX_FILES:
            raise ValueError(f"has {len(entries):,} files; up to {MAX_FILES} pictures are taken.")
        room, text_room = MAX_UNPACKED, MAX_LABELS
        for info in entries:
            path = PurePosixPath(info.filename.replace("\\", "/"))
            suffix = path.suffix.lower()
            why = _problem(info, suffix, len(bodies))
            if why is None and MASKS in (part.lower() for part in path.parts):
                continue
            if why is not None:
                refused.append((_name(path), why))
            elif suffix in LABELS:
                texts[info.filename] = _unpacked(archive, info, text_room)
                text_room -= len(texts[info.filename])
            else:
                body = _unpacked(archive, info, room)
                room -= len(body)
                bodies.append((_name(path), _label(path), body))
    said = {PurePosixPath(one.file).name: one for one in label_files.read(texts)} if texts else {}
    said |= {PurePosixPath(name).stem: one for name, one in said.items()}
    listed = []
    for name, label, body in bodies:
        one = said.get(name) or said.get(PurePosixPath(name).stem)
        row: dict[str, object] = {"name": name, "label": label, "boxes": (), "size": len(body)}
        if one:
            row |= {"label": one.label, "boxes": (*one.boxes, *one.outlined)}
        if one and one.mask:
            row |= {"mask": one.mask, "shape": (one.width, one.height), "beside": one.boxes}
        listed.append(row)
    if not listed and not refused:
        raise ValueError("has no pictures in it.")
    header = {"pictures": listed, "refused": refused[:MOST_NAMED], "more": max(0, len(refused) - MOST_NAMED)}
    return header, b"".join(body for _, _, body in bodies)


def labels(data: bytes) -> tuple[dict[str, object], bytes]:
    """Return what a label file, or a zip file of some, says. Raises ValueError."""
    if data[:2] == b"PK":
        texts: dict[str, bytes] = {}
        room = MAX_LABELS
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist()[: 40 * MAX_FILES]:
                suffix = PurePosixPath(info.filename).suffix.lower()
                if suffix in LABELS and not info.is_dir() and not _is_rubbish(info.filename):
                    if (why := _problem(info, suffix, 0)) is not None:
                        raise ValueError(f"has a file that {why}")
                    texts[info.filename] = _unpacked(archive, info, room)
                    room -= len(texts[info.filename])
    else:
        texts = {"labels.json" if data.lstrip()[:1] in (b"{", b"[") else "labels.csv": data}
    rows = label_files.read(texts)
    if not rows:
        raise ValueError("has no labels in it; send CSV, COCO's JSON, or a zip with YOLO's text files.")
    return {"rows": [asdict(row) for row in rows]}, b""


def _problem(info: zipfile.ZipInfo, suffix: str, taken: int) -> str | None:
    """Return why a file isn't taken, None when it is."""
    if info.flag_bits & 0x1:
        return "is encrypted."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link."
    if suffix in ARCHIVES:
        return "is an archive in an archive."
    if suffix not in (*PICTURES, *LABELS):
        return "is no picture; PNG, JPEG and WebP are taken."
    if info.file_size > MAX_RATIO * max(1, info.compress_size) and info.file_size > 2**16:
        return f"unpacks to more than {MAX_RATIO} times its size."
    if suffix in PICTURES and taken >= MAX_FILES:
        return f"is more than the {MAX_FILES} pictures that are taken at once."
    return None


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: int) -> bytes:
    """Return a file's bytes, whatever size its header claims. Raises ValueError where there is no room."""
    most = min(room, max(2**16, MAX_RATIO * max(1, info.compress_size)))
    with archive.open(info) as file:
        body = file.read(most + 1)
    if len(body) > most:
        raise ValueError(f"unpacks to too much; up to {MAX_UNPACKED // 2**20} MB are taken.")
    return body


def _label(path: PurePosixPath) -> str:
    """Return what the folder that holds a picture calls it, "" where that is only a place."""
    folder = path.parent.name
    clean = "".join(c for c in folder if c.isprintable()).strip()[:80]
    return "" if clean.lower() in PLACES or clean in (".", "..") else clean


def _name(path: PurePosixPath) -> str:
    return "".join(c for c in path.name if c.isprintable())[-LONGEST:] or "a file"


def _is_rubbish(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" in parts or not parts or parts[-1].startswith(".") or parts[-1] == "Thumbs.db"


if __name__ == "__main__":
    main()
