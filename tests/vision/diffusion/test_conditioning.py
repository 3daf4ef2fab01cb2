"""Weights, long texts, styles, chaos and weird as embeddings: the sums, and that a picture stays its seed's
own in any company."""

import inspect
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from PIL import Image

from core.requests import ImagineRequest, VariationRequest
from core.styles import STYLES
from tests.support import tiny
from tests.vision.conftest import SHA, ask
from tests.vision.families.test_families import FAMILY_NAMES, SAME, apart
from tests.vision.test_imagine import with_card
from vision.diffusion import prompt_embeddings, task
from vision.diffusion.parameters import TextSpec
from vision.diffusion.prompt_embeddings import Conditioning, Encoded
from vision.families import FAMILIES, Mode
from vision.families.stable_diffusion import pieces
from vision.store import Models

WEIGHING = [family.name for family in FAMILIES if family.encode]
STEADY = ("ernie-image", "longcat-image")  # their pipelines take no other words between two steps
DISTILLED = ("flux2-klein", "z-image")  # to few steps, without guidance
UNGUIDED = (*DISTILLED, "ernie-image", "qwen-image-2.1")
PARTS = (("a red house", 3.0), ("a cat", 1.0), ("fog", -0.5))
TURNED = {"chaos": 80, "weird": 900, "stylize": 400, "exp": 20, "style_codes": ((5, 1.0),)}
EVERYTHING = ImagineRequest(
    prompt="a red house, a cat", prompt_parts=PARTS, negative_prompt="blue", seed=7, **TURNED
)


def read(words: str) -> Encoded:
    """A text encoder of two tokens: the number of letters a and b; ten words and more take twice the
    tokens."""
    tokens = torch.tensor([[[float(words.count("a"))], [float(words.count("b"))]]])
    return Encoded(tokens.repeat(1, 2 if len(words.split()) >= 10 else 1, 1), tokens[:, 0])


def encode(
    prompt: str, spec: TextSpec | None = None, negative: str = "", seeds: tuple[int, ...] = (1,), **more
) -> Conditioning:
    return prompt_embeddings.encode_prompt(
        read, prompt, negative, spec or TextSpec(), seeds, **{"guided": True, **more}
    )


def test_parts_are_summed_by_their_shares() -> None:
    made = encode("", TextSpec(wanted=(("aaaa", 0.75), ("bbbb", 0.25))))
    assert made.prompt.tolist() == [[[3.0], [1.0]]] and made.pooled.tolist() == [[3.0]]


def test_a_refusal_goes_from_no_words_towards_the_unwanted_ones() -> None:
    spec = TextSpec(unwanted=(("aa", 0.5), ("bb", 0.5)), refusal=0.5)
    assert encode("a", spec).negative.tolist() == [[[0.5], [0.5]]]
    assert encode("a", replace(spec, refusal=9.0)).negative.tolist() == [[[1.5], [1.5]]], "it has a bound"
    assert encode("a", negative="bb").negative.tolist() == [[[0.0], [2.0]]]
    assert encode("a", negative="bb", guided=False).negative is None


def test_a_style_is_mixed_in_as_if_it_stood_behind_the_words() -> None:
    for amount, b in ((0.5, 1.0), (1.0, 2.0), (1.5, 3.0)):
        assert encode("aaa", TextSpec(styles=(("bb", amount),))).prompt.tolist() == [[[3.0], [b]]]


def test_a_long_text_and_a_short_one_are_made_equally_long() -> None:
    long = " ".join("a" * 10)
    for made in (encode(long, negative="b"), encode("b", negative=long)):
        assert made.prompt.shape == made.negative.shape == (1, 4, 1)
    assert encode(long, zeros=True).negative.abs().max() == 0


