"""`python -m demo.train.talk <stage>`: what the studio learns of how people talk to it.

words: write `studio/talk/words.json`. train: write `studio/talk/kinds.bin` and `cuts.bin`; five minutes of
a core. check: learn without the writers of ``UNREAD``, and say how right that is on them. measure FILE …: how
right `decide` is on conversations of others.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from itertools import pairwise
from pathlib import Path

import torch

from core.talk import KINDS, MAKES, NEEDS_PICTURE, Decision
from demo import world
from demo.train.talk import corpora, patterns
from demo.train.talk.copies import copies
from demo.train.talk.cuts import cuts_of, is_cut_right
from studio import talk
from studio.talk import rules
from studio.talk.classifier import ZERO, Weights, features, key, pack, situation
from studio.talk.cuts import cut_changes
from studio.talk.words import plain, read_words

TARGET = Path(talk.__file__).parent
PENALTY = 3e-4  # of the squares of the weights of a regression, beside the mean loss of a sentence
TEACHER_WEIGHT = 0.6  # of a sentence of the teacher's, whose kinds are less alike in number than in talk
UNREAD = ("12", "15", "17", "20")  # writers whose sentences nobody has read who wrote any rule
SEEN = 3  # sentences that a feature is in, at least
MOST_OF_KINDS, MOST_OF_CUTS = 15_000, 4_000  # features that are kept, those that say most
OF_PATTERNS_WEIGHT = 0.17  # of a sentence that is made by a pattern
COPIES_WEIGHT = 0.3  # of a copy of a sentence
PATTERNS_WEIGHT = 0.7  # of a sentence that the patterns of cuts were written from
NETS, WIDTH = 3, 20  # networks that are averaged, and the numbers of a row of each
ROUNDS, BATCH, RATE = 12, 128, 5e-3
CALIBRATED = 0.7  # of what the answers say: so much makes the chances true on the unread writers
DROPPED, DROPPED_INSIDE = 0.3, 0.5  # of the features of a sentence, and of the numbers of their sum


def write_words() -> None:
    """Write the words with their classes: the demo's, everyday ones, and those that writers share."""
    listed = json.loads((corpora.HERE / "vocabulary.json").read_text("utf-8"))
    moves, spoken = listed.pop("moves").split(), listed.pop("spoken")
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
        turns = [
            turn for one in dialogues for kept in ("turns", "instead", "single") for turn in one.get(kept, ())
        ]
        seen = Counter(
            word
            for turn in turns
            if turn["kind"] != "unclear"
            or (name != corpora.TEACHER and "also" not in turn)  # other languages
            for word in set(re.findall(r"[a-z]+(?:['-][a-z]+)*", plain(turn["say"])))
        )
        count.update({word: min(times, 3) for word, times in seen.items()})
        writers.update(seen.keys() if name != corpora.TEACHER else ())
    shared = {word for word in count if count[word] >= 4 and writers[word] >= 2 and len(word) > 2}
    common = sorted(shared | patterns.words())
    stored = {
        "kinds": {kind: " ".join(sorted(words)) for kind, words in kinds.items()},
        "moves": " ".join(moves),
        "common": " ".join(common),
        "same": same,
        "spoken": spoken,
    }
    (TARGET / "words.json").write_text(json.dumps(stored, indent=0) + "\n")


def read_samples(dialogues: list[dict[str, list[corpora.Turn]]]) -> Iterator[tuple[corpora.Turn, set[str]]]:
    """Give each turn with its features."""
    for dialogue in dialogues:
        for turn, state in corpora.with_states(dialogue):
            text = plain(turn["say"])
            yield turn, features(read_words(text), situation(text, state))


