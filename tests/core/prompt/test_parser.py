"""The prompt grammar: what people type, what comes out, and what they are told when it is wrong. Sets in
braces: how many prompts they make, and which."""

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import PromptError, UserError
from core.job import Lane
from core.limits import CLIPS, MAX_FPS, MAX_PROMPT, MAX_SECONDS, MAX_SEED, MIN_FPS, QUALITIES, RESOLUTIONS
from core.prompt.parameters import MOTIONS, NIJI, SAMPLERS, STYLES, VERSIONS
from core.prompt.parser import (
    BY_NAME,
    FLAGS,
    MAX_JOBS,
    SUPPORTED,
    Prompt,
    count_prompts,
    expand_sets,
    format_prompt,
    parse_prompt,
)
from core.prompt.values import escape, is_blank, unescape
from proofs.random_prompts import random_source, run
from tests.support.cpu import at_most

LINK = "https://cdn.discordapp.com/attachments/1/2/boat.png?ex=1&is=2&hm=3"
TRICKY = ["--ar", "--", "—ar", "::", ":::", "::2", ":", "{", "}", "{a, b}", ",", "\\", "\\\\", "\\{", '"']
TRICKY += ['"a --b {c}"', "“", "”", "“x ::3”", "<1>", "<", "-", LINK, "a", "3d"]
TEXTS = st.lists(st.sampled_from(TRICKY) | st.text(max_size=6), max_size=8).map(
    lambda words: " ".join(" ".join(words).split())
)
CLOSE = st.lists(st.sampled_from(TRICKY), max_size=8).map(lambda words: " ".join("".join(words).split()))
WORDS = (TEXTS | CLOSE).filter(lambda text: not text or not is_blank(text))
WEIGHTS = st.floats(-9, 9).map(lambda x: round(x, 3) + 0.0) | st.sampled_from([1.0, 2.0, 0.1, 1e-7, 1000.0])
PICTURES = st.lists(st.tuples(st.sampled_from([LINK, "<1>", "<12>"]), WEIGHTS), max_size=3).map(tuple)
STYLED = st.lists(st.tuples(st.sampled_from([LINK, "<2>", "77", "random"]), WEIGHTS), max_size=3).map(tuple)
ASPECTS = st.tuples(st.integers(1, 40), st.integers(1, 40)).filter(
    lambda a: max(a[0] / a[1], a[1] / a[0]) <= 14
)
UNSUPPORTED = st.lists(
    st.sampled_from(["--uplight", "--test", "--style cute", "--sv 4", "--preview"]), max_size=3, unique=True
).map(tuple)


OPTIONAL = {
    "images": PICTURES,
    "aspect_ratio": ASPECTS,
    "seed": st.integers(0, MAX_SEED),
    "chaos": st.integers(0, 100),
    "stylize": st.integers(0, 60_000),
    "raw": st.booleans(),
    "weird": st.integers(0, 3000),
    "exp": st.integers(0, 100),
    "stop": st.integers(10, 100),
    "tile": st.booleans(),
    "quality": st.sampled_from(QUALITIES),
    "draft": st.booleans(),
    "think": st.just(True),
    "hd": st.booleans(),
    "image_weight": st.floats(0, 100),
    "style_references": STYLED,
    "style_weight": st.integers(0, 1000),
    "character_references": PICTURES,
    "character_weight": st.integers(0, 100),
    "omni_references": PICTURES,
    "omni_weight": st.integers(0, 1000),
    "taste": st.sampled_from([(("me", 1.0),), (("m123", 1.0),), (("a", 2.0), ("<@5>", -0.5))]),
    "loras": st.lists(
        st.tuples(st.sampled_from(["ink", "a.b-c"]), st.sampled_from([1.0, 0.8, -2.0])), max_size=2
    ).map(tuple),
    "model": st.just("v6.1-fast"),
    "version": st.sampled_from([*VERSIONS, "niji", *(f"niji {n}" for n in NIJI)]),
    "num_inference_steps": st.integers(1, 100),
    "guidance_scale": st.floats(0, 30),
    "sampler": st.sampled_from(SAMPLERS),
    "strength": st.floats(0, 1),
    "motion": st.sampled_from(MOTIONS),
    "loop": st.booleans(),
    "seconds": st.floats(0.5, MAX_SECONDS),
    "fps": st.integers(MIN_FPS, MAX_FPS),
    "resolution": st.sampled_from(RESOLUTIONS),
    "sound": st.booleans(),
    "video": st.booleans(),
    "end": st.sampled_from([LINK, "<2>"]),
    "clips": st.sampled_from(CLIPS),
    "edit": st.just((("<9>", 1.0), (LINK, 1.0))),
    "count": st.integers(1, 4),
    "repeat": st.integers(1, MAX_JOBS),
    "sheet": st.just(True),
    "lane": st.sampled_from(Lane),
    "private": st.booleans(),
    "unsupported": UNSUPPORTED,
}
FIELDS = st.fixed_dictionaries({}, optional=OPTIONAL)


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    """Any prompt that ``parse_prompt`` can give back."""
    parts = tuple(draw(st.lists(st.tuples(WORDS.filter(bool), WEIGHTS), max_size=4)))
    negative = draw(st.just("") | WORDS)
    if (
        not parts
        or parts[0][1:] == (1.0,)
        and len(parts) == 1
        or sum(w for _, w in parts) - 0.5 * bool(negative) <= 0
    ):
        parts, text = (), draw(WORDS)
    else:
        text = ", ".join(words for words, weight in parts if weight > 0)
    return Prompt(text=text, parts=parts, negative_prompt=negative, **draw(FIELDS))


