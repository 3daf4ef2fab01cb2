"""Judge pictures (a folder stands for all in it) by the model beside this file: a JSON line for each."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
CARD = json.loads((HERE / "card.json").read_text(encoding="utf-8"))
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a thread that waits takes no time
MODEL = onnxruntime.InferenceSession(HERE / "model.onnx", OPTIONS, providers=["CPUExecutionProvider"])


def judge(file: Path, heat_folder: Path | None = None) -> dict:
    """Return what the model says of a picture."""
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    small = image.resize((CARD["side"], CARD["side"]), Image.Resampling.BILINEAR)
    pixels = (np.asarray(small, np.float32) / 255).transpose(2, 0, 1)[None]
    found = dict(zip((o.name for o in MODEL.get_outputs()), MODEL.run(None, {"pixels": pixels}), strict=True))
    if CARD["task"] == "detect":  # boxes: left, top, right, bottom in shares of the picture
        rows = zip(*(found[name].tolist() for name in ("labels", "scores", "boxes")), strict=True)
        kept = [(CARD["labels"][label], score, box) for label, score, box in rows if score >= CARD["limit"]]
        return {"boxes": [dict(zip(("label", "score", "box"), one, strict=True)) for one in kept]}
    powers = np.exp(found["logits"][0].astype(np.float64) - found["logits"].max(initial=-1e9))
    chances = dict(zip(CARD["labels"], (powers / max(powers.sum(), 1e-9)).tolist(), strict=True))
    best = max((name for name in chances if name != CARD["good"]), key=chances.__getitem__, default="")
    if CARD["task"] == "classify":
        distance = float(found["distance"][0])
        return {"label": best if distance <= 1 else CARD["none"], "distance": distance, "chances": chances}
    ratio, strange = float(found["score"][0]) / CARD["limit"], float(found["score"][0]) > CARD["limit"]
    if heat_folder:
        share = ((found["heat"][0, 0] / CARD["limit"] - 1).clip(0, 1) * 255).astype(np.uint8)
        Image.fromarray(share).resize(image.size).save(heat_folder / f"{file.stem}.heat.png")
    verdict = {"verdict": "strange" if strange else "good", "score": float(found["score"][0]), "ratio": ratio}
    return verdict | {"name": best if strange else "", "chances": chances}


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("paths", nargs="+", type=Path)
parser.add_argument("--watch", type=float, metavar="SECONDS", help="keep watching for new pictures")
parser.add_argument("--heat", type=Path, metavar="FOLDER", help="write an inspection's heat maps there")
asked, done, sizes = parser.parse_args(), set[Path](), dict[Path, int]()
for seconds in iter(lambda: asked.watch, None) if asked.watch else [0]:
    files = [file for path in asked.paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    for file in (one for one in files if one.suffix.lower() in CARD["suffixes"] and one not in done):
        if asked.watch and sizes.get(file) != (size := file.stat().st_size):  # new, or still being written
            sizes[file] = size
            continue
        done.add(file)
        try:
            said = judge(file, asked.heat)
        except (OSError, ValueError) as error:
            said = {"error": str(error)}
        print(json.dumps({"file": str(file)} | said, ensure_ascii=False), flush=True)
    time.sleep(seconds)