def test_chaos_hides_the_words_at_first_and_not_at_all_in_the_end() -> None:
    text = torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(0)) * 3 + 1
    made = prompt_embeddings.encode_prompt(
        lambda words: Encoded(text), "", "", TextSpec(chaos=1.0), (1, 2), guided=False
    )
    kept = [
        float(torch.corrcoef(torch.stack([made.at(p)[0].flatten(), text.flatten()]))[0, 1])
        for p in (0.0, 0.2, 0.4, prompt_embeddings.OPENING, 1.0)
    ]
    assert kept == sorted(kept) and abs(kept[0]) < 0.1 and kept[-2] > 0.999
    assert torch.equal(made.at(1.0)[0], text[0])
    assert made.at(0.0).std() == pytest.approx(float(text.std()), rel=0.1)
    assert made.at(0.0).mean() == pytest.approx(float(text.mean()), abs=0.2)
    assert not torch.equal(made.at(0.0)[0], made.at(0.0)[1]), "each picture has noise of its own"
    little = replace(made, chaos=0.1)
    assert torch.equal(little.at(0.14), little.prompt.expand(2, -1, -1))


@pytest.mark.parametrize("name", WEIGHING)
def test_a_picture_with_everything_on_is_the_one_its_seed_makes_alone(name: str, models_of) -> None:
    models = models_of(image=name)
    four, alone = ask(models, EVERYTHING), ask(models, replace(EVERYTHING, seed=9, num_images=1))
    assert apart(four.pictures[2], alone.pictures[0]) <= SAME
    assert ask(models, EVERYTHING).pictures[1].data == four.pictures[1].data, "and the same bytes each time"
    picture = VariationRequest(prompt="a red house", image=SHA, chaos=100, weird=500, seed=7, strength=0.9)
    two, one = (
        ask(models, picture, tiny.picture()),
        ask(models, replace(picture, seed=8, num_images=1), tiny.picture()),
    )
    assert apart(two.pictures[1], one.pictures[0]) <= SAME


@pytest.mark.parametrize("name", WEIGHING)
def test_equal_weights_draw_what_the_words_draw_alone(name: str, models_of) -> None:
    plain = ImagineRequest(prompt="a red house", num_images=2, seed=3, num_inference_steps=3)
    halves = replace(plain, prompt_parts=(("a red house", 2.0), ("a red house", 2.0)))
    drawn = zip(
        ask(models_of(image=name), plain).pictures, ask(models_of(image=name), halves).pictures, strict=True
    )
    assert max(apart(one, other) for one, other in drawn) <= SAME


def test_words_read_together_with_pictures_have_no_weights_and_that_is_told(models_of) -> None:
    request = ImagineRequest(prompt="a house", prompt_parts=PARTS[:2], weird=50, chaos=9, num_images=1)
    for name, read_together in (("qwen-image-2.1", True), ("flux2-klein", False)):
        model = models_of(image=name).get("image")
        for shown in ((), (tiny.picture(),)):
            made = task.prepare(request, model, Mode.TEXT, (64, 64), references=shown)
            without = read_together and bool(shown)
            told = " ".join(made.notes)
            assert all((what in told) is without for what in ("not weights", "`--weird`", "`--chaos`")), told
            assert (made.generation.text_spec == TextSpec()) is without


CHANGES = {
    "weights": {"prompt_parts": (("a red house", 1.0), ("a cat", 3.0))},
    "a negative weight": {"prompt_parts": (("a red house", 1.0), ("fog", -0.4))},
    "chaos": {"chaos": 50},
    "weird": {"weird": 1000},
    "stylize": {"stylize": 0},
    "exp": {"exp": 100},
    "a style": {"style_codes": ((3, 1.0),)},
}


BY_GUIDANCE = ("a negative weight", "stylize", "exp")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", WEIGHING)
def test_each_parameter_changes_the_picture_or_says_why_not(
    name: str, change: str, models_of: Callable[..., Models]
) -> None:
    plain = ImagineRequest(prompt="a red house, a cat", seed=3, num_images=1, num_inference_steps=6)
    changed = ask(models_of(image=name), replace(plain, **CHANGES[change]))
    works = name not in UNGUIDED or change not in BY_GUIDANCE
    works &= change != "chaos" or name not in STEADY
    said = [note for note in changed.parameters["notes"] if "no effect" in note]
    assert (len(said) == 0) is works
    if works:
        assert apart(ask(models_of(image=name), plain).pictures[0], changed.pictures[0]) > 0