def bags(samples: Sequence[Set[str]], index: dict[str, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features of all samples in one row, and where each sample begins."""
    rows = [[index[name] for name in sorted(found) if name in index] for found in samples]
    starts = torch.tensor([0, *[len(row) for row in rows[:-1]]]).cumsum(0)
    return torch.tensor([at for row in rows for at in row]), starts


def regress(
    samples: Sequence[Set[str]], truth: torch.Tensor, share: torch.Tensor, most: int, rounds: int = 40
) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Fit a logistic regression; return the features that say most, what each says to each answer, and what
    is always said."""
    count = Counter(feature for found in samples for feature in found)
    names = sorted(name for name, n in count.items() if n >= SEEN)
    flat, starts = bags(samples, {name: at for at, name in enumerate(names)})
    table = torch.zeros(len(names), int(truth.max()) + 1, requires_grad=True)
    bias = torch.zeros(table.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([table, bias], max_iter=rounds, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        found = torch.nn.functional.embedding_bag(flat, table, starts, mode="sum") + bias
        wrong = torch.nn.functional.cross_entropy(found, truth, reduction="none")
        total = (wrong * share).sum() + PENALTY / 2 * table.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)
    kept = table.detach().abs().amax(1).argsort(descending=True)[:most]
    return [names[at] for at in kept.tolist()], table.detach()[kept], bias.detach()


def _of(flat: torch.Tensor, begins: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features of some samples in one row, and to which of them each belongs."""
    counts = begins[chosen + 1] - begins[chosen]
    owner = torch.repeat_interleave(torch.arange(len(chosen)), counts)
    return flat[torch.arange(len(owner)) + (begins[chosen] - counts.cumsum(0) + counts)[owner]], owner


def fit(
    rows: list[torch.Tensor], truth: torch.Tensor, share: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fit the networks beside each other; return their tables, the rows that are always there, and what the
    mean of their answers is made of, with its bias last."""
    chance = torch.Generator().manual_seed(0)
    count, width = int(truth.max()) + 1, NETS * WIDTH
    table = (torch.randn(MOST_OF_KINDS, width, generator=chance) * 0.05).requires_grad_()
    first = torch.zeros(width, requires_grad=True)
    answers = ((torch.rand(NETS, count, WIDTH, generator=chance) - 0.5) * 0.4).requires_grad_()
    bias = torch.zeros(NETS, count, requires_grad=True)
    search = torch.optim.Adam([table, first, answers, bias], lr=RATE, fused=True)
    flat, begins = torch.cat(rows), torch.tensor([0, *map(len, rows)]).cumsum(0)
    for at in range(ROUNDS):
        order = torch.randperm(len(rows), generator=chance)
        for n, batch in enumerate(order.split(BATCH)):
            search.param_groups[0]["lr"] = RATE * (1 - (at + n * BATCH / len(rows)) / ROUNDS)
            here, owner = _of(flat, begins, batch)
            is_kept = torch.rand(len(here), generator=chance) > DROPPED
            counts = torch.bincount(owner[is_kept], minlength=len(batch))
            found = torch.nn.functional.embedding_bag(
                here[is_kept], table, counts.cumsum(0) - counts, mode="sum"
            )
            inside = torch.tanh(found / (1 - DROPPED) + first)
            is_kept = torch.rand(inside.shape, generator=chance) > DROPPED_INSIDE
            inside = (inside * is_kept / (1 - DROPPED_INSIDE)).view(-1, NETS, WIDTH)
            said = torch.einsum("bnw,nkw->bkn", inside, answers) + bias.T
            wrong = torch.nn.functional.cross_entropy(
                said, truth[batch, None].expand(-1, NETS), reduction="none"
            )
            loss = (wrong.sum(1) * share[batch]).sum() / share[batch].sum()
            search.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            search.step()
    says = answers.detach().permute(1, 0, 2).flatten(1)
    return table.detach(), first.detach(), torch.cat([says, bias.detach().sum(0)[:, None]], 1) / NETS


def in_steps(values: torch.Tensor) -> tuple[float, list[list[int]]]:
    """Return numbers in 8 bits, and what a step is worth; the few largest are cut."""
    step = float(values.abs().flatten().quantile(0.9999)) / 127
    return step, (values / step).round().clamp(-127, 127).int().tolist()


def stored(names: Sequence[str], rows: list[list[int]]) -> tuple[array[int], bytes]:
    """Return the keys of features and their rows as they are stored, those that say nothing left out."""
    found = {key(name): row for name, row in zip(names, rows, strict=True) if any(row)}
    keys = array("I", sorted(found))
    return keys, bytes(value + ZERO for one in keys for value in found[one])


def learn_kinds(writers: dict[str, list[dict[str, list[corpora.Turn]]]]) -> Weights:
    """Learn the kinds of sentences from some of the writers: networks that are put beside each other."""
    samples: list[Set[str]] = []
    answers: list[int] = []
    weights: list[float] = []
    for name, dialogues in sorted(writers.items()):
        for turn, found in read_samples(dialogues):
            samples.append(found)
            answers.append(KINDS.index(turn["kind"]))
            weights.append(TEACHER_WEIGHT if name == corpora.TEACHER else 1.0)
    others = [
        one
        for name, dialogues in sorted(writers.items())
        if name != corpora.TEACHER
        for one in copies(dialogues)
    ]
    for made, weight in ((patterns.sentences(), OF_PATTERNS_WEIGHT), (others, COPIES_WEIGHT)):
        for turn, state in made:
            text = plain(turn["say"])
            samples.append(features(read_words(text), situation(text, state)))
            answers.append(KINDS.index(turn["kind"]))
            weights.append(weight)
    truth, share = torch.tensor(answers), torch.tensor(weights) / sum(weights)
    names, _, _ = regress(samples, truth, share, MOST_OF_KINDS, rounds=10)
    index = {name: at for at, name in enumerate(names)}
    rows = [torch.tensor([index[n] for n in sorted(found) if n in index]).long() for found in samples]
    table, always, says = fit(rows, truth, share)
    step, (first, *others) = in_steps(torch.cat([always[None], table]))
    answer_step, said = in_steps(says)
    return Weights(
        *stored(names, others),
        bytes(value + ZERO for value in first),
        step,
        tuple(map(tuple, said)),
        answer_step * CALIBRATED,
    )


def learn_cuts(writers: dict[str, list[dict[str, list[corpora.Turn]]]]) -> Weights:
    """Learn where sentences are cut from some of the writers."""
    found = [
        one
        for name, dialogues in sorted(writers.items())
        for one in cuts_of(dialogues, PATTERNS_WEIGHT if int(name) in corpora.OF_PATTERNS else 1.0)
    ]
    share = torch.tensor([weight for _, _, weight in found])
    names, table, bias = regress(
        [names for names, _, _ in found],
        torch.tensor([int(cut) for _, cut, _ in found]),
        share / share.sum(),
        MOST_OF_CUTS,
    )
    step, (first, *others) = in_steps(torch.cat([bias[None], table]))
    return Weights(*stored(names, others), bytes(value + ZERO for value in first), step, (), 0.0)


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


def check() -> None:
    """Learn without the unread writers, and say how right that is on them, for several prices of a job that
    isn't meant."""
    writers = corpora.read_writers()
    read = {name: found for name, found in writers.items() if name not in UNREAD}
    learned, cuts = learn_kinds(read), learn_cuts(read)
    changes = [
        (turn, rules.without_closely(turn["say"])[0])
        for one in UNREAD
        for dialogue in writers[one]
        for turn, _ in corpora.with_states(dialogue)
        if turn["kind"] == "change"
    ]
    for count, name in ((1, "one left whole"), (2, "two or more cut")):
        part = [
            is_cut_right(turn, Decision(kind="change", changes=cut_changes(said, cuts)))
            for turn, said in changes
            if min(len(turn["parts"]), 2) == count
        ]
        print(f"{name} {told(sum(part), len(part))}")
    for price in (1, 1.5, 2, 3, 4, 5, 8):
        for name in (*UNREAD, "all"):
            found = [
                (turn, talk.decide(turn["say"], state, learned, price))
                for one in (UNREAD if name == "all" else (name,))
                for dialogue in writers[one]
                for turn, state in corpora.with_states(dialogue)
            ]
            if name != "all" and price != talk.WRONG_JOB:
                continue
            print(f"price {price}, writer {name}: {told_kinds(found)}", flush=True)
    edges = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.01)
    for low, high in pairwise(edges):
        part = [one for one in found if low <= one[1].sure < high and one[1].kind != "unclear"]
        print(f"sure {low} to {high}: {told_kinds(part)}")


def told_kinds(found: list[tuple[corpora.Turn, Decision]]) -> str:
    """Return how many kinds are right, wrong jobs, and questions back that need not be, as shares."""
    right = sum(is_right(turn, got.kind) for turn, got in found)
    wrong = sum(is_wrong_job(turn, got.kind) for turn, got in found)
    back = sum(got.kind == "unclear" and not is_right(turn, "unclear") for turn, got in found)
    offered = sum(
        got.kind == "unclear" and any(is_right(turn, plan[0].kind) for plan in got.offers)
        for turn, got in found
        if not is_right(turn, "unclear")
    )
    shares = [f"{name} {told(n, len(found))}" for name, n in (("kind", right), ("wrong job", wrong))]
    return "; ".join(
        [*shares, f"asked back {told(back, len(found))}, with what is meant among the offers {offered}"]
    )


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
        edits = sum(is_right(turn, "draw" if state.shown is None else "change") for turn, state in turns)
        named = [
            (turn["about"], (got.about or (state.shown,))[0])
            for turn, state, got in found
            if got.kind == turn["kind"] and "about" in turn and got.kind in NEEDS_PICTURE
        ]
        picked = [
            (turn["index"], got.index)
            for turn, _, got in found
            if got.kind == turn["kind"] == "pick" and "index" in turn
        ]
        aims = [*named, *picked]
        changes = [
            (turn, got)
            for turn, _, got in found
            if turn["kind"] == got.kind == "change" and turn.get("parts")
        ]
        two = [is_cut_right(turn, got) for turn, got in changes if len(turn["parts"]) > 1]
        one = [is_cut_right(turn, got) for turn, got in changes if len(turn["parts"]) == 1]
        seconds.sort()
        print(f"{name}: {told_kinds([(turn, got) for turn, _, got in found])}")
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
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.stage == "words":
        write_words()
    elif given.stage == "train":
        for name, learned in (("kinds", learn_kinds), ("cuts", learn_cuts)):
            weights = learned(corpora.read_writers())._replace(learned_from=corpora.digest())
            (TARGET / f"{name}.bin").write_bytes(pack(weights))
    elif given.stage == "check":
        check()
    else:
        measure(given.files)


if __name__ == "__main__":
    main()
