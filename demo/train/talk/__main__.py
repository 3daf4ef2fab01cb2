"""`python -m demo.train.talk <stage>`: what the studio learns of how people talk to it.

words: write `studio/talk/words.json`. train: write `studio/talk/kinds.bin`; half a minute of a core. check:
leave one writer after the other out. measure FILE …: how right `decide` is on conversations of others.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections import Counter
from pathlib import Path

import torch

from core.talk import KINDS, MAKES, NEEDS_PICTURE, Decision, State
from demo import world
from demo.train.talk import corpora
from studio import talk
from studio.talk.classifier import Weights, features, key, pack, situation
from studio.talk.words import plain, read_words

TARGET = Path(talk.__file__).parent
PENALTY = 3e-4  # of the squares of the weights, beside the mean loss of a sentence
TEACHER_WEIGHT = 0.6  # of a sentence of the teacher's, whose kinds are less alike in number than in talk
SEEN = 2  # sentences that a feature is in, at least
MOST = 11_000  # features that are kept, those that say most
Sample = tuple[corpora.Turn, State, set[str]]


def write_words() -> None:
    """Write the words with their classes: the demo's, everyday ones, and those that writers share."""
    listed = json.loads((corpora.HERE / "vocabulary.json").read_text("utf-8"))
    moves = listed.pop("moves").split()
    same = {
        form: name
        for table in (world.OBJECT_WORDS, world.COLOUR_WORDS)
        for name, forms in table.items()
        for form in forms
        if " " not in form and form != name
    }
    demo = {"thing": world.OBJECT_WORDS, "colour": world.COLOUR_WORDS, "style": world.STYLE_WORDS}
    kinds: dict[str, set[str]] = {}
    for kind, table in demo.items():
        kinds[kind] = {form for forms in table.values() for form in forms if form and " " not in form}
    kinds["scene"] = set(world.PLACES)
    taken = set().union(*kinds.values())
    for kind, words in listed.items():
        new = set(words.split()) - taken
        kinds[kind] = kinds.get(kind, set()) | new
        taken |= new
    count: Counter[str] = Counter()
    writers: Counter[str] = Counter()
    for name, dialogues in corpora.read_writers().items():
        turns = [turn for one in dialogues for turn in (*one["turns"], *one.get("instead", ()))]
        seen = Counter(
            word
            for turn in turns
            if name != corpora.TEACHER or turn["kind"] != "unclear"
            for word in set(re.findall(r"[a-z]+(?:['-][a-z]+)*", plain(turn["say"])))
        )
        count.update({word: min(times, 3) for word, times in seen.items()})
        writers.update(seen.keys() if name != corpora.TEACHER else ())
    common = sorted(word for word in count if count[word] >= 4 and writers[word] >= 2 and len(word) > 2)
    stored = {
        "kinds": {kind: " ".join(sorted(words)) for kind, words in kinds.items()},
        "moves": " ".join(moves),
        "common": " ".join(common),
        "same": same,
    }
    (TARGET / "words.json").write_text(json.dumps(stored, indent=0) + "\n")


def read_samples(dialogues: list[dict[str, list[corpora.Turn]]]) -> list[Sample]:
    """Return each turn with its state and its features."""
    found = []
    for dialogue in dialogues:
        for turn, state in corpora.with_states(dialogue):
            text = plain(turn["say"])
            found.append((turn, state, features(read_words(text), situation(text, state))))
    return found


def learn(samples: list[Sample], weights: list[float]) -> Weights:
    """Fit a logistic regression of the kinds; keep the features that say most, in 8 bits."""
    count = Counter(feature for _, _, found in samples for feature in found)
    index = {name: at for at, name in enumerate(sorted(name for name, n in count.items() if n >= SEEN))}
    rows = [[index[name] for name in sorted(found) if name in index] for _, _, found in samples]
    flat = torch.tensor([at for row in rows for at in row])
    starts = torch.tensor([0, *[len(row) for row in rows[:-1]]]).cumsum(0)
    kinds = torch.tensor([KINDS.index(turn["kind"]) for turn, _, _ in samples])
    share = torch.tensor(weights) / sum(weights)
    table = torch.zeros(len(index), len(KINDS), requires_grad=True)
    bias = torch.zeros(len(KINDS), requires_grad=True)
    search = torch.optim.LBFGS([table, bias], max_iter=80, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        found = torch.nn.functional.embedding_bag(flat, table, starts, mode="sum") + bias
        wrong = torch.nn.functional.cross_entropy(found, kinds, reduction="none")
        total = (wrong * share).sum() + PENALTY / 2 * table.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)
    told = table.detach()
    step = float(torch.cat([told.flatten(), bias.detach()]).abs().max() / 127)
    kept = told.abs().amax(1).argsort(descending=True)[:MOST].tolist()
    names = list(index)
    rounded = (told / step).round().int().tolist()
    stored = {key(names[at]): tuple(rounded[at]) for at in kept if any(rounded[at])}
    return Weights(stored, step, tuple((bias.detach() / step).round().int().tolist()))


def learn_from(writers: dict[str, list[dict[str, list[corpora.Turn]]]]) -> Weights:
    """Learn from some of the writers."""
    samples: list[Sample] = []
    weights: list[float] = []
    for name, dialogues in sorted(writers.items()):
        found = read_samples(dialogues)
        samples += found
        weights += [TEACHER_WEIGHT if name == corpora.TEACHER else 1.0] * len(found)
    return learn(samples, weights)


def learn_all() -> Weights:
    """Learn from all writers."""
    return learn_from(corpora.read_writers())._replace(learned_from=corpora.digest())


def is_right(turn: corpora.Turn, kind: str) -> bool:
    """Whether a kind is the true one, or one that is as right."""
    return kind == turn["kind"] or kind in turn.get("also", ())


