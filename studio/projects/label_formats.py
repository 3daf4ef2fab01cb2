"""Labels as other programs write them: CSV, COCO's JSON, YOLO's text files; and a child process that reads
strangers' zip files and label files, ``python -m studio.projects.label_formats``. Its commands: ``pictures``
(a zip file → its pictures with the labels that folders or label files give) and ``labels`` (a zip, CSV or
JSON file → what it says). Names in an archive say what its pictures are called and never become paths.

Inside, a box is in 0..1 of the sides. A picture that is called something as a whole has, in COCO and YOLO, a
box around all of it, and such a box means the same when it is read."""

import csv
import io
import json
import math
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from studio.media import confinement
from studio.media import masks as bits
from studio.projects.projects import MAX_FILES, MAX_RATIO, MAX_UNPACKED

Box = tuple[str, float, float, float, float]  # label, left, top, right, bottom; 0..1
FORMS = ("csv", "coco", "yolo")
FIELDS = ("file", "label", "left", "top", "right", "bottom")
MOST_ROWS, DIGITS = 100_000, 8
NAMES = "data.yaml"
WHOLE = (0.0, 0.0, 1.0, 1.0)
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Labelled:
    """A picture and what it is called. file: its name. width, height: px, 0 where they aren't known. mask:
    where that is, as runs of its pixels (``studio.media.masks``), () = nowhere in particular. outlined:
    boxes around its parts, for who takes no masks."""

    file: str
    label: str = ""
    boxes: tuple[Box, ...] = ()
    width: int = 0
    height: int = 0
    mask: tuple[int, ...] = ()
    outlined: tuple[Box, ...] = ()


def write_labels(form: str, rows: Sequence[Labelled]) -> dict[str, bytes]:
    """Return files by name, of one of FORMS. Raises ValueError for another form."""
    if form == "csv":
        return {"labels.csv": _csv(rows).encode()}
    if form == "coco":
        indent = None if any(row.mask for row in rows) else 1  # a number of a run isn't worth a line
        return {"annotations.json": json.dumps(_coco(rows), ensure_ascii=False, indent=indent).encode()}
    if form == "yolo":
        return _yolo(rows)
    raise ValueError(f"labels are written as {', '.join(FORMS)}, not as {form[:40]!r}")


def read_labels(files: Mapping[str, bytes]) -> list[Labelled]:
    """Return what the label files among these say, whichever of FORMS they are. Raises ValueError for one
    that can't be read, and for more than MOST_ROWS rows."""
    found: list[Labelled] = []
    for name, data in files.items():
        if name.lower().endswith(".csv"):
            found += read_csv(_text(name, data))
        elif name.lower().endswith(".json"):
            found += read_coco(_text(name, data))
    texts = {name: data for name, data in files.items() if name.lower().endswith(".txt")}
    names = [data for name, data in files.items() if PurePosixPath(name).name.lower() in (NAMES, "data.yml")]
    if texts and names:
        found += read_yolo({name: _text(name, data) for name, data in texts.items()}, _text(NAMES, names[0]))
    if sum(max(1, len(one.boxes)) for one in found) > MOST_ROWS:
        raise ValueError(f"there are more than {MOST_ROWS:,} labels")
    return found


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name[:60]!r} isn't UTF-8") from error


# CSV


def _csv(rows: Sequence[Labelled]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FIELDS)
    for row in rows:
        for box in row.boxes:
            writer.writerow(
                (plain_text(row.file), plain_text(box[0]), *(_number(value) for value in box[1:]))
            )
        if row.label and not row.boxes:
            writer.writerow((plain_text(row.file), plain_text(row.label), "", "", "", ""))
    return out.getvalue()


