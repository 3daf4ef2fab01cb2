"""Every family's call is that of its pipeline's own example, argument by argument: what the installed
diffusers says there, against what is given to it here. What differs is told, with why."""

import ast
import sys
from dataclasses import dataclass
from inspect import signature
from typing import Any

import diffusers
import pytest
from diffusers.pipelines.ltx2.utils import DEFAULT_NEGATIVE_PROMPT

from tests.support import tiny
from tests.vision.video.tiny_videos import VIDEO_MODELS
from vision.video import pipeline
from vision.video.families import FAMILIES, Known, Take
from vision.video.families.family import make_video_card

NOT_OURS = {"output_type", "return_dict", "generator"}  # how the result comes, and its seed
PICTURE = (Known((tiny.picture(64, 64),), 0),)
SOURCE = tuple(tiny.picture(64, 64, i) for i in range(9))


@dataclass(frozen=True)
class Case:
    """model: a tiny one. different: argument → the example's value, ours, and why."""

    cls: str
    family: str
    model: str
    configs: dict[str, Any]
    known: tuple[Known, ...] = ()
    source: tuple[Any, ...] = ()
    different: dict[str, tuple[Any, Any, str]] | None = None


LARGE = {"transformer": {"num_attention_heads": 40}}
STRENGTH = "of `--strength`, or mild"
CASES = (
    Case("WanPipeline", "wan", "wan", LARGE),
    Case("WanImageToVideoPipeline", "wan-first", "wan-image", LARGE, PICTURE),
    Case(
        *("WanVideoToVideoPipeline", "wan", "wan", {"transformer": {"num_attention_heads": 12}}),
        source=SOURCE,
        different={
            "strength": (0.7, 0.55, STRENGTH),
            "guidance_scale": (5.0, 6.0, "of 1.3B, by its makers' README"),
        },
    ),
    Case(
        *("WanVACEPipeline", "wan-vace", "wan-vace", LARGE, PICTURE),
        different={"num_inference_steps": (30, 50, "of its makers' code")},
    ),
    Case(
        *("LTXPipeline", "ltx", "ltx", {}),
        different={
            "num_frames": (161, 121, "5 s, as other families'"),
            "num_inference_steps": (50, 40, "of the newer pipeline's example"),
        },
    ),
    Case(
        *("LTXConditionPipeline", "ltx", "ltx", {}, PICTURE),
        different={"num_frames": (161, 121, "5 s, as other families'")},
    ),
    Case(
        *("LTX2ConditionPipeline", "ltx2", "ltx2", {}, PICTURE),
        different={
            "negative_prompt": (
                "worst quality, inconsistent motion, blurry, jittery, distorted, static",
                DEFAULT_NEGATIVE_PROMPT,
                "of its makers' code, which diffusers has, too",
            )
        },
    ),
    Case("HunyuanVideo15Pipeline", "hunyuan", "hunyuan", {}),
    Case("HunyuanVideo15ImageToVideoPipeline", "hunyuan-pictures", "hunyuan-image", {}, PICTURE),
    Case("CogVideoXPipeline", "cogvideox", "cogvideox", {}),
    Case("CogVideoXImageToVideoPipeline", "cogvideox-pictures", "cogvideox-image", {}, PICTURE),
    Case(
        *("CogVideoXVideoToVideoPipeline", "cogvideox", "cogvideox", {}),
        source=SOURCE,
        different={"strength": (0.8, 0.55, STRENGTH)},
    ),
    Case("AnimateDiffPipeline", "animatediff", "animatediff", {}),
)


def example(cls: Any) -> dict[str, Any]:
    """The arguments of the call in a pipeline's own example; ... for what isn't a plain value."""
    lines = sys.modules[cls.__module__].EXAMPLE_DOC_STRING.splitlines()
    code = [line.strip()[4:] for line in lines if line.strip().startswith((">>> ", "... "))]
    tree = ast.parse("\n".join(code))
    values: dict[str, Any] = {}

    def value(node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            return values.get(node.id, ...) if isinstance(node, ast.Name) else ...

    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = value(node.value)
    [call] = [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "pipe"
    ]
    shift = {"flow_shift": values["flow_shift"]} if "flow_shift" in values else {}
    return {str(one.arg): value(one.value) for one in call.keywords} | shift


def parts_of(cls: Any, pipe: Any) -> dict[str, Any]:
    """Those parts of a pipeline that another class takes."""
    return {
        name: part for name, part in pipe.components.items() if name in signature(cls.__init__).parameters
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cls)
def test_a_familys_call_is_that_of_its_pipelines_example(case: Case) -> None:
    [family] = [one for one in FAMILIES if one.name == case.family]
    card = make_video_card(family.defaults(), family.adjust(case.configs), {})
    pipe, cls = VIDEO_MODELS[case.model](), getattr(diffusers, case.cls)
    shown = example(cls)
    size = shown.get("width", ...), shown.get("height", ...)
    width, height = size if ... not in size else (64, 64)
    take = Take(
        *("a red ball", "", 7, width, height, card.usual_frames, card.fps),
        *(card.num_inference_steps, card.guidance_scale, case.known, case.source, card.remix["mild"]),
    )
    assert family.pipeline(take, case.cls) == case.cls
    pipe = cls(**family.components(case.cls, parts_of(cls, pipe)))
    ours = pipeline.call_arguments(family, pipe, take, card)
    shift = shown.pop("flow_shift", None)
    assert set(shown) - NOT_OURS <= set(ours), "every argument of the example is given"
    found = {
        name: (wanted, ours[name])
        for name, wanted in shown.items()
        if name not in {*NOT_OURS, "prompt"} and wanted is not ... and ours[name] != wanted
    }
    told = case.different or {}
    assert found == {name: (theirs, own) for name, (theirs, own, _) in told.items()}
    assert shift is None or card.flow_shift["480" if width * height < 960 * 640 else "720"] in (shift, 8, 16)