@settings(max_examples=150)
@given(prompts())
def test_parsing_what_was_formatted_gives_the_same_prompt(prompt: Prompt) -> None:
    assert parse_prompt(format_prompt(prompt)) == prompt


@settings(max_examples=300)
@given(WORDS)
@example('"abc"{')
@example("a:")
@example("¯\\_(ツ)_/¯")
def test_any_words_can_be_written_so_that_they_are_read_as_they_are(text: str) -> None:
    assert unescape(escape(text)) == text
    assert parse_prompt(escape(text)) == Prompt(text=text)
    assert expand_sets(escape(text)) == [escape(text)]


def test_the_short_form_of_a_million_random_prompts() -> None:
    report = run(2000, seed=1)
    assert report.read + report.refused + report.sets == 2000
    assert min(report.read, report.refused, report.sets) > 100
    assert report.broken == []


def test_the_random_prompts_would_find_a_broken_formatter() -> None:
    """The control: a formatter that forgets escapes is caught."""

    def careless(prompt: Prompt) -> str:
        return format_prompt(prompt).replace("\\", "")

    assert run(500, seed=1, formatter=careless).broken


def test_the_longest_prompts_are_read_in_time() -> None:
    dice = random.Random(3)
    for _ in range(50):
        source = (random_source(dice) * 4000)[:MAX_PROMPT]
        with at_most(0.1), contextlib.suppress(PromptError):
            parse_prompt(source)


MEAN = ('"' * 3999, "{" * 3999, "<" * 3999, "https://" * 499, "::" * 1999, "\\" * 3999, "--a " * 999)
MEAN += ("—a" * 1999, "a::1e" * 799)