def is_wrong_job(turn: corpora.Turn, kind: str) -> bool:
    """Whether a job of another kind would be started."""
    return kind in (*MAKES, "ask") and not is_right(turn, kind)


def told(part: int, whole: int) -> str:
    """Return a share with its interval of 95 % (Wilson)."""
    if not whole:
        return "none"
    z, p = 1.96, part / whole
    centre = (p + z * z / 2 / whole) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / 4 / whole / whole) / (1 + z * z / whole)
    return f"{part} of {whole}, {100 * p:.1f} % ({100 * (centre - half):.1f}-{100 * (centre + half):.1f})"


def check(show: str = "") -> None:
    """Leave one writer after the other out, and say how right the others' words make it."""
    writers = corpora.read_writers()
    right = wrong = asked = whole = 0
    for left_out in sorted(set(writers) - {corpora.TEACHER}):
        learned = learn_from({name: found for name, found in writers.items() if name != left_out})
        kinds = []
        for dialogue in writers[left_out]:
            for turn, state in corpora.with_states(dialogue):
                kinds.append((turn, talk.decide(turn["say"], state, learned)))
        got = sum(is_right(turn, found.kind) for turn, found in kinds)
        bad = sum(is_wrong_job(turn, found.kind) for turn, found in kinds)
        print(
            f"writer {left_out}: kind {told(got, len(kinds))}, wrong job {told(bad, len(kinds))}", flush=True
        )
        for turn, found in kinds:
            if left_out in show and not is_right(turn, found.kind):
                print(f"  {turn['kind']} | {found.kind} | {found.sure} | {turn['say']}")
        right, wrong, whole = right + got, wrong + bad, whole + len(kinds)
        asked += sum(found.kind == "unclear" != turn["kind"] for turn, found in kinds)
    print(f"all: kind {told(right, whole)}, wrong job {told(wrong, whole)}, asked back {told(asked, whole)}")


def is_cut_right(turn: corpora.Turn, found: Decision) -> bool:
    """Whether a change is cut into as many parts as it has, each with most of the words of its own."""

    def stems(text: str) -> set[str]:
        little = ("the", "a", "it", "and", "on", "of", "in", "to")
        return {word.text[:5] for word in read_words(plain(text)) if word.text[0].isalnum()} - set(little)

    if len(found.changes) != len(turn["parts"]):
        return False
    said = stems(turn["say"])
    for true, part in zip(turn["parts"], found.changes, strict=True):
        own = stems(true) & said
        if len(turn["parts"]) > 1 and own and len(own & stems(part)) < 0.6 * len(own):
            return False
    return True


def measure(paths: list[Path]) -> None:
    """Say how right ``decide`` is on files of conversations or single sentences."""
    for name, chosen in [*[(path.stem, [path]) for path in paths], ("all", paths)]:
        turns = [
            (turn, state)
            for path in chosen
            for dialogue in corpora.read_dialogues(path)
            for turn, state in corpora.with_states(dialogue)
        ]
        seconds = []
        found = []
        for turn, state in turns:
            begin = time.thread_time()
            found.append((turn, state, talk.decide(turn["say"], state)))
            seconds.append(time.thread_time() - begin)
        whole = len(found)
        kinds = sum(is_right(turn, got.kind) for turn, _, got in found)
        jobs = sum(is_wrong_job(turn, got.kind) for turn, _, got in found)
        back = sum(got.kind == "unclear" and not is_right(turn, "unclear") for turn, _, got in found)
        edits = sum(is_right(turn, "draw" if state.shown is None else "change") for turn, state in turns)
        named = [
            (turn["about"], (got.about or (state.shown,))[0])
            for turn, state, got in found
            if got.kind == turn["kind"] and "about" in turn and got.kind in NEEDS_PICTURE
        ]
        picked = [(turn["index"], got.index) for turn, _, got in found if got.kind == turn["kind"] == "pick"]
        aims = [*named, *picked]
        changes = [
            (turn, got)
            for turn, _, got in found
            if turn["kind"] == got.kind == "change" and turn.get("parts")
        ]
        two = [is_cut_right(turn, got) for turn, got in changes if len(turn["parts"]) > 1]
        one = [is_cut_right(turn, got) for turn, got in changes if len(turn["parts"]) == 1]
        seconds.sort()
        print(
            f"{name}: kind {told(kinds, whole)}; wrong job {told(jobs, whole)};"
            f" asked back {told(back, whole)}"
        )
        print(f"  always draw, then always change: {told(edits, whole)}")
        print(f"  target {told(sum(a == b for a, b in aims), len(aims))}")
        print(f"  two changes cut {told(sum(two), len(two))}; one left whole {told(sum(one), len(one))}")
        p50, p99 = seconds[whole // 2], seconds[int(whole * 0.99)]
        times = f"p50 {1000 * p50:.2f}, p99 {1000 * p99:.2f}, most {1000 * seconds[-1]:.2f}"
        print(f"  ms of a processor a turn: {times}")
    mixed = Counter((turn["kind"], got.kind) for turn, _, got in found if not is_right(turn, got.kind))
    print("true, decided:", ", ".join(f"{a} {b} {n}" for (a, b), n in mixed.most_common(12)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.train.talk", description=__doc__)
    parser.add_argument("stage", choices=("words", "train", "check", "measure"))
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--show", default="", help="numbers of the writers whose mistakes are told")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.stage == "words":
        write_words()
    elif given.stage == "train":
        (TARGET / "kinds.bin").write_bytes(pack(learn_all()))
    elif given.stage == "check":
        check(given.show)
    else:
        measure(given.files)


if __name__ == "__main__":
    main()
