"""What own models are worth: ``python -m proofs.vision.custom_models.proof [ROW …]`` prints a
JSON line for each measurement; docs/evidence/own-models.md has the last ones. ``--scale 0.5`` takes
half the pictures.

Needs the extra ``train``; rows on real surfaces need scikit-image, as the package of their photographs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy import ndimage

from proofs.vision.custom_models import (
    elsewhere,
    finding,
    kills,
    labels,
    lessons,
    promises,
    textures,
    through_queue,
)
from proofs.vision.custom_models.seen_with import PHOTO, towers
from tests.vision.custom_models import parts
from tests.vision.custom_models.conftest import Pile, pile
from tests.vision.custom_models.memory_store import MemoryStore
from vision.custom_models import metrics
from vision.custom_models.anomaly.detector import FIXED, Inspector
from vision.custom_models.anomaly.train import Settings, train_inspection
from vision.custom_models.features import Extractor, find_extractor
from vision.custom_models.steps import exhausted

Row = dict[str, object]
TRAINED, TESTED = 0, 10_000  # first seeds of pictures that are learned from, and of those that aren't


FALSE_SHARE = 0.3  # of good pixels, up to which the per-region overlap is integrated


def region_overlap(masks: Sequence[np.ndarray], heats: Sequence[np.ndarray], steps: int = 100) -> float:
    """Return the per-region overlap (PRO, Bergmann et al., 2021): the mean share of each defect's regions
    that is found, over shares of good pixels called strange up to ``FALSE_SHARE``. masks: bool;
    heats: floats, of their size."""
    regions = []
    for number, mask in enumerate(masks):
        marked, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [np.sort(heats[number][marked == at]) for at in range(1, count + 1)]
    good = np.sort(np.concatenate([heat[~mask] for mask, heat in zip(masks, heats, strict=True)]))
    shares = np.linspace(0, FALSE_SHARE, steps + 1)
    cuts = good[np.clip(np.floor((1 - shares) * len(good)).astype(int), 0, len(good) - 1)]
    overlaps = [
        float(np.mean([1 - np.searchsorted(region, cut, "right") / len(region) for region in regions]))
        for cut in cuts
    ]
    return float(np.trapezoid(overlaps, shares) / FALSE_SHARE)


def of_parts(scale: float, of: Sequence[str] = parts.ALL) -> Iterator[Row]:
    """8.1: each part from 20 good pictures, on good ones and defects that were never shown."""
    for part in of:
        some = pile([(parts.picture(part, TRAINED + n)[0], "good") for n in range(20)])
        inspector, extractor, seconds = _inspection(some, Settings())
        count = round(35 * scale)
        bad = [(part, TESTED + n, parts.DEFECTS[n % 7]) for n in range(7 * max(1, round(9 * scale)))]
        good = [(part, 2 * TESTED + n) for n in range(count)]
        tested = [parts.picture(*which) for which in [*good, *bad]]
        network = inspector.detector(extractor)
        start = time.process_time()
        verdicts = [inspector.inspect(image, extractor, network) for image, _ in tested]
        each = (time.process_time() - start) / len(tested)
        strange = [number >= count for number in range(len(tested))]
        heats = [_large(verdict.heat) for verdict in verdicts]
        masks = [mask for _, mask in tested]
        flat = [np.concatenate([one.ravel()[::5] for one in some]) for some in (masks, heats)]
        yield {
            "part": part,
            "held out": part in parts.LATER,
            "backbone": extractor.name,
            "image AUROC": metrics.curves(strange, [verdict.score for verdict in verdicts])[0].area,
            "pixel AUROC": metrics.curves(flat[0], flat[1])[0].area,
            "PRO": region_overlap(masks[count:], heats[count:]),
            "stopped": str(metrics.share_above([v.ratio for v in verdicts[:count]], 1)),
            "found": str(metrics.share_above([v.ratio for v in verdicts[count:]], 1)),
            "weak": inspector.card["weak"],
            "training CPU s": seconds,
            "verdict CPU s": each,
        }


def of_textures(scale: float) -> Iterator[Row]:
    """8.3: real surfaces, and whether the product itself says that it is weak there."""
    for name in textures.TEXTURES:
        some = pile([(textures.picture(name, TRAINED + n), "good") for n in range(20)])
        inspector, extractor, _ = _inspection(some, Settings())
        count = round(30 * scale)
        tested = [textures.picture(name, TESTED + n, tested=True) for n in range(count)]
        tested += [
            textures.picture(name, 2 * TESTED + n, textures.DEFECTS[n % 6], True)
            for n in range(6 * round(7 * scale))
        ]
        network = inspector.detector(extractor)
        scores = [inspector.inspect(image, extractor, network).score for image in tested]
        yield {
            "texture": name,
            "backbone": extractor.name,
            "image AUROC": metrics.curves([n >= count for n in range(len(tested))], scores)[0].area,
            "stopped": str(metrics.share_above(scores[:count], inspector.limit)),
            "found": str(metrics.share_above(scores[count:], inspector.limit)),
            "promise": inspector.card["promise"],
            "overlapping": inspector.card["overlapping"],
            "told as weak": inspector.card["weak"],
            "separation of drawn defects": inspector.card["separation"],
            "drawn defects missed": inspector.card["unsure"],
        }


def of_names(scale: float) -> Iterator[Row]:
    """8.5: naming a circuit's defects from 10 and 50 of a kind, and two kinds that nobody named."""
    part, kinds = "circuit", parts.DEFECTS[:6]
    good = [parts.picture(part, TRAINED + n)[0] for n in range(50)]
    known = {
        kind: [parts.picture(part, 100 * at + 500 + n, kind)[0] for n in range(50)]
        for at, kind in enumerate(kinds)
    }
    count = round(20 * scale)
    asked = [(parts.picture(part, TESTED + n)[0], "good") for n in range(count)]
    asked += [
        (parts.picture(part, TESTED + 1000 * (at + 1) + n, kind)[0], kind)
        for at, kind in enumerate(kinds)
        for n in range(count)
    ]
    store = MemoryStore()
    for each in (10, 50):
        for left_out in ((), kinds[:2]):
            some = pile(
                [(image, "good") for image in good[: max(each, 20)]]
                + [(image, kind) for kind in kinds if kind not in left_out for image in known[kind][:each]]
            )
            inspector, extractor, _ = _inspection(some, Settings(alike=FIXED), store, towers()[-1:])
            network = inspector.detector(extractor)
            verdicts = [inspector.inspect(image, extractor, network) for image, _ in asked]
            if left_out:
                unseen = [n for n, (_, kind) in enumerate(asked) if kind == "good" or kind in left_out]
                strange = [asked[n][1] != "good" for n in unseen]
                area = metrics.curves(strange, [verdicts[n].score for n in unseen])[0].area
                yield {"a kind": each, "never named": left_out, "AUROC of these": area}
                continue
            said = [verdict.names[0][0] for verdict in verdicts]
            report = metrics.names_report([kind for _, kind in asked], said)
            yield {"a kind": each, "accuracy": str(report.accuracy), "macro F1": report.macro_f1}