def plain_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def read_csv(text: str) -> list[Labelled]:
    """Return what a table says whose first line names FIELDS; the box may be missing. Raises ValueError."""
    try:
        reader = csv.DictReader(io.StringIO(text))
        fields = [name.strip().lower() for name in reader.fieldnames or ()]
        if "file" not in fields or "label" not in fields:
            raise ValueError("a table of labels has the columns file and label")
        reader.fieldnames = fields
        labels: dict[str, str] = {}
        boxes: dict[str, list[Box]] = {}
        for number, row in enumerate(reader, 2):
            if number > MOST_ROWS:
                raise ValueError(f"there are more than {MOST_ROWS:,} labels")
            file, label = _unplain(row.get("file")), _unplain(row.get("label"))
            if not file or not label:
                raise ValueError(f"line {number} has no file or no label")
            sides = [(row.get(side) or "").strip() for side in FIELDS[2:]]
            if any(sides):
                left, top, right, bottom = (_side(side, f"line {number}") for side in sides)
                boxes.setdefault(file, []).append((label, left, top, right, bottom))
            labels.setdefault(file, label)
    except csv.Error as error:
        raise ValueError(f"this table can't be read: {error}") from error
    return [_row(file, label, boxes.get(file, [])) for file, label in labels.items()]


def _unplain(text: object) -> str:
    found = text.strip() if isinstance(text, str) else ""
    return found[1:] if found[:1] == "'" and found[1:2] in ("=", "+", "-", "@") else found


# COCO


def _coco(rows: Sequence[Labelled]) -> dict[str, Any]:
    names = sorted({box[0] for row in rows for box in row.boxes} | {row.label for row in rows if row.label})
    ids = {name: number for number, name in enumerate(names, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        width, height = max(row.width, 1), max(row.height, 1)
        images.append({"id": number, "file_name": row.file, "width": width, "height": height})
        for name, left, top, right, bottom in row.boxes if row.mask else _all_boxes(row):
            sides = (left * width, top * height, (right - left) * width, (bottom - top) * height)
            box = [round(value, 4) for value in sides]
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[name], "bbox": box}
            annotations.append(one | {"area": round(box[2] * box[3], 4), "iscrowd": 0})
        if (around := bits.bounds(row.mask, height)) is not None:
            left, top, right, bottom = around
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[row.label]}
            one |= {"bbox": [left, top, right - left, bottom - top], "area": bits.area(row.mask)}
            form = {"counts": list(row.mask), "size": [height, width]}
            annotations.append(one | {"segmentation": form, "iscrowd": 0})
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def read_coco(text: str) -> list[Labelled]:
    """Return what COCO's JSON says; polygons and runs of what a picture is called are its mask. Raises
    ValueError."""
    try:
        found = json.loads(text)
        names = {one["id"]: str(one["name"]) for one in found["categories"]}
        images = {
            one["id"]: (str(one["file_name"]), int(one.get("width", 0)), int(one.get("height", 0)))
            for one in found["images"]
        }
        boxes: dict[Any, list[Box]] = {key: [] for key in images}
        outlined: dict[Any, list[Box]] = {key: [] for key in images}
        masks: dict[Any, dict[str, list[tuple[int, ...]]]] = {key: {} for key in images}
        if len(images) + len(found["annotations"]) > MOST_ROWS:
            raise ValueError(f"there are more than {MOST_ROWS:,} labels")
        for one in found["annotations"]:
            _, width, height = images[one["image_id"]]
            if width < 1 or height < 1:
                raise ValueError("a picture of COCO's has no width or height")
            x, y, wide, high = (float(value) for value in one["bbox"])
            sides = (x / width, y / height, (x + wide) / width, (y + high) / height)
            left, top, right, bottom = (_side(value, "a box") for value in sides)
            called, key = names[one["category_id"]], one["image_id"]
            mask = _mask(one.get("segmentation"), width, height)
            box: Box = (called, left, top, right, bottom)
            boxes[key].append(box)
            outlined[key] += [box] if mask else []
            masks[key].setdefault(called, []).extend([mask] if mask else [])
    except ValueError:
        raise
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("this is no COCO file: it needs images, annotations and categories") from error
    return [
        _with_mask(_row(file, "", boxes[key], width, height), outlined[key], masks[key])
        for key, (file, width, height) in images.items()
        if boxes[key]
    ]


