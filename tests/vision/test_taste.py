"""A taste that is learned from pages of pictures: the same bytes in any order, and told only as far as it is
known."""

import numpy as np
import pytest

from core.intervals import wilson
from vision.taste import FEWEST, FEWEST_ALONE, Lesson, Page, choose_drawings, mixed

WIDTH, MANY = 16, 240


def world(seed: int = 1) -> tuple[dict[str, bytes], np.ndarray]:
    """Pictures' vectors by name, and the direction along which somebody likes them."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(MANY, WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    named = {f"{n:03}": one.astype("<f2").tobytes() for n, one in enumerate(vectors)}
    return named, rng.normal(size=WIDTH)


def pages_of(vectors: dict[str, bytes], liking: np.ndarray, count: int = 40) -> list[Page]:
    names, found = sorted(vectors), []
    for start in range(0, 4 * count, 4):
        four = sorted(
            names[start : start + 4], key=lambda name: -np.frombuffer(vectors[name], "<f2") @ liking
        )
        found.append(Page((four[0],), tuple(four[1:])))
    return found


def test_unseen_pictures_are_ranked_as_they_are_liked() -> None:
    vectors, liking = world()
    head = Lesson(pages_of(vectors, liking), vectors).fit()
    assert head is not None
    rest = np.stack([np.frombuffer(vectors[name], "<f2") for name in sorted(vectors)[160:]]).astype(float)
    scores, likings = rest @ head.direction, rest @ liking
    first, second = np.triu_indices(len(rest), 1)
    assert ((scores[first] > scores[second]) == (likings[first] > likings[second])).mean() > 0.8


def test_the_bytes_are_the_same_in_any_order_of_pages_and_pictures() -> None:
    vectors, liking = world()
    pages = pages_of(vectors, liking)
    heads = set()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        turned = [Page(pages[n].liked, pages[n].passed[::-1]) for n in rng.permutation(len(pages))]
        head = Lesson(turned, {name: vectors[name] for name in rng.permutation(sorted(vectors))}).fit()
        assert head is not None
        heads.add(head.packed)
    assert len(heads) == 1 and len(heads.pop()) == 4 * WIDTH


def test_what_is_forgotten_leaves_the_bytes_as_if_it_had_never_been_there() -> None:
    vectors, liking = world()
    pages = pages_of(vectors, liking)
    never = Lesson(pages[:20], vectors).fit()
    left = {name: vector for name, vector in vectors.items() if name < "080"}
    forgotten, whole = Lesson(pages, left).fit(), Lesson(pages, vectors).fit()
    assert never is not None and forgotten is not None and whole is not None
    assert never.packed == forgotten.packed != whole.packed


def test_nothing_is_learned_of_too_little_or_of_likes_alone() -> None:
    vectors, liking = world()
    pages = pages_of(vectors, liking)
    assert Lesson(pages[: FEWEST // 3 - 1], vectors).fit() is None
    assert Lesson(pages[: FEWEST // 3], vectors).fit() is not None
    assert Lesson([Page((name,)) for name in vectors], vectors).fit() is None
    assert Lesson(pages, {}).fit() is None and Lesson([], vectors).known() is None


def test_a_like_alone_counts_beside_others() -> None:
    vectors, liking = world()
    pages = pages_of(vectors, liking, 10)
    alone = Lesson([*pages, Page(("239",))], vectors)
    with_it, without = alone.fit(), Lesson(pages, vectors).fit()
    assert with_it is not None and without is not None
    assert with_it.comparisons == without.comparisons + 1 and alone.likes == 11


def test_a_page_of_which_nothing_is_liked_teaches_what_is_passed_over() -> None:
    vectors, (liking, refused, *_) = world()[0], np.eye(WIDTH)
    pages = pages_of(vectors, liking, 10)
    nine = sorted(sorted(vectors)[40:], key=lambda name: -np.frombuffer(vectors[name], "<f2") @ refused)[:9]
    refusing = Lesson([*pages, Page((), tuple(nine))], vectors)
    with_it, without = refusing.fit(), Lesson(pages, vectors).fit()
    assert with_it is not None and without is not None
    assert (
        with_it.comparisons == without.comparisons + 9 and refusing.compared == Lesson(pages, vectors).pages
    )
    before, after = (one.direction @ refused / np.linalg.norm(one.direction) for one in (without, with_it))
    assert after < before - 0.2
    left = {name: vector for name, vector in vectors.items() if name != pages[0].liked[0]}
    assert Lesson(pages, left).pages == Lesson(pages[1:], left).pages, "a lost like refuses nothing"
    assert Lesson([Page((), tuple(nine))], vectors).fit() is None


def test_what_pictures_differ_in_less_is_learned_beside_what_they_differ_in_most() -> None:
    rng = np.random.default_rng(6)
    things, medium = rng.normal(size=(MANY, WIDTH)), rng.choice([-1.0, 1.0], MANY)
    things[:, :4] *= 6
    things[:, 9] = medium
    things /= np.linalg.norm(things, axis=1, keepdims=True)
    vectors = {f"{n:03}": one.astype("<f2").tobytes() for n, one in enumerate(things)}
    head = Lesson(pages_of(vectors, np.eye(WIDTH)[9], 12), vectors).fit()
    assert head is not None and abs(head.direction).argmax() == 9


def test_how_well_it_is_known_says_when_it_is_not() -> None:
    vectors, liking = world()
    known = Lesson(pages_of(vectors, liking), vectors).known()
    assert known is not None and known.low < known.share < known.high and known.is_seen
    rng, names = np.random.default_rng(3), sorted(vectors)
    by_chance = [
        Page((names[4 * n + k],), tuple(names[4 * n + i] for i in range(4) if i != k))
        for n, k in enumerate(rng.integers(4, size=40))
    ]
    known = Lesson(by_chance, vectors).known()
    assert known is not None and not known.is_seen


def test_the_interval_is_wilsons() -> None:
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_weights_act_and_below_zero_they_turn_a_taste_around() -> None:
    vectors, liking = world()
    one = Lesson(pages_of(vectors, liking), vectors).fit()
    other = Lesson(pages_of(vectors, -liking), vectors).fit()
    assert one is not None and other is not None
    found = np.frombuffer(mixed([(one, 2.0), (other, -1.0)]), "<f4")
    assert np.allclose(found, 2 * one.direction - other.direction, atol=1e-5)


def test_the_best_that_are_unlike_each_other_are_kept() -> None:
    first, second, third = np.eye(3)
    twin = np.array([0.999, 0.0447, 0.0])
    kept = choose_drawings(np.stack([first, twin, second, third]), np.array([3.0, 2.5, 0.0]), 2)
    assert list(kept) == [1, 2], "the twin of the best comes after another"


def test_what_does_not_show_the_prompt_is_left_out() -> None:
    rng = np.random.default_rng(4)
    text = np.eye(WIDTH)[0]
    shown = rng.normal(scale=0.05, size=(12, WIDTH)) + text
    missed = np.eye(WIDTH)[1]
    candidates = np.stack([*shown, missed])
    candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    assert 12 in choose_drawings(candidates, missed, 4) and 12 not in choose_drawings(
        candidates, missed, 4, text
    )


def test_a_member_who_is_forgotten_leaves_the_bytes_of_a_servers_taste_as_if_never_there() -> None:
    vectors, liking = world()
    pages = pages_of(vectors, liking, 60)
    votes = [(voter, page) for voter in range(20) for page in pages[3 * voter : 3 * voter + 1 + voter % 3]]
    heads = set()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        named = rng.permutation(1000)[:20]  # who a number stands for says nothing
        left = [votes[n] for n in rng.permutation(len(votes)) if votes[n][0] != 7]
        head = Lesson([page for _, page in left], vectors, [named[voter] for voter, _ in left]).fit()
        assert head is not None
        heads.add(head.packed)
    whole = Lesson([page for _, page in votes], vectors, [voter for voter, _ in votes]).fit()
    assert whole is not None and len(heads) == 1 and whole.packed not in heads


def test_members_count_alike_however_much_they_compare() -> None:
    vectors, liking = world()
    many, few = pages_of(vectors, liking, 50), pages_of(vectors, -liking, 5)
    voters = [0] * len(many) + [number for n in range(1, 4) for number in [n] * len(few)]
    alike = Lesson(many + 3 * few, vectors, voters).fit()
    plain = Lesson(many + 3 * few, vectors).fit()
    assert alike is not None and plain is not None
    assert plain.direction @ liking > 0 > alike.direction @ liking, "three outvote one who pressed more"


def test_a_servers_taste_is_known_by_members_who_were_left_out() -> None:
    vectors, liking = world()
    pages = pages_of(vectors, liking, 60)
    voters = [n // 6 for n in range(60)]
    known = Lesson(pages, vectors, voters).known()
    assert known is not None and known.share > 0.75 and known.low < known.share < known.high
    quarrel = [*pages_of(vectors, liking, 20), *pages_of(vectors, -liking, 20)]
    known = Lesson(quarrel, vectors, [0] * 20 + [1] * 20).known()
    assert known is not None and known.share < 0.5 and not known.is_seen


def test_words_are_told_where_they_are_truer_of_what_is_liked() -> None:
    vectors, liking = world()
    other = np.random.default_rng(5).normal(size=WIDTH)
    words = [one / np.linalg.norm(one) for one in (other, liking, -liking)]
    kind = tuple(one.astype("<f2").tobytes() for one in words)
    pages = pages_of(vectors, liking)
    [found] = Lesson(pages, vectors).words([kind])
    assert found[1] > 3 > abs(found[0]) and found[2] < -3
    assert Lesson(pages[::-1], vectors).words([kind]) == (found,)
    assert Lesson(pages[:1], vectors).words([kind]) == (), "of one page nobody can tell"
    alone = [Page(page.liked) for page in pages]
    assert Lesson(alone, vectors).words([kind]) == ()


def test_words_of_what_is_liked_alone_are_told_beside_usual_pictures() -> None:
    vectors, liking = world()
    other = np.random.default_rng(5).normal(size=WIDTH)
    words = [one / np.linalg.norm(one) for one in (other, liking, -liking)]
    kind = tuple(one.astype("<f2").tobytes() for one in words)
    best = sorted(vectors, key=lambda name: -np.frombuffer(vectors[name], "<f2") @ liking)[:FEWEST_ALONE]
    alone, usual = [Page((name,)) for name in best], list(vectors.values())
    [found] = Lesson(alone, vectors).words([kind], usual)
    assert found[1] > 3 > max(found[0], found[2])
    assert Lesson(alone[::-1], vectors).words([kind], usual) == (found,)
    assert Lesson(alone[1:], vectors).words([kind], usual) == () == Lesson(alone, vectors).words([kind])
    compared = pages_of(vectors, liking)
    assert Lesson(compared, vectors).words([kind], usual) == Lesson(compared, vectors).words([kind])


def test_members_of_one_taste_have_as_much_to_say_of_its_words() -> None:
    vectors, liking = world()
    word = (liking / np.linalg.norm(liking)).astype("<f2").tobytes()
    against = (-liking / np.linalg.norm(liking)).astype("<f2").tobytes()
    pages = pages_of(vectors, liking)
    turned = [Page(page.passed, page.liked) for page in pages[:9]]
    [[many, _]] = Lesson([*pages[9:], *turned], vectors).words([(word, against)])
    voters = [0] * (len(pages) - 9) + [1 + n % 3 for n in range(9)]
    [[few, _]] = Lesson([*pages[9:], *turned], vectors, voters).words([(word, against)])
    assert many > 0 > few, "three of four members pass it over"