BY_PART: dict[str, Callable[[float, Sequence[str]], Iterator[Row]]] = {
    "parts": of_parts,
    "promises": promises.of_promises,
    "few": lessons.of_few,
    "taught": promises.of_taught,
}
ROWS: dict[str, Callable[[float], Iterator[Row]]] = {
    "textures": of_textures,
    "places": textures.of_places,
    "names": of_names,
    "bundles": elsewhere.of_bundles,
    "labels": labels.of_labels,
    "flipped": labels.of_flipped,
    "tuned": labels.of_tuned,
    "boxes": finding.of_boxes,
    "speed": through_queue.row(through_queue.speed, PHOTO.parent),
    "beside": through_queue.row(through_queue.beside, PHOTO.parent),
    "kills": kills.of_kills,
}


def _inspection(
    some: Pile,
    settings: Settings,
    store: MemoryStore | None = None,
    extractors: Sequence[Extractor] = (),
) -> tuple[Inspector, Extractor, float]:
    extractors = extractors or towers()
    start = time.process_time()
    training = train_inspection(some.snapshot, some.open, extractors, settings, store or MemoryStore())
    inspector = exhausted(training)
    extractor = find_extractor(inspector.card["extractor"], {one.name: one for one in extractors}.get)
    return inspector, extractor, time.process_time() - start


def _large(heat: torch.Tensor) -> np.ndarray:
    whole = torch.nn.functional.interpolate(heat[None, None], size=(parts.SIDE, parts.SIDE), mode="bilinear")
    return whole[0, 0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join([*BY_PART, *ROWS])}; none = all")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--part", nargs="*", default=parts.ALL, choices=parts.ALL, help=f"of {', '.join(BY_PART)}"
    )
    parser.add_argument("--python", default="", help="of the bare environment that bundles are run in")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.rows or [*BY_PART, *ROWS]:
        if name == "bundles":
            rows = elsewhere.of_bundles(asked.scale, asked.python)
        else:
            rows = BY_PART[name](asked.scale, asked.part) if name in BY_PART else ROWS[name](asked.scale)
        for row in rows:
            rounded = {key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in row.items()}
            print(json.dumps({"row": name} | rounded), flush=True)


if __name__ == "__main__":
    main()
