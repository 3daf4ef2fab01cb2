"""Answers that are written together: each has the tokens that it has alone, whoever comes and goes."""

import random
from collections.abc import Callable

import pytest
import torch

from tests.vision.chat import mixes, shapes
from tests.vision.chat.mixes import Asked, Mix, alone, reply_to
from vision.chat.decoder import PIECE, Decoder, Kept, KeptCaches, Reply, piece_end
from vision.chat.prompt import Picture, Place, Prompt
from vision.chat.talker import Talker
from vision.protocol import Talk, Turn

Talkers = Callable[[str], Talker]
QUESTIONS = (
    Talk((Turn("user", "what is on the table", ("p0",), "a"),)),
    Talk((Turn("user", "why", (), "b"),)),
    Talk((Turn("user", "which of two boats is red", ("p1", "p2"), "c"),)),
    Talk((Turn("user", "show me more of the cat", ("p3",), "d"),)),
)


def write(talker: Talker, *replies: Reply) -> None:
    for reply in replies:
        talker.decoder.add(reply)
    while talker.decoder.is_busy:
        talker.decoder.write_on()


def answered(talker: Talker, talk: Talk, max_tokens: int = 10, **more) -> Reply:
    reply = reply_to(talker, talk, max_tokens)
    for name, value in more.items():
        setattr(reply, name, value)
    write(talker, reply)
    return reply


@pytest.mark.parametrize("name", shapes.JOINED)
def test_answers_written_together_are_those_of_each_alone(talker_of: Talkers, name: str) -> None:
    talker = talker_of(name)
    assert talker.model.joins
    answers, wrong = mixes.mixes(talker, 0, people=4)
    assert answers > 4
    assert wrong == 0
    assert len(talker.decoder.kept) > 4


