"""The chat model: true answers in training, and ids as its processor makes them."""

import os
import random
import shutil

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from demo.drawing import Placed  # noqa: E402
from demo.evaluate import chat as chats  # noqa: E402
from demo.train import chat_data, chat_model, chat_train, loop  # noqa: E402
from demo.train.chat_data import (  # noqa: E402
    Chart,
    Drawn,
)
from demo.train.loop import MODELS  # noqa: E402
from demo.world import COLOURS, OBJECTS, Group, Scene, is_held_out  # noqa: E402

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]

MAKERS = [lesson.make for lesson in chat_train.TOLD]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder of its own for what the stages leave, with a tokenizer of few conversations."""
    folder = tmp_path_factory.mktemp("work")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    shutil.copytree(MODELS / "clip", loop.PACK / "clip")
    chat_model.tokenizer.cache_clear()
    chat_model.build_tokenizer(loop.WORK / "ask-tokenizer", conversations=300)
    yield folder
    patch.undo()
    chat_model.tokenizer.cache_clear()


@pytest.fixture(scope="module")
def encoder(work):
    return chat_model.Encoder(chat_model.tokenizer())


def scene(*groups, place="any"):
    return Scene(groups, place, "grass", "flat")


RED_CAT = Drawn(scene(Group(1, "red", "cat", "medium")), (Placed("cat", "red", 0.2, 0.8, 0.2, 0),))


def asked(drawn, kind):
    rng = random.Random(0)
    return {a for _ in range(60) for k, _, a in chat_data.about_scene(drawn, rng) if k == kind}


# Truth
# ------------------------------------------------------------------------------------------------------------


def test_answers_about_one_thing_are_true():
    assert asked(RED_CAT, "object") == {"a cat"}
    assert asked(RED_CAT, "colour") == {"red"}
    assert asked(RED_CAT, "count") == {"one", "none"}  # none: of a thing that isn't there
    assert asked(RED_CAT, "where") == {"at the bottom left"}
    assert asked(RED_CAT, "box") == {"[0, 600, 400, 1000]"}
    assert asked(RED_CAT, "background") == {"on the grass"}
    assert "there is no cat" not in asked(RED_CAT, "absent")


def test_yes_and_no_are_asked_alike_and_are_true():
    rng, said = random.Random(0), {"yes": 0, "no": 0}
    for _ in range(400):
        for kind, question, answer in chat_data.about_scene(RED_CAT, rng):
            if kind == "yes_no":
                said[answer] += 1
                if question.endswith(tuple(f" {colour}?" for colour in COLOURS)):
                    assert (answer == "yes") == question.endswith(" red?")
    assert 0.8 < said["yes"] / said["no"] < 1.25


def test_a_relation_is_told_from_either_side():
    placed = (Placed("cat", "red", 0.5, 0.2, 0.2, 0), Placed("ball", "blue", 0.5, 0.8, 0.2, 1))
    two = scene(Group(1, "red", "cat", "medium"), Group(1, "blue", "ball", "medium"), place="above")
    assert asked(Drawn(two, placed), "relation") == {
        "above the ball",
        "below the cat",
        "a blue ball",
        "a red cat",
    }


def test_nobody_is_asked_where_a_thing_on_an_edge_between_fields_stands():
    edge = Drawn(RED_CAT.scene, (Placed("cat", "red", 0.375, 0.8, 0.2, 0),))
    assert not asked(edge, "where")


def test_answers_about_a_chart_are_true():
    chart, rng = Chart(("red", "blue", "green"), (7, 2, 7)), random.Random(0)
    found = {(k, a) for _ in range(60) for k, _, a in chat_data.about_chart(chart, rng)}
    assert ("table", "red, 7\nblue, 2\ngreen, 7") in found and ("bars", "three") in found
    assert {a for k, a in found if k == "extreme"} == {"blue"}  # no bar is the highest


def test_patches_of_a_sign_name_their_letter():
    picture = chat_data.sign_picture("RIGHT", random.Random(1))
    letters, index = picture.labels[chat_data.ROW["letter"]], picture.labels[chat_data.ROW["index"]]
    assert {(int(k), chat_data.LETTERS[n]) for k, n in zip(index, letters, strict=True) if k >= 0} == {
        (0, "R"), (1, "I"), (2, "G"), (3, "H"), (4, "T")
    }  # fmt: skip


def test_patches_of_a_bar_name_its_value_and_colour():
    picture = chat_data.chart_picture(Chart(("red", "blue", "green"), (10, 1, 5)), random.Random(1))
    rows = [picture.labels[chat_data.ROW[name]] for name in ("colour", "value")]
    named = {(COLOURS[c], int(v)) for c, v in zip(*rows, strict=True) if v >= 0}
    assert named == {("red", 10), ("blue", 1), ("green", 5)}


def test_training_never_shows_what_the_evaluation_asks():
    shard = chat_data.draw_shard(0, share=0.1)
    drawn = [p.truth for p in shard["scene"] + shard["single"]]
    drawn += [p.truth for frames, _ in shard["video"] for p in frames] + [
        one.truth for one, _ in shard["pair"]
    ]
    assert not any(is_held_out(one.scene) for one in drawn)
    assert not any(chat_data.held_word(p.truth) for p in shard["sign"])
    assert not any(chat_data.held_chart(p.truth) for p in shard["chart"])
    rng, fresh = random.Random(0), chat_data.Fresh(True)
    assert all(is_held_out(fresh.single(rng)[1].scene) for _ in range(5))
    assert chat_data.held_word(fresh.sign(rng)[1]) and chat_data.held_chart(fresh.chart(rng)[1])


def test_a_pair_differs_in_one_thing():
    rng = random.Random(3)
    for _ in range(10):
        a, b = (one.truth.scene for one in chat_data.pair(rng, held=False))
        g, h = a.groups[0], b.groups[0]
        assert (g.object != h.object) + (g.colour != h.colour) + (a.background != b.background) == 1


def test_a_name_is_learned_only_where_it_was_told_before():
    talk = chat_data.name_talk(chat_data.Facts(False), random.Random(0), ways=2, shots=2, more=2)
    told = set()
    for turn in talk.turns:
        assert turn.learned == (turn.answer in told)
        told.add(turn.answer)
    assert len(told) == 2 and len(talk.turns) == 7


def test_many_questions_about_one_picture_never_ask_twice_and_have_short_answers():
    rng, words = random.Random(0), chat_data.Facts(False)
    for _ in range(20):
        drill, bars = chat_data.drill_talk(words, rng), chat_data.bars_talk(words, rng)
        assert not {turn.kind for turn in drill.turns} & chat_data.LONG
        for talk in (drill, bars):
            asked = [turn.parts[-1].lower() for turn in talk.turns]
            assert len(set(asked)) == len(asked) >= 3


def test_some_things_are_never_given_another_name():
    class Watched(chat_data.Facts):
        named = set()

        def single(self, rng, **wanted):
            self.named.add(wanted.get("object"))
            return super().single(rng, **wanted)

    rng, source = random.Random(0), Watched(False)
    for _ in range(80):
        chat_train.teach_names(source, rng)
    assert source.named & set(OBJECTS) == set(chat_data.NAMED)
    assert not set(chat_data.NAMED) & set(chat_data.NEVER_NAMED)


# The model
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", dict.fromkeys(MAKERS), ids=lambda make: make.__name__)
def test_ids_are_those_of_the_processor(encoder, make):
    processor, source = chat_model.processor(), chat_data.Fresh(True)
    for seed in range(3):
        talk = make(source, random.Random(seed))
        ids, learned, shown = encoder.talk(talk)
        messages = chats.messages(talk, [turn.answer for turn in talk.turns])
        inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True)
        assert inputs["input_ids"][0] == ids and len(learned) == len(ids)
        assert inputs["pixel_values"].shape[1] == len(shown) == len(talk.pictures)


def test_words_are_tokens_and_signs_are_spelled(encoder):
    assert all(
        len(encoder.ids(f" {word}")) == 1 for word in (*OBJECTS, *COLOURS, "none", "four", "yes", "no")
    )
    assert len(encoder.ids("OPEN")) == 4 and len(encoder.ids("\n\n")) == 1
    text = "Ünïcödé 漢字 🐈 <x> OPEN 10\n\n"
    assert encoder.tokenizer.decode(encoder.ids(text)) == text


@torch.no_grad()
def test_the_lean_way_computes_what_the_class_computes(encoder):
    torch.manual_seed(0)
    whole = chat_model.build(encoder.tokenizer).eval()
    talk = chat_data.compare_talk(chat_data.Fresh(True), random.Random(0))
    messages = chats.messages(talk, [turn.answer for turn in talk.turns])
    inputs = chat_model.processor().apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt"
    )
    logits = whole(**inputs).logits
    seen = chat_model.see(whole.model.vision_model, inputs["pixel_values"][0])
    e = whole.model.text_model.embed_tokens(inputs["input_ids"])
    shown = (inputs["input_ids"] == whole.config.image_token_id)[..., None]
    out = chat_model.read(whole.model.text_model, e.masked_scatter(shown, chat_model.connect(whole, seen)))
    assert torch.allclose(whole.lm_head(out), logits, atol=1e-4)


def test_the_tower_begins_as_that_of_clip(encoder):
    from transformers import CLIPModel

    clip = CLIPModel.from_pretrained(MODELS / "clip", dtype=torch.float32).vision_model.state_dict()
    own = chat_model.build(encoder.tokenizer).model.vision_model.state_dict()
    name = "encoder.layers.4.mlp.fc2.weight"
    assert torch.equal(own[name], clip[name])


TWO = scene(Group(1, "red", "cat", "medium"), Group(1, "blue", "ball", "medium"), place="left")


def cat_and_ball():
    placed = [Placed("cat", "red", 0.25, 0.5, 0.2, 0), Placed("ball", "blue", 0.75, 0.5, 0.2, 1)]
    return chat_data.scene_picture(TWO, random.Random(0), placed)


@torch.no_grad()
def test_a_told_picture_says_what_each_of_its_parts_shows(encoder):
    torch.manual_seed(0)
    everything = chat_train.Everything()
    chat_model.begin(everything.speaker.text, encoder)
    (shown,) = everything.tell(cat_and_ball().labels[None])
    words = everything.speaker.text.embed_tokens.weight[
        [encoder.ids(w)[0] for w in (" cat", " ball", " boat")]
    ]
    cat, ball, boat = (words[:, chat_model.RESERVED :] @ shown[:, chat_model.RESERVED :].T).view(3, 4, 4)
    left, right = (slice(1, 3), slice(0, 2)), (slice(1, 3), slice(2, 4))
    # Less of the other thing: that it is told too is an answer to "what is beside it?".
    assert cat[left].mean() > 0.3 > 0.25 > cat[right].mean() > 0.1
    assert ball[right].mean() > 0.3 > 0.25 > ball[left].mean() > 0.1
    assert boat.abs().max() < 0.3


@torch.no_grad()
def test_a_word_of_the_question_looks_for_its_thing_before_anything_is_learned(encoder):
    torch.manual_seed(0)
    everything = chat_train.Everything()
    text = everything.speaker.text
    chat_model.begin(text, encoder)
    picture = cat_and_ball()
    text.set_attn_implementation("eager")
    looked = {}
    for noun in ("cat", "kitten", "sphere", "boat"):
        turn = chat_data.Turn((0, f"Is there a {noun}?"), "yes", "yes_no")
        ids, _, _ = encoder.talk(chat_data.Talk([picture], [turn]))
        x = torch.tensor([ids])
        at = ids.index(*encoder.ids(f" {noun}"))
        e = text.embed_tokens(x)
        shown = everything.tell(picture.labels[None])
        e = e.masked_scatter((x == everything.speaker.picture)[..., None], shown)
        places = torch.arange(len(ids))[None]
        out = text(inputs_embeds=e, position_ids=places, output_attentions=True)
        seen = out.attentions[0][0, 0, at][x[0] == everything.speaker.picture].view(4, 4)
        looked[noun] = [seen[:, :2].sum().item(), seen[:, 2:].sum().item()]
    for noun, mine, other in (("cat", 0, 1), ("kitten", 0, 1), ("sphere", 1, 0)):
        assert looked[noun][mine] > max(0.2, 2.5 * looked[noun][other]), looked
    assert sum(looked["boat"]) < 0.5 * sum(looked["cat"]), looked  # it looks at the first token instead


def test_a_loss_in_pieces_has_the_gradient_of_the_whole(encoder):
    torch.manual_seed(0)
    speaker = chat_train.Speaker(chat_model.build(encoder.tokenizer), encoder)
    rng, words = random.Random(0), chat_data.Facts(False)
    encoded = [encoder.talk(chat_data.scene_talk(words, rng)) for _ in range(4)]
    gradients = []
    for limit in (10_000, 1):
        speaker.zero_grad()
        with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", enabled=False):
            patch.setattr(chat_train, "autocast", lambda: torch.autocast("cpu", enabled=False))
            patch.setattr(chat_train, "CHUNK", limit)
            chat_train.gathered(speaker, None, encoded)[0].backward()
        gradients.append(speaker.text.layers[0].mlp.up_proj.weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-5)


def test_a_box_weighs_no_more_than_a_few_words():
    weights = chat_train.token_weights([False, True, True, True, True, False, True])
    assert weights == [0, 0.5, 0.5, 0.5, 0.5, 0, 1]


# What it learns from
# ------------------------------------------------------------------------------------------------------------


def test_the_pool_gives_back_what_was_drawn(work):
    drawn, held = chat_data.draw_shard(0), chat_data.Pool(1)
    assert chat_data.Pool(1).index == held.index  # from disk
    place, word = held.index["sign"][1]
    assert word == drawn["sign"][1].truth
    assert np.array_equal(held.pixels_of([place])[0], drawn["sign"][1].pixels)
    (frames, way), (drawn_frames, drawn_way) = held.index["video"][1], drawn["video"][1]
    assert way == drawn_way
    assert np.array_equal(held.labels_of([frames[2][0]])[0], drawn_frames[2].labels)


def test_lessons_about_two_things_and_about_boxes_ask_nothing_else():
    rng, source = random.Random(3), chat_data.Fresh(False)
    for _ in range(20):
        pair = chat_data.pair_talk(source, rng)
        assert {turn.kind for turn in pair.turns} <= {"relation", "describe"} and len(pair.turns) >= 3
    kinds = [turn.kind for _ in range(40) for turn in chat_data.box_talk(source, rng).turns]
    assert kinds.count("box") >= 20


# The evaluation
# ------------------------------------------------------------------------------------------------------------


def test_boxes_are_right_at_half_of_what_they_cover_together():
    assert chats.overlaps("[0, 0, 100, 100]", "[0, 0, 100, 200]")
    assert not chats.overlaps("[0, 0, 100, 90]", "[0, 0, 100, 200]")
    assert not chats.overlaps("there is no cat", "[0, 0, 100, 200]")


def test_chance_is_the_best_constant_answer():
    row = chats.Row(right=chats.near)
    for said, truth in (("1", "1"), ("x", "2"), ("9", "3"), ("9", "9")):
        row.add(said, truth)
    assert row.hits == [True, False, False, True] and row.chance() == 0.75


def test_every_kind_of_question_gets_its_row():
    class Wise(chats.Chat):
        """Knows every answer."""

        def __init__(self):
            pass

        def last(self, some):
            return [talk.turns[-1].answer for talk in some]

        walk = last

    rows = chats.measure(Wise(), 3, lambda pictures: ["a cat"] * len(pictures))
    assert rows.pop("captioner").hits == [False] * 3
    assert all(all(row.hits) for row in rows.values())
    assert set(chats.LEAST) <= set(rows) and {*rows, "captioner"} == set(chats.NAMES)
    assert all(len(row.hits) >= 3 for name, row in rows.items() if name != "follow")