@pytest.mark.parametrize("name", DISTILLED)
def test_the_undistilled_model_of_a_family_is_guided(name: str, folders, tmp_path) -> None:
    folder = tmp_path / "undistilled"
    shutil.copytree(folders[name], folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "is_distilled": False}))
    models = with_card(folder, tmp_path, **({"guidance_scale": 4.0} if name == "z-image" else {}))
    plain = ImagineRequest(prompt="a red house, a cat", seed=3, num_images=1, num_inference_steps=6)
    bare = ask(models, plain).pictures[0]
    for change in (*(CHANGES[what] for what in BY_GUIDANCE), {"negative_prompt": "fog"}):
        changed = ask(models, replace(plain, **change))
        assert apart(bare, changed.pictures[0]) > 0
        assert not [note for note in changed.parameters["notes"] if "no effect" in note]


LIMITS = {"stable-diffusion-3": 256, "flux": 512, "flux2-klein": 500, "z-image": 504, "qwen-image": 500}


@pytest.mark.parametrize("name", LIMITS)
def test_a_text_whose_end_is_not_read_is_told(name: str, models_of: Callable[..., Models]) -> None:
    short = ImagineRequest(prompt="red house", num_images=1, num_inference_steps=1 + (name == "qwen-image"))
    note = f"longer than the {LIMITS[name]} tokens"
    assert not any(note in one for one in ask(models_of(image=name), short).parameters["notes"])
    for long in (replace(short, prompt="a " * 1001), replace(short, prompt="a " * 1001, chaos=9)):
        assert any(note in one for one in ask(models_of(image=name), long).parameters["notes"])


def test_a_language_models_first_token_does_not_drown_the_words_in_noise() -> None:
    words = torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(0))
    words[0, 0, 3] = 20_000
    text = Encoded(words, mask=torch.ones(1, 20))
    made = prompt_embeddings.encode_prompt(
        lambda _: text, "", "", TextSpec(weird=1.0, chaos=1.0), (1,), guided=False
    )
    assert 0.8 < float(made.noise.std()) < 1.2
    assert 0.5 < float(
        torch.corrcoef(torch.stack([made.prompt[0, 1:].flatten(), words[0, 1:].flatten()]))[0, 1]
    )


def test_texts_of_a_language_model_are_joined_token_by_token() -> None:
    def told(letters: str) -> Encoded:
        tokens = torch.tensor([[[float(ord(letter))] for letter in letters or "_"]])
        return Encoded(tokens, mask=torch.ones(tokens.shape[:2]))

    spec = TextSpec(wanted=(("ab", 0.75), ("b", 0.25)), unwanted=(("abc", 1.0),))
    made = prompt_embeddings.encode_prompt(told, "", "", spec, (1, 2), guided=True, rows=True)
    given = made.arguments(0.0)
    first, second = ord("a") * 0.75 + ord("b") * 0.25, ord("b") * 0.75
    assert [row.tolist() for row in given["prompt_embeds"]] == [[[first], [second]]] * 2
    assert [row[:, 0].tolist() for row in given["negative_prompt_embeds"]] == [[97.0, 98.0, 99.0]] * 2


@pytest.mark.parametrize("name", sorted(set(FAMILY_NAMES) - set(WEIGHING)))
def test_a_family_that_reads_sentences_says_what_has_no_effect(name: str, models_of) -> None:
    text = " ".join(ask(models_of(image=name), replace(EVERYTHING, num_images=1)).parameters["notes"])
    assert all(word in text for word in ("`--chaos`", "`--weird`", "weights"))
    # which are guided away from it
    assert ("`--no`" in text) is (name not in ("qwen-image", "krea-2", "longcat-image"))


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-xl"])
def test_words_behind_the_first_77_tokens_are_read(name: str, models_of: Callable[..., Models]) -> None:
    long = ImagineRequest(prompt="red house, " * 40, num_images=1, num_inference_steps=3)
    at_the_end = replace(long, prompt=long.prompt + "and a cat")
    outputs = [
        ask(models_of(image=name), request)
        for request in (long, at_the_end, replace(long, negative_prompt="blue, " * 90))
    ]
    assert apart(outputs[0].pictures[0], outputs[1].pictures[0]) > 0
    assert apart(outputs[0].pictures[0], outputs[2].pictures[0]) > 0
    assert not any(output.parameters["notes"] for output in outputs)