def test_many_answers_need_few_calls(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    mix = Mix(talker.decoder, [Asked(talk, reply_to(talker, talk, 12), 0) for talk in QUESTIONS])
    mix.run()
    assert sum(len(asked.reply.tokens) for asked in mix.asked) == 4 * 12
    assert mix.slices < 4 + 12 + 8  # a prompt each, tokens together


@pytest.mark.parametrize("name", shapes.JOINED)
def test_the_next_turn_reads_only_what_is_new(talker_of: Talkers, name: str) -> None:
    talker = talker_of(name)
    first = answered(talker, QUESTIONS[2])
    assert first.cached == 0
    said = Turn("assistant", talker.model.text(first.tokens), (), "c")
    more = Talk((*QUESTIONS[2].turns, said, Turn("user", "and this", ("p4",), "e")))
    answered(talker, QUESTIONS[0])  # somebody else, with another picture, in between
    second = answered(talker, more)
    assert second.cached >= (first.prompt.settled or len(first.prompt.ids))
    assert second.tokens == alone(talker, more, 10)


def test_a_picture_that_is_known_is_not_opened_again(talker_of: Talkers) -> None:
    talker, opened = talker_of("qwen3-vl"), []
    image = mixes.PICTURES["p0"].open()
    picture = Picture("p", image.size, lambda: opened.append(1) or image)
    talk = Talk((Turn("user", "what", ("p",), "a"),))
    write(talker, Reply(talker.model.prompts.make(talk, {"p": picture}, 4096), 4, "a"))
    before = len(opened)
    assert before in (1, 2)  # once more if a picture of that size was seen before
    more = Talk((*talk.turns, Turn("assistant", "a cat", (), "a"), Turn("user", "where", (), "b")))
    write(talker, Reply(talker.model.prompts.make(more, {"p": picture}, 4096), 4, "b", ("a",)))
    assert len(opened) == before


@pytest.mark.parametrize("name", ["qwen3-vl", "qwen3.5"])
def test_a_conversation_branches_at_any_turn(talker_of: Talkers, name: str) -> None:
    talker = talker_of(name)
    first = answered(talker, QUESTIONS[0])
    said = Turn("assistant", talker.model.text(first.tokens), (), "a")
    for words in ("left of what", "why not"):
        branch = Talk((*QUESTIONS[0].turns, said, Turn("user", words, (), words)))
        reply = answered(talker, branch)
        assert reply.cached >= (first.prompt.settled or len(first.prompt.ids))
        assert reply.tokens == alone(talker, branch, 10)


def test_another_picture_in_the_same_place_is_read_anew(talker_of: Talkers) -> None:
    talker = talker_of("llava")  # whose pictures all have the same tokens
    answered(talker, Talk((Turn("user", "what", ("p0",), "a"),)))
    other = Talk((Turn("user", "what", ("p1",), "b"),))
    reply = reply_to(talker, other, 10)
    reply.known = ("a",)
    write(talker, reply)
    assert reply.cached == reply.prompt.places[0].begin
    assert reply.tokens == alone(talker, other, 10)


def test_a_stopped_answer_keeps_what_it_has_and_changes_no_other(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    asked = [Asked(talk, reply_to(talker, talk, 16), i) for i, talk in enumerate(QUESTIONS)]
    asked[1].stop_at = 5
    Mix(talker.decoder, asked).run()
    assert asked[1].reply.ended == "stopped"
    assert 5 <= len(asked[1].reply.tokens) <= 6
    assert list(mixes.differing(talker, asked)) == []
    assert "b" in talker.decoder.kept


def test_an_answer_that_is_stopped_while_it_waits_is_never_begun(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    replies = [reply_to(talker, talk, 6) for talk in QUESTIONS]
    for reply in replies:
        talker.decoder.add(reply)
    talker.decoder.write_on()
    talker.decoder.stop(replies[2])
    while talker.decoder.is_busy:
        talker.decoder.write_on()
    assert [len(reply.tokens) for reply in replies] == [6, 6, 0, 6]


def test_no_more_rows_than_there_is_room_for(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    talker.decoder = Decoder(talker.model, talker.decoder.kept, max_rows=2)
    asked = [Asked(talk, reply_to(talker, talk, 8), 0) for talk in QUESTIONS]
    Mix(talker.decoder, asked).run()
    assert list(mixes.differing(talker, asked)) == []


@pytest.mark.parametrize("name", ["qwen3-vl", "qwen3.5"])  # whose states can't be taken back
def test_out_of_memory_the_youngest_answer_waits_and_says_the_same(
    talker_of: Talkers, monkeypatch, caplog, name: str
) -> None:
    talker, refused = talker_of(name), list[int]()
    layer = talker.model.model.model.language_model.layers[-1]
    plain = layer.forward

    def forward(hidden, *rest, **more):  # the layers before it have the new token in the cache by then
        if len(hidden) > 2:
            refused.append(len(hidden))
            raise torch.OutOfMemoryError("out of memory")
        return plain(hidden, *rest, **more)

    monkeypatch.setattr(layer, "forward", forward)
    asked = [Asked(talk, reply_to(talker, talk, 12), 3 * i) for i, talk in enumerate(QUESTIONS)]
    Mix(talker.decoder, asked).run()
    assert 1 <= len(refused) <= 3  # it isn't tried again and again
    reasons = [record.args[1] for record in caplog.records if record.name == "vision.chat.decoder"]
    assert all(isinstance(reason, torch.OutOfMemoryError) for reason in reasons)
    assert list(mixes.differing(talker, asked)) == []
    assert [asked.reply.answer("").tokens_in for asked in asked] == [
        len(mixes.prompt_of(talker, talk).ids) for talk in QUESTIONS
    ]


def test_an_error_costs_only_the_answer_that_has_it(talker_of: Talkers, monkeypatch) -> None:
    talker = talker_of("smolvlm")
    asked = [Asked(talk, reply_to(talker, talk, 8), 0) for talk in QUESTIONS]
    longest = len(asked[2].reply.prompt.ids) + 4  # no other comes that far
    plain = talker.model.write

    def fail(tokens, lengths, *rest):
        if max(lengths) >= longest:
            raise RuntimeError("broken")
        return plain(tokens, lengths, *rest)

    monkeypatch.setattr(talker.model, "write", fail)
    Mix(talker.decoder, asked).run()
    assert [type(one.reply.error) for one in asked] == [type(None), type(None), RuntimeError, type(None)]
    assert list(mixes.differing(talker, asked)) == [asked[2]]


def test_a_seed_says_the_same_whoever_is_answered_beside_it(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    sampled = [answered(talker, QUESTIONS[0], temperature=1.5, seed=seed).tokens for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1] != sampled[2]
    beside = reply_to(talker, QUESTIONS[0], 10)
    beside.temperature, beside.seed = 1.5, 2
    write(talker, reply_to(talker, QUESTIONS[1], 10), beside, reply_to(talker, QUESTIONS[2], 10))
    assert beside.tokens == sampled[2]


def test_words_are_sampled_from_those_that_the_models_files_allow(talker_of: Talkers) -> None:
    """Of one token, or of so few that one alone is left, whatever the temperature."""
    talker = talker_of("smolvlm")
    greedy = answered(talker, QUESTIONS[0]).tokens
    assert answered(talker, QUESTIONS[0], temperature=1.5).tokens != greedy
    assert answered(talker, QUESTIONS[0], temperature=1.5, top_k=1).tokens == greedy
    assert answered(talker, QUESTIONS[0], temperature=1.5, top_p=1e-6).tokens == greedy


def test_what_is_kept_has_a_limit_and_the_least_recently_used_goes_first() -> None:
    def kept(*ids: int) -> Kept:
        states = torch.zeros(1, 1, 4, 8)  # 128 bytes, and as many of values
        return Kept(ids, (), [(states, states)])

    caches = KeptCaches(3 * 256)
    for number, job in enumerate("abc"):
        caches.keep(job, kept(1, 2, number + 3, 9))
    assert caches.best(Prompt([1, 2, 3, 4]), ["a", "b"])[0] == 3
    caches.keep("d", kept(7, 8, 9, 9))
    assert [job in caches for job in "abcd"] == [True, False, True, True]
    caches.keep("d", kept(7, 8, 9, 9))  # the same again
    assert (len(caches), caches.currsize) == (3, 768)
    caches.forget(["c", "unknown"])
    assert (len(caches), caches.currsize) == (2, 512)
    caches.keep("large", Kept((1,), (), [(torch.zeros(1000), torch.zeros(1000))]))
    assert "large" not in caches
    caches.clear()
    assert (len(caches), caches.currsize) == (0, 0)


def test_of_a_question_that_was_asked_before_one_token_is_left_to_read(talker_of: Talkers) -> None:
    states = torch.zeros(1, 1, 4, 8)
    assert Kept((1, 2, 3, 4), (), [(states, states)]).common(Prompt([1, 2, 3, 4])) == 3
    talker = talker_of("smolvlm")
    first = answered(talker, QUESTIONS[0])
    again = reply_to(talker, QUESTIONS[0], 10)
    again.known = ("a",)
    write(talker, again)
    assert again.tokens == first.tokens and again.cached == len(again.prompt.ids) - 1


def test_what_is_forgotten_is_read_from_the_beginning(talker_of: Talkers) -> None:
    for forget in (lambda talker: talker.forget(["a"]), Talker.make_room):
        talker = talker_of("smolvlm")
        answered(talker, QUESTIONS[0])
        forget(talker)
        again = reply_to(talker, QUESTIONS[0], 10)
        again.known = ("a",)
        write(talker, again)
        assert again.cached == 0


def test_a_turn_that_is_forgotten_takes_along_what_went_on_from_it(talker_of: Talkers) -> None:
    talker = talker_of("smolvlm")
    answered(talker, QUESTIONS[0])
    answered(talker, QUESTIONS[1])
    more = Talk((*QUESTIONS[0].turns, Turn("assistant", "x", (), "a"), Turn("user", "why", (), "next")))
    answered(talker, more)
    talker.forget(["a"])
    assert [job in talker.decoder.kept for job in ("a", "b", "next")] == [False, True, False]
    under_way = reply_to(talker, QUESTIONS[3], 6)
    talker.decoder.add(under_way)
    talker.decoder.write_on()
    talker.forget(["d"])
    write(talker)
    assert len(under_way.tokens) == 6
    assert "d" not in talker.decoder.kept


def test_states_are_kept_where_later_turns_begin_alike(talker_of: Talkers) -> None:
    """What is kept of layers with a state can't be cut, so that it is from before the answer."""
    talker = talker_of("qwen3.5")
    first = answered(talker, QUESTIONS[0])
    kept, prompt = talker.decoder.kept["a"], first.prompt
    text = talker.model.tokenizer.decode(prompt.ids[: prompt.settled])
    assert text.endswith("table<|im_end|>\n") and kept.settled == prompt.settled < len(prompt.ids)
    assert len(kept.states) == 3 and kept.layers[0][0].shape[2] == len(kept.ids)
    assert kept.bytes == sum(one.numel() * 4 for held in (*kept.layers, *kept.states) for one in held)
    other = Talk((Turn("user", "what is on the mat", ("p0",), "b"),))  # the same picture, other words
    reply = reply_to(talker, other, 10)
    reply.known = ("a",)
    write(talker, reply)
    assert reply.cached == 0 and reply.tokens == alone(talker, other, 10)


def test_a_long_prompt_is_read_in_pieces_with_one_picture_each() -> None:
    picture = Picture("p", (8, 8), lambda: None)
    places = (Place(10, 700, picture), Place(702, 720, picture), Place(1400, 1410, picture))
    prompt, ends = Prompt([0] * 1500, places), [0]
    while ends[-1] < 1500:
        ends.append(piece_end(prompt, ends[-1]))
    assert ends == [0, 700, 700 + PIECE, 1500]
    close = Prompt([0] * 100, (Place(10, 20, picture), Place(30, 40, picture)))
    assert (piece_end(close, 0), piece_end(close, 30)) == (30, 100)


def test_long_prompts_say_the_same_in_pieces(talker_of: Talkers, monkeypatch) -> None:
    monkeypatch.setattr("vision.chat.decoder.PIECE", 24)
    for name in shapes.JOINED:
        talker = talker_of(name)
        talk = Talk((Turn("user", mixes.words(random.Random(0), 40), ("p0", "p1", "p2"), "a"),))
        assert answered(talker, talk).tokens == alone(talker, talk, 10)