@pytest.mark.parametrize("mean", MEAN)
def test_no_input_takes_long(mean: str) -> None:
    with at_most(0.5):
        for read in (parse_prompt, count_prompts):
            with contextlib.suppress(PromptError):
                read(mean)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red house", Prompt(text="a red house")),
        ("a red house --ar 3:2 --seed 7", Prompt(text="a red house", aspect_ratio=(3, 2), seed=7)),
        ("a house —ar 2:3", Prompt(text="a house", aspect_ratio=(2, 3))),
        ("a house –ar 2:3", Prompt(text="a house", aspect_ratio=(2, 3))),
        ("a house --AR 2:3 --Seed 1", Prompt(text="a house", aspect_ratio=(2, 3), seed=1)),
        ("a house --ar=2:3, --seed 1", Prompt(text="a house", aspect_ratio=(2, 3), seed=1)),
        ("a --seed 1 --seed 2", Prompt(text="a", seed=1)),
        ("a --sameseed 4", Prompt(text="a", seed=4)),
        ("a --no blue --no green, red", Prompt(text="a", negative_prompt="blue, green, red")),
        ("a --relax --draft", Prompt(text="a", draft=True, lane=Lane.RELAX)),
        ("a well-known half--hidden word", Prompt(text="a well-known half--hidden word")),
        ("the sea —calm and blue", Prompt(text="the sea —calm and blue")),
        ('a 5" nail and a 6" one --ar 1:2', Prompt(text='a 5" nail and a 6" one', aspect_ratio=(1, 2))),
        ('a sign "SALE --ar {now}" --ar 1:2', Prompt(text='a sign "SALE --ar {now}"', aspect_ratio=(1, 2))),
        ("a sign “--ar 9” --ar 1:2", Prompt(text="a sign “--ar 9”", aspect_ratio=(1, 2))),
        ("a \\--ar and \\:: and \\{b\\}", Prompt(text="a --ar and :: and {b}")),
        ("   a    lot   of space ", Prompt(text="a lot of space")),
        (
            "a --c 5 --s 250 --q 2 --r 3 --w 10 --v 6.1",
            Prompt(text="a", chaos=5, stylize=250, quality=2, repeat=3, weird=10, version="6.1"),
        ),
        ("a --style raw", Prompt(text="a", raw=True)),
        (
            "a --raw --tile --hd --turbo --stealth",
            Prompt(text="a", raw=True, tile=True, hd=True, lane=Lane.TURBO, private=True),
        ),
        ("a --sd --public --niji", Prompt(text="a", hd=False, private=False, version="niji")),
        ("a --niji 6 --v 7", Prompt(text="a", version="niji 6", unsupported=("--v 7",))),
        ("a --version 6 --niji", Prompt(text="a", version="6", unsupported=("--niji",))),
        ("a --v 6 --version 6", Prompt(text="a", version="6")),
        ("a fish—ar 2:3", Prompt(text="a fish", aspect_ratio=(2, 3))),
        ("a fish—ar 2:3—seed 5 --draft", Prompt(text="a fish", aspect_ratio=(2, 3), seed=5, draft=True)),
        (
            "a fish--ar 2:3 --no 3 birds",
            Prompt(text="a fish", aspect_ratio=(2, 3), negative_prompt="3 birds"),
        ),
        ("a house—no 5 trees", Prompt(text="a house—no 5 trees")),
        ("vitamin—c 200 mg", Prompt(text="vitamin—c 200 mg")),
        ("a fish\\—ar 2:3", Prompt(text="a fish—ar 2:3")),
        ("a fish—tile", Prompt(text="a fish", tile=True)),
        ("a fish—tile --seed 5", Prompt(text="a fish", tile=True, seed=5)),
        ("a fish--draft ", Prompt(text="a fish", draft=True)),
        ("a red—tile roof", Prompt(text="a red—tile roof")),
        ("a fish\\—tile", Prompt(text="a fish—tile")),
        ("a fish—seed", Prompt(text="a fish—seed")),
        ("\u200b\u2060 \ufeff \u3164", Prompt()),
        ("\u200b:: a fish", Prompt(text="a fish")),
        ("\U0001f468\u200d\U0001f680 a\u0301", Prompt(text="\U0001f468\u200d\U0001f680 a\u0301")),
        ("a --p --exp 20 --stop 80", Prompt(text="a", taste=(("me", 1.0),), exp=20, stop=80)),
        ("a --p Evening::2 pk2", Prompt(text="a", taste=(("evening", 2.0), ("pk2", 1.0)))),
        (
            "a --lora ink:0.8, wet --lora dry:-1",
            Prompt(text="a", loras=(("ink", 0.8), ("wet", 1.0), ("dry", -1.0))),
        ),
        (
            "a --uplight --sv 4 --style cute",
            Prompt(text="a", unsupported=("--uplight", "--sv 4", "--style cute")),
        ),
        (
            "<1> a --video --motion HIGH --loop --seconds 4 --fps 12 --res 720 --bs 2 --silent",
            Prompt(
                text="a",
                images=(("<1>", 1),),
                video=True,
                motion="high",
                loop=True,
                seconds=4,
                fps=12,
                resolution=720,
                clips=2,
                sound=False,
            ),
        ),
        (
            "put the cat of <3> next to <2> --edit <2> <3> --n 2",
            Prompt(text="put the cat of picture 2 next to picture 1", edit=(("<2>", 1), ("<3>", 1)), count=2),
        ),
        (f"<1> a --video --end {LINK}", Prompt(text="a", images=(("<1>", 1),), video=True, end=LINK)),
        (
            f"{LINK} <{LINK}>::2 <1>::-.5 a boat --iw 2",
            Prompt(text="a boat", images=((LINK, 1), (LINK, 2), ("<1>", -0.5)), image_weight=2),
        ),
        (
            f"a --sref {LINK}::2 <2> 77::3 random --sw 5",
            Prompt(
                text="a", style_references=((LINK, 2), ("<2>", 1), ("77", 3), ("random", 1)), style_weight=5
            ),
        ),
        (
            "a --cref <1> --cw 0 --oref <2> --ow 3",
            Prompt(
                text="a",
                character_references=(("<1>", 1),),
                character_weight=0,
                omni_references=(("<2>", 1),),
                omni_weight=3,
            ),
        ),
    ],
)
def test_flags_are_read(text: str, expected: Prompt) -> None:
    assert parse_prompt(text) == expected