def _mask(form: Any, width: int, height: int) -> tuple[int, ...]:
    """Return the runs of a segmentation, () of none. Raises ValueError for one that can't be."""
    if not form or max(width, height) > bits.MAX_SIDE:
        return ()
    if isinstance(form, dict):
        counts = form["counts"]
        found = bits.unpacked(counts) if isinstance(counts, str) else tuple(map(int, counts))
        if [height, width] != list(map(int, form["size"])) or min(found, default=0) < 0:
            raise ValueError("a mask of COCO's has another size than its picture")
    else:
        found = bits.of_polygons([[float(value) for value in points] for points in form], width, height)
    if sum(found) != width * height:
        raise ValueError("the runs of a mask of COCO's don't fill its picture")
    return found if bits.area(found) else ()


def _with_mask(
    row: Labelled, outlined: Sequence[Box], masks: Mapping[str, Sequence[tuple[int, ...]]]
) -> Labelled:
    """Return a picture with what was outlined of what it is called as its mask, in place of boxes."""
    if not (some := masks.get(row.label, ())):
        return row
    mine = tuple(box for box in outlined if box[0] == row.label)
    rest = tuple(box for box in row.boxes if box not in mine)
    mask = bits.together(some, row.width * row.height)
    return replace(row, boxes=rest, mask=mask, outlined=mine)


# YOLO


def _yolo(rows: Sequence[Labelled]) -> dict[str, bytes]:
    names = sorted({box[0] for row in rows for box in row.boxes} | {row.label for row in rows if row.label})
    listed = "".join(
        f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in enumerate(names)
    )
    files = {NAMES: f"path: .\ntrain: images\nval: images\nnames:\n{listed}".encode()}
    for row in rows:
        lines = []
        for name, left, top, right, bottom in _all_boxes(row):
            sides = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
            lines.append(" ".join((str(names.index(name)), *(_number(value) for value in sides))))
        files[f"labels/{PurePosixPath(row.file).stem}.txt"] = "\n".join([*lines, ""]).encode()
    return files


def read_yolo(texts: Mapping[str, str], names: str) -> list[Labelled]:
    """Return what YOLO's text files say. texts: by name; names: data.yaml. Raises ValueError."""
    called = yolo_names(names)
    found = []
    for name, text in texts.items():
        boxes: list[Box] = []
        for number, line in enumerate(text.splitlines()[:MOST_ROWS], 1):
            parts = line.split()
            if not parts:
                continue
            where = f"{PurePosixPath(name).name[:60]} line {number}"
            if len(parts) < 5 or not parts[0].isdigit() or int(parts[0]) not in called:
                raise ValueError(f"{where} isn't a class and four numbers")
            x, y, wide, high = (_side(part, where) for part in parts[1:5])
            sides = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            left, top, right, bottom = (min(1.0, max(0.0, value)) for value in sides)
            boxes.append((called[int(parts[0])], left, top, right, bottom))
        if boxes:
            found.append(_row(PurePosixPath(name).stem, "", boxes))
    return found


def yolo_names(text: str) -> dict[int, str]:
    """Return the names of classes in a data.yaml, written as a list or by number. Raises ValueError."""
    _, found, rest = text.partition("names:")
    if not found:
        raise ValueError(f"{NAMES} has no names")
    first, _, more = rest.partition("\n")
    if first.strip().startswith("["):
        inner = (first + more).strip()[1:].partition("]")[0]
        return {number: _unquoted(part) for number, part in enumerate(inner.split(",")) if part.strip()}
    called: dict[int, str] = {}
    for line in more.splitlines():
        if line.strip() and not line.startswith((" ", "\t", "-")):
            break
        if line.strip().startswith("-"):
            called[len(called)] = _unquoted(line.strip()[1:])
        elif ":" in line:
            number, _, name = line.partition(":")
            if not number.strip().isdigit():
                break
            called[int(number)] = _unquoted(name)
    if not called:
        raise ValueError(f"{NAMES} has no names")
    return called