def test_a_long_text_is_cut_behind_a_sentence_else_a_phrase_else_a_word() -> None:
    class Letters:
        """A tokenizer whose tokens are words."""

        def convert_ids_to_tokens(self, ids: list[str]) -> list[str]:
            return [f"{word}</w>" if word[-1] != "-" else word for word in ids]

    def cut(text: str) -> list[str]:
        return [" ".join(piece) for piece in pieces(Letters(), text.split(), 5)]

    assert cut("a b . c , d e") == ["a b .", "c , d e"]
    assert cut("a b , c d e . f") == ["a b ,", "c d e . f"]
    assert cut("a b c d- e- f g") == ["a b c", "d- e- f g"]
    assert cut("a- b- c- d- e- f") == ["a- b- c- d- e-", "f"] and cut("a b c d e") == ["a b c d e"]


@pytest.mark.parametrize("name", WEIGHING)
def test_a_text_alone_is_encoded_bit_for_bit_as_the_pipeline_does_it(name: str, models_of) -> None:
    model = models_of(image=name).get("image")
    pipe = model.pipeline("text-to-image")
    with torch.no_grad():
        for words in ("a red house in the snow", ""):
            tokens, pooled, *_ = model.family.encode(pipe, words)
            given = {
                "prompt": words,
                "prompt_2": None,
                "prompt_3": None,
                "device": "cpu",
                "num_images_per_prompt": 1,
            }
            given["do_classifier_free_guidance"] = False
            names = inspect.signature(pipe.encode_prompt).parameters
            own = pipe.encode_prompt(**{k: v for k, v in given.items() if k in names})
            theirs = own[0] if isinstance(own[0], torch.Tensor) else own[0][0]
            theirs = theirs[None] if model.family.text_rows else theirs
            if name == "krea-2":  # which never sees those between the words and the template's end
                theirs = theirs * own[1][..., None, None]
            assert torch.equal(tokens, theirs)
            if pooled is not None:
                assert any(isinstance(part, torch.Tensor) and torch.equal(pooled, part) for part in own[1:])


def test_words_that_mean_nothing_more_go_the_pipelines_own_way(models_of, monkeypatch) -> None:
    monkeypatch.setattr(
        prompt_embeddings, "encode_prompt", lambda *args, **kwargs: pytest.fail("encoded twice")
    )
    ask(
        models_of(image="stable-diffusion"),
        ImagineRequest(prompt="a", negative_prompt="b", num_images=1, num_inference_steps=1),
    )


def test_a_house_style_of_the_card_is_used_and_left_out_by_raw(folders, tmp_path) -> None:
    models = with_card(folders["stable-diffusion"], tmp_path, style={"words": "watercolor"})
    request = ImagineRequest(prompt="a red house", num_images=1, num_inference_steps=3)
    written = replace(request, raw=True, prompt="a red house, watercolor")
    styled, raw, written = (
        ask(models, request) for request in (request, replace(request, raw=True), written)
    )
    assert apart(styled.pictures[0], raw.pictures[0]) > 0
    assert apart(styled.pictures[0], written.pictures[0]) <= SAME, (
        "at 100, it is as if it stood in the prompt"
    )
    assert Image.open(io.BytesIO(styled.pictures[0].data)).text["parameters"].startswith("a red house\n")


def test_every_style_number_can_be_said(models_of: Callable[..., Models]) -> None:
    model = models_of(image="stable-diffusion").get("image")
    for words in sum(STYLES, ()):
        assert model.prompt_limit(words) is None
