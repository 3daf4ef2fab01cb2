"""Draws the pictures that an empty Create shows of the demo models: ``python -m tools.first_pictures``. Each
is of one of the prompts in ``demo/models/examples.json``, drawn as a member's; the list beside them names the
weights."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from pathlib import Path

from PIL import Image

from core.requests import ImagineRequest
from core.settings import ROOT
from vision.capabilities import capability
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.main import quiet_libraries

MODEL = ROOT / "demo" / "models" / "stable-diffusion"
FOLDER = ROOT / "web" / "static" / "drawn"
SIDE, QUALITY = 320, 80  # px, of WebP
SEED = 7


def weights_digest() -> str:
    """Return the SHA-256 of the weights that draw."""
    return hashlib.sha256((MODEL / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """Draw them all anew."""
    quiet_libraries()
    prompts = json.loads((MODEL.parent / "examples.json").read_text(encoding="utf-8"))["prompts"][:6]
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        models = Models(
            WorkerConfig("cpu", {"image": str(MODEL)}, cache, cpu_threads=1, allow_download=False)
        )
        for number, prompt in enumerate(prompts, 1):
            request = ImagineRequest(prompt=prompt, num_images=1, seed=SEED)
            [drawn, *_] = capability("imagine")(request, {}, models, Reporter()).pictures
            picture = Image.open(io.BytesIO(drawn.data)).convert("RGB")
            picture = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            picture.save(Path(FOLDER, f"{number}.webp"), quality=QUALITY, method=6)
    said = {"weights": weights_digest(), "seed": SEED, "prompts": prompts}
    (FOLDER / "drawn.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
