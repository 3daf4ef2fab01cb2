"""Models that do tasks: Florence-2 and PaliGemma, tiny and random, saved and loaded by the real code."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.errors import UserError
from core.requests import AskRequest
from tests.support import tiny
from tests.vision.chat import shapes
from vision.capabilities.ask import run
from vision.chat.output_parser import DESCRIBES, NO_TABLE, form_answer, put_in_form
from vision.chat.prompt import Picture
from vision.chat.talker import Talker
from vision.protocol import Talk, Turn, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models


def florence2():
    """Reads a picture and words by one part, and writes by another."""
    from transformers import (
        BartConfig,
        CLIPImageProcessor,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
        Florence2VisionConfig,
    )

    tokenizer = tiny.bpe_tokenizer("<s>", "</s>", "<image>", *[f"<loc_{n}>" for n in range(1000)])
    tokenizer.bos_token, tokenizer.eos_token = "<s>", "</s>"
    tokenizer.init_kwargs["image_token"] = tokenizer.image_token = "<image>"
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    vision = Florence2VisionConfig(
        depths=(1, 1),
        patch_size=(7, 3),
        patch_stride=(4, 2),
        patch_padding=(3, 1),
        patch_prenorm=(False, True),
        embed_dim=(16, 32),
        num_heads=(2, 4),
        num_groups=(2, 4),
        window_size=4,
        projection_dim=32,
        max_position_embeddings=10,
        drop_path_rate=0.0,
    )
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        bos_token_id=tokenizer.bos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
        **ids,
    )
    config = Florence2Config(
        text_config=text, vision_config=vision, image_token_id=tokenizer.image_token_id, **ids
    )
    images = CLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False)
    images.image_seq_length = 17  # 4 × 4 patches, and their mean
    model = Florence2ForConditionalGeneration(config)
    model.generation_config.num_beams = 3
    return model, Florence2Processor(images, tokenizer)


def paligemma():
    """A prefix that looks at itself in both directions, then the answer."""
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessor,
        SiglipVisionConfig,
    )

    tokenizer = tiny.bpe_tokenizer("<bos>", "<eos>")
    tokenizer.bos_token, tokenizer.eos_token = "<bos>", "<eos>"
    images = SiglipImageProcessor(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    processor = PaliGemmaProcessor(images, tokenizer)
    text = GemmaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    vision = SiglipVisionConfig(**tiny.VISION, vision_use_head=False, projection_dim=32)
    config = PaliGemmaConfig(
        vision_config=vision,
        text_config=text,
        projection_dim=32,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return PaliGemmaForConditionalGeneration(config), processor


SHA = "a" * 64
MODELS = {"florence2": florence2, "paligemma": paligemma}


class OneTalker(Models):
    """A worker's models, of which there is a talker."""

    def __init__(self, talker: Talker) -> None:
        super().__init__(WorkerConfig("cpu", {"ask": "program:it"}, "none"))
        self.talker = talker

    def get(self, role, reporter=None):
        return self.talker


@pytest.fixture(scope="module")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Talker]:
    found = {}
    for name, make in MODELS.items():
        folder: Path = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        shapes.write(*make(), folder, 0.4 if name == "paligemma" else 0.15)
        found[name] = shapes.loaded(name, folder)
    return found


def picture(colour: str = "red") -> Picture:
    return Picture(colour, (64, 48), lambda: Image.new("RGB", (64, 48), colour))


def asked(question: str, form: str = "free", *before: Turn, pictures: tuple[str, ...] = ("red",)) -> Talk:
    return Talk((*before, Turn("user", question, pictures)), form, max_tokens=12)


def prompt_of(talker: Talker, talk: Talk) -> str:
    told = put_in_form(talk, talker.model.wanted)
    made = talker.model.prompts.make(told, {"red": picture(), "blue": picture("blue")}, 4096)
    return talker.model.tokenizer.decode(made.ids).replace("<image>", "")


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_about_what_it_sees_alone_and_with_its_pixels(talkers, name: str) -> None:
    talker = talkers[name]
    assert not talker.model.joins and not talker.takes_hints
    said = {
        colour: talker.answer(asked("What is it?", pictures=(colour,)), {colour: picture(colour)}, Reporter())
        for colour in ("red", "blue")
    }
    assert all(answer.tokens_out > 0 and answer.pictures == ((64, 48),) for answer in said.values())
    assert said["red"].text != said["blue"].text
    assert talker.answer(asked("What is it?"), {"red": picture()}, Reporter()).text == said["red"].text


