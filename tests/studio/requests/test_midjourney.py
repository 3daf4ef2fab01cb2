"""Prompts as people bring them along from Midjourney, of 2023 to 2026."""

import pytest

from core.errors import PromptError
from studio.texts import unsupported_notes
from tests.studio.conftest import ALICE, Opened

PROMPTS = """
a red house in the snow --v 5 --ar 16:9
portrait of an old sailor, dramatic light --v 5.1 --style raw --ar 2:3 --s 250
isometric tiny bakery, pastel, octane render --v 5.2 --ar 1:1 --q 2
a fox made of autumn leaves --niji 5 --style expressive --ar 3:4
a fox made of autumn leaves --niji 5 --style cute --s 180
logo of a mountain, flat vector --no shading, realistic photo details --v 5.2
Tokyo street at night, rain, neon::2 cinematic::1 --ar 21:9 --v 5.2 --c 10
seamless pattern of lemons --tile --v 5.2
a castle on a cliff --uplight --v 4 --q .5
a castle on a cliff --v 4 --style 4b
wide shot of a desert caravan --v 6.0 --ar 16:9 --style raw --stylize 50
wide shot of a desert caravan --v 6 --ar 16:9 --s 750 --weird 250
a woman reading in a café --v 6 --sref https://s.mj.run/abc123 --sw 300
a woman reading in a café --v 6 --cref https://cdn.midjourney.com/abc/0_0.png --cw 0 --ar 4:5
a woman reading in a café --v 6.1 --sref 3856120234 --sw 80 --p
a woman reading in a café --v 6.1 --sref random
a woman reading in a café --v 6.1 --sref 1234::2 5678::1
a woman reading in a café --v 6.1 --sref https://a.example/1.png::2 https://a.example/2.png
editorial photo of sneakers on ice --ar 4:5 --v 6.1 --personalize
editorial photo of sneakers on ice --ar 4:5 --v 6.1 --p f3h2j9k
editorial photo of sneakers on ice --ar 4:5 --v 6.1 --profile f3h2j9k 8s7d6f5
girl with a paper lantern, anime key visual --niji 6 --ar 9:16
girl with a paper lantern, anime key visual --niji 6 --style raw --s 400
girl with a paper lantern, anime key visual --niji 7
girl with a paper lantern, anime key visual --niji
girl with a paper lantern, anime key visual --niji 8 --exp 10
a brutalist library, golden hour --v 7
a brutalist library, golden hour --v 7 --draft
a brutalist library, golden hour --v 7 --exp 25 --ar 3:2
a brutalist library, golden hour --v 7 --oref https://cdn.example.com/lamp.png --ow 200
a brutalist library, golden hour --v 7 --sref 42 --sv 4 --sw 500
a brutalist library, golden hour --v 7 --sref 42 --sv 7
a brutalist library, golden hour --v 7 --q 4 --turbo
a brutalist library, golden hour --v 7 --stop 80 --fast
a brutalist library, golden hour --v 7 --relax --stealth
a lighthouse keeper's desk --v 8 --hd --ar 16:9
a lighthouse keeper's desk --v 8.1 --sd --raw
a lighthouse keeper's desk --ar 16:9 --v 8.2 --style raw --s 250 --p
a lighthouse keeper's desk --v 8.2 --hd --q 4 --c 5
a lighthouse keeper's desk --v 9 --draft --exp 5
a lighthouse keeper's desk --v 10.5
a lighthouse keeper's desk --version 8 --aspect 3:2 --stylize 0
a lighthouse keeper's desk --V 7 --AR 16:9 --Style raw
a lighthouse keeper's desk —ar 16:9 —v 7
a lighthouse keeper's desk--ar 16:9 --v 7
macro photo of a bee --iw 2 --v 7
macro photo of a bee --seed 4294967295 --v 6.1
macro photo of a bee --seed 77 --chaos 100 --weird 3000 --s 1000
macro photo of a bee --w 500 --c 50 --s 0 --v 7
macro photo of a bee --style random-32 --v 5.2
macro photo of a bee --style 4VdRGeXf-raw --v 5.2
macro photo of a bee --creative --v 3
macro photo of a bee --testp --upbeta
macro photo of a bee --ar 4:5, --v 6.1, --s 200
"good morning" written in icing on a cake --v 6.1 --style raw
ink drawing of a heron::3 reeds::1 colour::-0.5 --v 6.1
a clay robot waving, studio light --bs 1 --motion low --v 7
a clay robot waving, studio light --public --v 6.1 --v 7
a clay robot waving, studio light --no text --no watermark --ar 1:2
a clay robot waving, studio light --ar=16:9 --v=7 --s=100
a clay robot waving --cref https://s.mj.run/Q1w2 --cw 100 --sref https://s.mj.run/Z9 --sw 20 --v 6.1
""".strip().splitlines()


async def test_prompts_of_midjourney_draw_with_a_note_on_what_has_no_effect(opened: Opened) -> None:
    assert len(PROMPTS) >= 60
    for text in PROMPTS:
        [new] = await (await opened.studio.requests.imagine(ALICE, text, None)).jobs()
        told = " ".join(unsupported_notes(new.request))
        if "--v 8.2" in text or "--v 10.5" in text or "--niji 8" in text:
            assert "isn't installed here; the default model was used" in told
        if text.endswith("--p"):
            assert new.request.taste == (("me", 1.0),)
        if "--cref http" in text or "--oref http" in text:
            assert "attach the picture itself" in told


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a fox --ar wide --s lots --chaoss 3", ["--ar", "wide", "--s", "lots", "--chaoss", "--chaos"]),
        ("--v nine --seed x", ["--v", "nine", "--seed", "The prompt is empty"]),
        ("a fox --model nothing --q 3", ["nothing", "--q", "0.25"]),
        ("a fox --size 64x64 --ar 1:1 --iw much", ["--size", "--ar", "much"]),
        ("a {red, blue} fox --ar wide --stop 3", ["wide", "--stop"]),
    ],
)
async def test_all_that_is_wrong_with_a_prompt_is_told_at_once(
    opened: Opened, text: str, named: list[str]
) -> None:
    with pytest.raises(PromptError) as told:
        await opened.studio.requests.imagine(ALICE, text, None)
    lines = str(told.value).splitlines()
    assert all(word in str(told.value) for word in named) and 2 <= len(lines) == len(set(lines))
