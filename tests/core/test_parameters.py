"""The table of parameters: whoever needs to know one reads it there, and nothing is written a second time."""

import subprocess
import sys
from dataclasses import dataclass
from shutil import copytree

import pytest

from core.convert import fields_of, prompt_of
from core.errors import UserError
from core.prompt.parameters import Flag, Parameters, Reach, field_names, flags_of, param, parameters
from core.prompt.parser import FLAGS, REFERENCES, SUPPORTED, UNSUPPORTED, Prompt, parse_prompt
from core.prompt.values import Picture, Pictures, References, Whole
from core.requests import REQUESTS, GenerateRequest, ImagineRequest
from core.settings import ROOT

TOY = """
    glow: int | None = param(
        None,
        Flag("glow", "how much it shines", "a red house --glow 5", Whole(0, 9), ("g",)),
        reach=Reach.GRID,
        unset=0,
        reported=True,
        moderated=False,
    )
"""
USES = """
from core.errors import UserError
from core.prompt.parser import BY_NAME, FLAGS, format_prompt, parse_prompt, why_unsupported
from core.prompt.parameters import field_names
from core.requests import ImagineRequest, OutpaintRequest, from_json, to_json
from core.convert import fields_of, prompt_of, with_defaults
from studio.requests.actions import _reaching
from core.prompt.parameters import Reach

prompt = parse_prompt("a red house --g 5 --seed 1")
assert prompt.glow == 5 and BY_NAME["g"].help == "how much it shines, 0 to 9"
assert format_prompt(prompt) == "a red house --seed 1 --glow 5"
request = ImagineRequest(**fields_of(prompt))
assert request.glow == 5 and from_json("imagine", to_json(request)) == request
assert prompt_of(request, seed=True) == prompt
none, zero = (fields_of(parse_prompt(words)) for words in ("a", "a --glow 0"))
assert ImagineRequest(**zero) == ImagineRequest(**none)
assert with_defaults(parse_prompt("a"), parse_prompt("b --glow 3")).glow == 3
assert "new pictures" in why_unsupported("--glow 5")
for cls in (ImagineRequest, OutpaintRequest):
    assert "glow" in field_names(cls, lambda p: p.reported)
    assert "glow" not in field_names(cls, lambda p: p.moderated)
assert "glow" in _reaching(Reach.GRID) and "glow" not in _reaching(Reach.KEPT)
try:
    ImagineRequest(prompt="a", glow=10)
except UserError as error:
    assert str(error) == "`glow` is 10; it takes 0 to 9."
else:
    raise AssertionError("10 was taken")
print("it is everywhere")
"""


def test_a_new_parameter_is_one_field_of_the_table(tmp_path) -> None:
    """One is written into a copy of the table; the parser, the formatter, the requests, their range checks,
    members' defaults, moderation, the result and the buttons have it."""
    for folder in ("core", "studio", "jobs", "storage", "vision"):
        copytree(ROOT / folder, tmp_path / folder, ignore=lambda _, found: {"__pycache__"} & set(found))
    table = tmp_path / "core" / "prompt" / "parameters.py"
    text = table.read_text(encoding="utf-8")
    assert text.count("    unsupported: tuple[str, ...] = ()\n") == 1
    table.write_text(
        text.replace("    unsupported: tuple[str, ...]", f"{TOY}    unsupported: tuple[str, ...]")
    )
    ran = subprocess.run([sys.executable, "-c", USES], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout.strip() == "it is everywhere", ran.stderr


def test_a_prompt_and_a_request_have_every_parameter_of_the_table() -> None:
    for cls in (Prompt, *(cls for cls in REQUESTS if issubclass(cls, GenerateRequest))):
        assert issubclass(cls, Parameters)
        own = set(cls.__annotations__) & set(parameters(Parameters))
        assert own <= {"seed"}  # None in a prompt, a number in a request


def test_every_flag_is_in_the_table_once() -> None:
    assert FLAGS == (*flags_of(Prompt), *UNSUPPORTED)
    typed = [name for flag in FLAGS for name in (flag.name, *flag.aliases)]
    assert len(typed) == len(set(typed))
    assert all(flag.field in parameters(Prompt) and not flag.unsupported for flag in SUPPORTED)
    assert all(flag.field == "unsupported" and flag.unsupported for flag in UNSUPPORTED)


def test_what_a_field_holds_says_whether_it_names_pictures() -> None:
    kinds = (Picture, Pictures, References)
    for cls in REQUESTS:
        held = field_names(cls, lambda parameter: isinstance(parameter.value, kinds))
        videos = {name for name in held if name.startswith("clip")}
        assert all(("image" in name or "reference" in name) for name in set(held) - videos)
        named = {name for name in parameters(cls) if "image" in name or name in REFERENCES}
        assert set(held) - videos == named - {"num_images", "image_weight"}


@pytest.mark.parametrize("cls", REQUESTS, ids=lambda cls: cls.kind)
def test_moderation_reads_a_field_that_nothing_is_known_of(cls) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Newer(cls):
        wish: str = ""
        secret: str = param("", moderated=False)

    read = field_names(Newer, lambda parameter: parameter.moderated)
    assert "wish" in read and "secret" not in read


UNREAD = {"model", "version", "sampler", "loras", "taste_loras", "image", "image_prompts", *REFERENCES}


def test_moderation_reads_every_field_but_names_and_pictures() -> None:
    assert set(field_names(GenerateRequest, lambda parameter: not parameter.moderated)) == UNREAD
    assert field_names(GenerateRequest, lambda parameter: parameter.avoided) == ("negative_prompt",)


@pytest.mark.parametrize(
    ("reach", "expected"),
    [
        (Reach.FIRST, {"image_prompts", "image_weight", "hd", "think"}),
        (Reach.GRID, {"chaos", "strength"}),
        (Reach.SHAPE, {"aspect_ratio", "width", "height"}),
        (Reach.JOB, {"seed", "num_images", "image"}),
    ],
)
def test_what_is_not_kept_of_a_picture_is_known(reach: Reach, expected: set[str]) -> None:
    assert set(field_names(GenerateRequest, lambda parameter: parameter.reach is reach)) == expected


@pytest.mark.parametrize(
    "flag", [flag for flag in SUPPORTED if isinstance(flag.value, Whole)], ids=lambda flag: flag.name
)
def test_a_prompt_and_a_request_take_the_same_numbers(flag: Flag) -> None:
    low, high = flag.value.low, flag.value.high
    makers = [lambda number: parse_prompt(f"a --{flag.name} {number}")]
    if flag.field in parameters(GenerateRequest):
        makers.append(lambda number: ImagineRequest(prompt="a", **{flag.field: number}))
    for make in makers:
        make(low), make(high)
        for wrong in (low - 1, high + 1):
            with pytest.raises(UserError, match=f"`(--)?{flag.name}` is .*{wrong}.*takes .*{low}.*{high}"):
                make(wrong)


def test_a_prompt_of_a_request_asks_for_the_same() -> None:
    request = ImagineRequest(**fields_of(Prompt(text="a", chaos=0, hd=False, weird=0, exp=0)))
    assert request == ImagineRequest(prompt="a")
    assert prompt_of(request) == Prompt(text="a")