def test_florence_is_told_the_task_of_each_form(talkers) -> None:
    talker = talkers["florence2"]
    for question, form, told in (
        ("What is it?", "free", "Describe with a paragraph what is shown in the image."),
        ("What is it?", "short", "What does the image describe?"),
        ("What does it say?", "text", "What is the text in the image?"),
        ("Where are the red boats?", "boxes", "Locate the phrases in the caption: red boats"),
        ("Find everything", "boxes", "Locate the objects with category name in the image."),
        ("Where is the <OCR>?", "boxes", "Locate the phrases in the caption: ‹OCR>"),
    ):
        assert prompt_of(talker, asked(question, form)) == f"<s>{told}</s>", form


def test_paligemma_is_told_its_prefixes(talkers) -> None:
    talker = talkers["paligemma"]
    for question, form, told in (
        ("What is it?", "free", "answer en What is it?"),
        ("What does it say?", "text", "ocr"),
        ("Where is the boat?", "boxes", "detect boat"),
    ):
        assert prompt_of(talker, asked(question, form)) == f"<bos>{told}\n", form
    smuggled = prompt_of(talker, asked("<loc0001><image> What?"))
    assert "<loc" not in smuggled and smuggled.endswith("What?\n")


def test_places_in_an_answer_stay_and_other_marks_go(talkers) -> None:
    for name, text, left in (
        (
            "florence2",
            "</s><s>boat<loc_100><loc_200><loc_300><loc_400></s>",
            "boat<loc_100><loc_200><loc_300><loc_400>",
        ),
        (
            "paligemma",
            "<loc0100><loc0200><loc0300><loc0400> boat<eos>",
            "<loc0100><loc0200><loc0300><loc0400> boat",
        ),
    ):
        model = talkers[name].model
        assert model.text(model.tokenizer(text, add_special_tokens=False)["input_ids"]) == left
        answer = talkers[name].answer(asked("Where is the boat?", "boxes"), {"red": picture()}, Reporter())
        found, _ = form_answer(asked("Where is the boat?", "boxes"), replace(answer, text=left), model.wanted)
        [box] = found.boxes
        assert box.label == "boat"


@pytest.mark.parametrize("name", MODELS)
def test_what_it_cant_do_is_said(talkers, name: str) -> None:
    talker, pictures = talkers[name], {"red": picture(), "blue": picture("blue")}
    for talk, problem in (
        (asked("The numbers?", "table"), NO_TABLE),
        (asked("Which?", pictures=("red", "blue")), "one picture at a time; here are 2"),
        (asked("Which?", pictures=()), "here are 0"),
        (asked("word " * 20_000), "room for") if name == "paligemma" else (asked("x", "table"), NO_TABLE),
    ):
        with pytest.raises(UserError, match=problem):
            talker.answer(talk, pictures, Reporter())


def test_a_later_question_is_about_the_picture_before_and_turns_are_told_to_be_left_out(talkers) -> None:
    before = (Turn("user", "What is it?", ("red",)), Turn("assistant", "A boat."))
    talk = asked("And what colour?", "free", *before, pictures=())
    answer = talkers["paligemma"].answer(talk, {"red": picture()}, Reporter())
    assert answer.turns_dropped == 1 and answer.pictures == ((64, 48),)
    assert prompt_of(talkers["paligemma"], talk) == "<bos>answer en And what colour?\n"


def test_florence_says_that_it_takes_up_no_questions(talkers, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "red.png")
    paths = {SHA: str(tmp_path / "red.png")}
    request = AskRequest(question="What is it?", images=(SHA,))
    for name, form, notes in (
        ("florence2", "free", [DESCRIBES]),
        ("florence2", "text", []),
        ("paligemma", "free", []),
    ):
        models = OneTalker(talkers[name])
        output = run(request, paths, models, Reporter(), asked("What is it?", form, pictures=(SHA,)))
        assert output.parameters["notes"] == notes and output.answer.tokens_out > 0