@pytest.mark.parametrize(
    ("text", "parts", "words"),
    [
        ("hot:: dog", (("hot", 1), ("dog", 1)), "hot, dog"),
        ("hot::2 dog", (("hot", 2), ("dog", 1)), "hot, dog"),
        ("hot::2, dog::.5", (("hot", 2), ("dog", 0.5)), "hot, dog"),
        ("field:: red::-0.5", (("field", 1), ("red", -0.5)), "field"),
        ("cat::3d render", (("cat", 1), ("3d render", 1)), "cat, 3d render"),
        ("cat::2", (("cat", 2),), "cat"),
        ("cat::", (), "cat"),
        ("::2 cat", (), "cat"),
        ('"a::b" c', (), '"a::b" c'),
    ],
)
def test_parts_have_weights(text: str, parts: tuple, words: str) -> None:
    prompt = parse_prompt(text)
    assert (prompt.parts, prompt.text) == (parts, words)


@pytest.mark.parametrize(
    ("text", "total"),
    [("a:: b::-1", "0"), ("a::2 b::-3", "-1"), ("a::.4 b::-.4 --no x", "-0.5"), ("a::0.3 --no b", "-0.2")],
)
def test_weights_must_add_up_to_more_than_nothing(text: str, total: str) -> None:
    with pytest.raises(PromptError, match=rf"add up to {total} "):
        parse_prompt(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a --sede 5", ["--sede", "--seed"]),
        ("a --sede 5 --foobarbaz --sede 3", ["`--sede`", "--seed", "`--foobarbaz`", "/help topic:flags"]),
        ("a --no \u200b", ["--no", "needs a value"]),
        ("a --seed", ["--seed", "needs a value"]),
        ("a --seed -1", ["--seed", "-1", "4294967295"]),
        ("a --seed many", ["--seed", "many", "whole number"]),
        ("a --seed ٣", ["--seed", "whole number"]),
        ("a --cfg nan", ["--cfg", "nan"]),
        ("a --ar 15:1", ["15:1", "14:1"]),
        ("a --ar wide", ["wide", "3:2"]),
        ("a --steps 101", ["101", "100"]),
        ("a --sampler eular", ["eular", "euler"]),
        ("a --draft yes", ["--draft", "yes"]),
        ("a --chaos 101", ["--chaos", "101", "100"]),
        ("a --c 101", ["--c", "101", "100"]),
        ("a --s 60001", ["--s", "60000"]),
        ("a --w 3001", ["--w", "3000"]),
        ("a --exp -1", ["--exp", "100"]),
        ("a --stop 9", ["--stop", "10"]),
        ("a --q 3", ["--q", "0.25", "4"]),
        ("a --iw 101", ["--iw", "100"]),
        ("a --sw 1001", ["--sw", "1000"]),
        ("a --cw 101", ["--cw", "100"]),
        ("a --ow 1001", ["--ow", "1000"]),
        ("a --r 41", ["--r", "40"]),
        ("a --v nine", ["--v", "8.1"]),
        ("a --niji three", ["--niji", "5, 6, 7"]),
        ("a --style rww", ["--style", "raw"]),
        ("a --sref 5000000000", ["--sref", "4294967295"]),
        ("a --sref mystyle", ["--sref", "mystyle", "random"]),
        ("a --cref 1234", ["--cref", "1234", "links"]),
        ("a --lora ink:3", ["--lora", "ink:3", "2"]),
        ("a --model a/b", ["--model", "a/b"]),
        ("a --motion fast", ["--motion", "low, high"]),
        ("a --video --bs 5", ["--bs", "from 1 to 4"]),
        ("a --video --res 500", ["--res", "480, 720, 1080"]),
        ("a --video --seconds 21", ["--seconds", "0.5", "20"]),
        ("a --video --fps 60", ["--fps", "4", "30"]),
        ("a --video --end tree", ["--end", "tree", "link"]),
        ("a --video --end <1>::2", ["--end", "one link"]),
        ("a --video now", ["--video", "takes no value"]),
        ("a --v6", ["--v6", "`--v 6`"]),
        ("a --width 512", ["--width", "--size"]),
        ("a --private", ["--private", "--stealth"]),
        ("a --moodboard", ["--moodboard", "`--p`"]),
        ("a --zoom 2", ["--zoom", "Custom Zoom", "/outpaint"]),
        ("a —chaoss 5", ["--chaoss", "--chaos"]),
        ("a --ar 1:1 --size 64x64", ["--size", "--ar"]),
        ("b:: " * 21, ["21 parts"]),
        ("a::2000 b", ["1000"]),
        ("x" * (MAX_PROMPT + 1), [f"{MAX_PROMPT + 1:,}", f"{MAX_PROMPT:,}"]),
    ],
)
def test_a_wrong_flag_is_named_with_its_value_and_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_prompt(text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


PASTED = [
    line.replace("\\n", "\n")
    for line in Path("tests/data/midjourney_prompts.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_a_hundred_prompts_of_midjourneys_are_drawn_or_rightly_refused() -> None:
    assert len(PASTED) >= 100
    for line in PASTED:
        if line.startswith("- "):
            with pytest.raises(PromptError):
                [parse_prompt(one) for one in expand_sets(line[2:])]
            continue
        for one in expand_sets(line):
            prompt = parse_prompt(one)
            assert "--" not in prompt.text and parse_prompt(format_prompt(prompt)) == prompt


@given(st.integers(0, 99), st.none() | st.integers(0, 9), st.sampled_from(["", ".", ",", " ."]))
def test_any_version_is_read_whatever_ends_the_sentence(whole: int, tenth: int | None, end: str) -> None:
    number = f"{whole}" if tenth is None else f"{whole}.{tenth}"
    read = number.removesuffix(".0")
    assert parse_prompt(f"a --v {number}{end}").version == read
    assert parse_prompt(f"a --version {number}{end}").version == read
    assert parse_prompt(f"a --niji {number}{end}").version == f"niji {read}"
    assert parse_prompt(f"a --sref 5 --sv {number}{end}").unsupported == (f"--sv {number}",)


@pytest.mark.parametrize("version", ["eight", "8.25", "100", "-1", "8..2", "٨"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(PromptError, match="takes a version such as"):
        parse_prompt(f"a --v {version}")


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("a --glow 5 --v 8.2", ("--glow 5",)),
        ("a --v 8.2 --glow", ("--glow",)),
        ("a --ar 3:2 --glow 5 --shine soft, warm", ("--glow 5", "--shine soft, warm")),
        ("a --preview", ("--preview",)),
        ('a --glow "b --ar 3:2', ('--glow \\"b',)),
    ],
)
def test_a_flag_on_no_list_is_left_out_of_a_pasted_prompt(text: str, left_out: tuple[str, ...]) -> None:
    prompt = parse_prompt(text)
    assert (prompt.text, prompt.unsupported) == ("a", left_out)
    assert parse_prompt(format_prompt(prompt)) == prompt


@pytest.mark.parametrize(
    "text", ["a --glow 5", "a --glow --shine", "a --sede 5 --v 8.2", "a --width 5 --raw", "a --v6 --raw"]
)
def test_a_flag_alone_or_nearly_one_of_ours_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="There is no"):
        parse_prompt(text)


def test_the_end_of_a_loop_is_a_loop() -> None:
    assert parse_prompt("a boat --video --end loop").loop
    assert parse_prompt("a boat --video --end loop") == parse_prompt("a boat --video 1 --loop")


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_the_example_of_a_flag_is_one(flag) -> None:
    prompt = parse_prompt(flag.example)
    assert f"--{flag.name} " in f"{flag.example} " or any(
        f"--{alias} " in f"{flag.example} " for alias in flag.aliases
    )
    assert prompt.text and prompt != Prompt(text=prompt.text, images=prompt.images)
    assert parse_prompt(format_prompt(prompt)) == prompt


@pytest.mark.parametrize("flag", SUPPORTED, ids=lambda flag: flag.name)
def test_a_prompt_is_written_with_the_flags_it_has_and_no_others(flag) -> None:
    prompt = parse_prompt(flag.example)
    plain_name = {"style": "raw"}.get(flag.name, flag.name)
    typed = [word for word in format_prompt(prompt).split() if word.startswith("--")]
    others = {BY_NAME[word[2:]].name for word in flag.example.split() if word.startswith("--")}
    assert typed == [f"--{name.name}" for name in SUPPORTED if name.name in others - {"style"} | {plain_name}]


def test_the_random_prompts_use_every_field() -> None:
    assert set(OPTIONAL) | {"text", "parts", "choices", "negative_prompt", "size"} == set(
        Prompt.__dataclass_fields__
    )


def test_every_value_that_a_flag_names_is_taken() -> None:
    for style in STYLES:
        assert parse_prompt(f"a --style {style}").raw is (style == "raw")
    assert BY_NAME["aspect"] is BY_NAME["ar"]
    assert parse_prompt("a --style random-32-15").unsupported == ("--style random-32-15",)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a {red, blue} house", ["a red house", "a blue house"]),
        ("{a, b} {1, 2}", ["a 1", "a 2", "b 1", "b 2"]),
        ("a {big {red, blue}, small} cat", ["a big red cat", "a big blue cat", "a small cat"]),
        ("a {red\\, white, blue} flag", ["a red\\, white flag", "a blue flag"]),
        ("a --ar {3:2, 1:1}", ["a --ar 3:2", "a --ar 1:1"]),
        ("a --{v 5, niji}", ["a --v 5", "a --niji"]),
        ("a::{1, 2} b", ["a::1 b", "a::2 b"]),
        ("a {red,} car", ["a red car", "a car"]),
        ("one, two", ["one, two"]),
        ("{abc}", ["abc"]),
        ('"{a, b}" {1, 2}', ['"{a, b}" 1', '"{a, b}" 2']),
        ("\\{a, b\\}", ["\\{a, b\\}"]),
    ],
)
def test_sets_in_braces_are_written_out(source: str, expected: list[str]) -> None:
    assert expand_sets(source) == expected
    assert count_prompts(source) == len(expected)


def test_an_escaped_comma_becomes_a_comma() -> None:
    texts = [parse_prompt(one).text for one in expand_sets("a {red\\, white, blue} flag")]
    assert texts == ["a red, white flag", "a blue flag"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["{", "}", ",", "a", " ", "\\,", "\\{", '"']), max_size=14).map("".join))
def test_as_many_are_written_out_as_were_counted(source: str) -> None:
    try:
        number = count_prompts(source)
    except PromptError as error:
        assert "`" in str(error)
        return
    assert len(expand_sets(source, limit=10**6)) == number


def test_two_to_the_1200_prompts_are_refused_at_once() -> None:
    """Whoever wrote them out first would never end."""
    with pytest.raises(PromptError, match=rf"more than 10\^361 prompts; the limit is {MAX_JOBS}"):
        expand_sets("{a,b}" * 1200)
    assert count_prompts("{a,b}" * 1200) == 2**1200


@pytest.mark.parametrize(
    ("source", "words"),
    [("a } b", "closes nothing"), ("{a, {b", "never closed"), ("{" * 21 + "}" * 21, "nested more than 20")],
)
def test_braces_without_partners_are_told(source: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        expand_sets(source)
