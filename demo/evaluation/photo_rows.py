"""Rows about photographs: whether they are told from drawings, what is seen in them, and how they are cut out
and enlarged, through the product's own code and the readers of ``vision.photo``."""

import io
import time

import numpy as np
from PIL import Image

from core.requests import ClassifyRequest, CutOutRequest, UpscaleRequest
from core.setting.packaged import ROLES
from demo import photographs
from demo.drawing import draw
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import ANY, SINGLE, held_out
from demo.evaluation.select_rows import SHOWN, drawn, styled
from demo.training.loop import MODELS
from demo.world import STYLES
from vision.capabilities import classify, cutout, upscale
from vision.model_store import Models
from vision.photo import looking
from vision.pictures import encode
from vision.protocol import WorkerConfig
from vision.reporter import Reporter

SHA = "a" * 64
THINGS = 200  # that are cut out
MADE = 60  # drawings as the pack would show them
SEEN = ("chelsea", "coffee", "rocket", "motorcycle_left", "china", "flower")  # the classes are ImageNet's


def models(photo: bool = True) -> Models:
    """The demo models as a worker holds them, with the readers of photographs or without."""
    roles = {"image": "stable-diffusion", "caption": "captioner", "segment": "segmenter"}
    named = {role: roles.get(role, role) for role in ("image", "clip", "caption", "vit", "segment")}
    specs = {role: str(MODELS / folder) for role, folder in named.items()}
    return Models(WorkerConfig("cpu", specs | (ROLES if photo else {}), "data/cache", cpu_threads=1))


def photo_rows(pack: Pack, report: Report, n: int):
    """Drawn or photographed, and the classes of what is photographed."""
    photographs.fetch()
    store = models()

    def photographed(picture: Image.Image) -> bool:
        return looking.look(picture, store, Reporter(), "vit").knows == looking.PHOTOGRAPH

    scenes = held_out(n, ANY, "photo")
    pictures = [draw(scene, rng, (SHOWN, SHOWN)) for scene, rng in scenes]
    report.share("photo: drawings taken for drawings", [not photographed(one) for one in pictures], 0.99)
    small = [draw(scene, rng) for scene, rng in held_out(MADE, SINGLE, "photo made")]
    shown = [encode.enlarge(one, SHOWN // one.width) for one in pack.decoded(small)]
    report.share("photo: the same, through the autoencoder", [not photographed(one) for one in shown], 0.99)
    told = [photographed(each.open()) for each in photographs.JUDGED]
    report.share("photo: photographs taken for photographs", told, 0.99)

    first, five, times = [], [], []
    for each in photographs.JUDGED:
        if each.labels:
            picture, begun = each.open(), time.process_time()
            request = ClassifyRequest(image=SHA, top_k=5)
            scores = classify.run(request, {SHA: picture}, store, Reporter()).scores
            times.append(time.process_time() - begun)
            first.append(scores[0][0] in each.labels)
            five.append(any(label in each.labels for label, _ in scores))
            print(each.name, [(label, round(chance, 2)) for label, chance in scores])
    named = [each.name for each in photographs.JUDGED if each.labels]
    report.share("photo: first label right", first, None)
    report.share("photo: a right label among five", five, None)
    listed = [ok for ok, name in zip(first, named, strict=True) if name in SEEN]
    report.share("photo: first label right, six with a class of ImageNet's", listed, None)
    report.row("CPU seconds to classify a photograph, median", round(float(np.median(times)), 2), None)


def cutout_rows(pack: Pack, report: Report, n: int):
    """The IoU of what is cut out of drawings: by the product, and by the network for photographs alone."""
    store, ious, others = models(), [], []
    cutter = store.get("cutout")
    for style in STYLES:
        for scene, rng in styled(style, SINGLE, THINGS // len(STYLES)):
            picture, owner, _ = drawn(scene, rng)
            made = cutout.run(CutOutRequest(image=SHA), {SHA: picture}, store, Reporter())
            alpha = np.asarray(Image.open(_file(made)).getchannel("A"))
            ious.append(_iou(alpha > 127, owner == 0))
            others.append(_iou(np.asarray(cutter.alpha(picture)) > 127, owner == 0))
    report.row("cut out: mean IoU of 200 drawn things", round(float(np.mean(ious)), 3), 0.93)
    report.row("cut out: the same by u2netp alone", round(float(np.mean(others)), 3), None)


def enlarge_rows(pack: Pack, report: Report, n: int):
    """Photographs at half their size, enlarged twice: by the readers of photographs, and by the demo's
    image model as without them."""
    photographs.fetch()
    new, old = models(), models(photo=False)
    rows: dict[str, list[float]] = {name: [] for name in ("new", "old", "plain")}
    widths: dict[str, list[float]] = {name: [] for name in rows}
    for each in photographs.JUDGED:
        if each.name in ("astronaut", "chelsea", "coffee", "china", "flower", "rocket"):
            large = each.open()
            large = large.crop((0, 0, large.width // 16 * 16, large.height // 16 * 16))
            small = encode.resize(large, (large.width // 2, large.height // 2))
            made = {"plain": encode.resize(small, large.size)}
            for name, store in (("new", new), ("old", old)):
                request = UpscaleRequest(prompt="", image=SHA, factor=2, num_images=1)
                made[name] = Image.open(_file(upscale.run(request, {SHA: small}, store, Reporter())))
            for name, picture in made.items():
                rows[name].append(psnr(picture, large))
                widths[name].append(steepness(picture) / steepness(large))
    says = {"new": "by Real-ESRGAN", "old": "by the demo's image model", "plain": "by Lanczos"}
    for name, how in says.items():
        report.row(f"photographs enlarged {how}: PSNR, dB", round(float(np.mean(rows[name])), 2), None)
        steep = round(float(np.mean(widths[name])), 3)
        report.row(f"photographs enlarged {how}: steepness of edges, share of the original's", steep, None)


def psnr(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one.convert("RGB"), float) - np.asarray(other, float)
    return float(-10 * np.log10((difference**2).mean() / 255**2))


def steepness(picture: Image.Image) -> float:
    """The step between neighbours that one in a hundred is larger than, of 255."""
    grey = np.asarray(picture.convert("L"), float)
    return float(np.percentile(np.abs(np.diff(grey, axis=1)), 99))


def _file(output):
    return io.BytesIO(output.pictures[0].data)


def _iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max(1, (found | truth).sum()))