def _unquoted(text: str) -> str:
    found = text.strip()
    if found[:1] == '"' and found[-1:] == '"' and len(found) > 1:
        try:
            return str(json.loads(found))
        except ValueError:
            return found[1:-1]
    return found[1:-1] if found[:1] == "'" == found[-1:] and len(found) > 1 else found


def _all_boxes(row: Labelled) -> tuple[Box, ...]:
    return row.boxes or (((row.label, *WHOLE),) if row.label else ())


def _row(file: str, label: str, boxes: Sequence[Box], width: int = 0, height: int = 0) -> Labelled:
    """Return a picture; a box around all of it says what it is as a whole."""
    whole = [box[0] for box in boxes if _is_whole(box)]
    label = label or (whole[0] if whole else boxes[0][0])
    return Labelled(file, label, tuple(box for box in boxes if not _is_whole(box)), width, height)


def _is_whole(box: Box) -> bool:
    return all(abs(value - edge) < _ROUNDING for value, edge in zip(box[1:], WHOLE, strict=True))


def _side(value: str | float, where: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError(f"{where} has {str(value)[:20]!r}; a box's sides are 0 to 1") from error
    if not math.isfinite(number) or not -0.01 <= number <= 1.01:
        raise ValueError(f"{where} has {number:g}; a box's sides are 0 to 1")
    return min(1.0, max(0.0, number))


def _number(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".") or "0"


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
    confinement.serve_confined(prepare, MAX_MEMORY, MAX_SECONDS)


def prepare(command: str) -> Callable[[bytes], tuple[dict[str, object], bytes]]:
    """Import all that reading will need: afterwards no file can be opened. Return what answers a command."""
    import encodings.cp437
    import encodings.utf_8_sig  # noqa: F401

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:  # loads all that reading one loads
        archive.writestr("a/b.csv", "file,label\nx,y\n")
    with zipfile.ZipFile(made) as archive:
        read_labels({"b.csv": archive.read("a/b.csv")})
    return partial(answer_request, command=command)


def answer_request(data: bytes, command: str) -> tuple[dict[str, object], bytes]:
    """Return (header, bytes); a header with "error" says in a few words why nothing was read."""
    try:
        return unpack_pictures(data) if command == "pictures" else unpack_labels(data)
    except MemoryError:
        return {"error": "needs too much memory to read."}, b""
    except Exception as error:  # zipfile, zlib and the like raise whatever they like
        is_ours = isinstance(error, ValueError) and not isinstance(error, UnicodeError)
        return {"error": str(error) if is_ours else "is damaged, or isn't a ZIP file."}, b""


def unpack_pictures(data: bytes) -> tuple[dict[str, object], bytes]:
    """Return the pictures of a zip file, with what they are called. Raises ValueError."""
    refused: list[tuple[str, str]] = []
    bodies: list[tuple[str, str, bytes]] = []
    texts: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [info for info in archive.infolist() if not info.is_dir()]
        entries = [info for info in entries if not _is_rubbish(info.filename)]
        if len(entries) > 4 * MAX_FILES:
            raise ValueError(f"has {len(entries):,} files; the limit is {MAX_FILES} pictures.")
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
    said = {PurePosixPath(one.file).name: one for one in read_labels(texts)} if texts else {}
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


def unpack_labels(data: bytes) -> tuple[dict[str, object], bytes]:
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
    rows = read_labels(texts)
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
        return "isn't a supported picture. Use PNG, JPEG or WebP."
    if info.file_size > MAX_RATIO * max(1, info.compress_size) and info.file_size > 2**16:
        return f"unpacks to more than {MAX_RATIO} times its size."
    if suffix in PICTURES and taken >= MAX_FILES:
        return f"is more than the {MAX_FILES} pictures allowed at once."
    return None


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: int) -> bytes:
    """Return a file's bytes, whatever size its header claims. Raises ValueError where there is no room."""
    most = min(room, max(2**16, MAX_RATIO * max(1, info.compress_size)))
    with archive.open(info) as file:
        body = file.read(most + 1)
    if len(body) > most:
        raise ValueError(f"is too large unpacked; the limit is {MAX_UNPACKED // 2**20} MB.")
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
