"""Bad arguments of the recommender notebook's functions are refused by name."""

import numpy as np
import pandas as pd
import pytest
from bad_arguments import (
    AXES,
    BAD_INTEGERS,
    BAD_RNG,
    GOOD_SEEDS,
    IDS,
    KINDS,
    REAL,
    cases,
    refuses,
    same,
)
from recommender_cases import nb, random_model

USERS, ITEMS = np.array([0, 1, 2, 2, 1, 0, 2]), np.array([0, 1, 2, 0, 2, 3, 3])
RATINGS, SHAPE = np.array([1, 2, 3, 4, 5, 1, 2]), (3, 4)
TRIPLE = {"users": USERS, "items": ITEMS, "ratings": RATINGS}
SGD = TRIPLE | {"shape": SHAPE, "rank": 1, "epochs": 2, "lr": 0.05, "rng": 0}
ALS = TRIPLE | {"shape": SHAPE, "rank": 1, "sweeps": 2, "rng": 0}
CV = TRIPLE | {"shape": SHAPE, "settings": [{"reg": 1}, {"reg": 2}], "k": 3, "rng": 0}
CV |= {"fit": nb.als, "rank": 1, "sweeps": 2}
MODEL = random_model(SHAPE, 2, np.random.default_rng(0))
FITS = {"factorize": (nb.factorize, SGD), "als": (nb.als, ALS)}
FITS["cross_validate"] = nb.cross_validate, CV
IDS_1D = {label: (*fit, ["users", "items"]) for label, fit in FITS.items()} | {
    "conflict_free_batches": (
        nb.conflict_free_batches,
        {"users": USERS, "items": ITEMS, "rng": 0},
        ["users", "items"],
    )
}
LOOSE = {  # of any shape, and empty too
    "predict": (MODEL.predict, {"users": USERS, "items": ITEMS}, ["users", "items"]),
    "top_n": (nb.top_n, {"model": MODEL, "user": 1, "seen": ITEMS, "n": 2}, ["seen"]),
}
REALS = {label: (*fit, ["ratings"]) for label, fit in FITS.items()}
PER_EPOCH = {
    "lr": (nb.factorize, SGD | {"lr": np.array([1, 1])}, ["lr"]),
    "reg": (nb.factorize, SGD | {"reg": np.array([1, 1])}, ["reg"]),
    "reg of als": (nb.als, ALS | {"reg": np.array([1, 1])}, ["reg"]),
}
RANDOM = {
    "factorize": lambda rng: nb.factorize(**SGD | {"rng": rng}),
    "als": lambda rng: nb.als(**ALS | {"rng": rng}),
    "cross_validate": lambda rng: nb.cross_validate(**CV | {"rng": rng}),
    "conflict_free_batches": lambda rng: nb.conflict_free_batches(USERS, ITEMS, rng),
    "colouring_order": lambda rng: nb.colouring_order(USERS, ITEMS, rng),
    "start_model": lambda rng: nb.start_model(USERS, ITEMS, RATINGS, SHAPE, 2, True, rng),
    "k_folds": lambda rng: nb.k_folds(6, 3, rng),
}
COUNTED = [
    ("rank", nb.factorize, SGD),
    ("epochs", nb.factorize, SGD),
    ("rank", nb.als, ALS),
    ("sweeps", nb.als, ALS),
    ("k", nb.k_folds, {"count": 4, "k": 2, "rng": 0}),
    ("count", nb.k_folds, {"count": 4, "k": 2, "rng": 0}),
    ("n", nb.top_n, {"model": MODEL, "user": 1, "seen": [], "n": 2}),
]


@cases(IDS_1D, KINDS | AXES | {k: IDS[k] for k in ("fractions", "negative")})
def test_every_kind_of_bad_ids_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases(LOOSE, KINDS | IDS)
def test_every_kind_of_bad_ids_of_any_shape_is_named(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases(REALS, KINDS | AXES | REAL)
def test_every_kind_of_bad_ratings_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases(PER_EPOCH, KINDS | REAL)
def test_every_kind_of_bad_rate_is_named(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)
    refuses(name, lambda: function(**good | {name: [0.1] * 3}), "2 of them, got (3,)")


@pytest.mark.parametrize("label", FITS)
def test_lists_and_columns_of_numbers_do_as_arrays(label):
    function, good = FITS[label]
    for make in (list, pd.Series, lambda a: a.astype(np.int8)):
        other = good | {name: make(good[name]) for name in TRIPLE}
        assert same(function(**other), function(**good))


@pytest.mark.parametrize("label", FITS)
def test_wrong_lengths_say_both(label):
    function, good = FITS[label]
    refuses(
        "ratings",
        lambda: function(**good | {"ratings": RATINGS[:5]}),
        "7 values, as many as users, got 5",
    )
    refuses("items", lambda: function(**good | {"items": ITEMS[:5]}), "(7,), got (5,)")
    refuses("users", lambda: function(**good | {"users": USERS[:, None]}), "use .ravel()")
    refuses("ratings", lambda: function(**good | {"ratings": RATINGS[:, None]}), "use .ravel()")


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("rng", BAD_RNG)
def test_what_is_no_generator_is_refused(function, rng):
    refuses("rng", lambda: RANDOM[function](rng))


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("seed", GOOD_SEEDS)
def test_a_seed_does_as_its_generator(function, seed):
    assert same(RANDOM[function](seed), RANDOM[function](np.random.default_rng(3)))


@pytest.mark.parametrize(("name", "function", "good"), COUNTED)
@pytest.mark.parametrize("value", BAD_INTEGERS)
def test_what_is_no_count_is_refused(name, function, good, value):
    refuses(name, lambda: function(**good | {name: value}))


@pytest.mark.parametrize("size", [True, 3.0, None, 0, "3"])
def test_a_size_that_is_no_count_is_named_by_its_place(size):
    for k in (0, 1):
        shape = [3, 4]
        shape[k] = size
        refuses(rf"shape\[{k}\]", lambda shape=shape: nb.factorize(**SGD | {"shape": shape}))


def test_sizes_of_numpy_do_as_ints():
    small = SGD | {"shape": np.uint8(SHAPE), "rank": np.uint8(1), "epochs": np.array(2)}
    assert same(nb.factorize(**small), nb.factorize(**SGD))


@pytest.mark.parametrize("user", [True, 0.0, "0", None, -1, 3, [0]])
def test_a_user_who_is_no_id_is_refused(user):
    refuses("user", lambda: nb.top_n(MODEL, user, [], 1), "an integer from 0 to 2")


@pytest.mark.parametrize("label", ["factorize", "als"])
@pytest.mark.parametrize(
    ("watch", "message"),
    [
        ([([0], [0], [1.0])], "a dict {name: triple}, got [("),
        ({"observed": ([0], [0], [1.0])}, "got 'observed'"),
        ({"seconds": ([0], [0], [1.0])}, "got 'seconds'"),
        ({"objective": ([0], [0], [1.0])}, "got 'objective'"),
        ({0: ([0], [0], [1.0])}, "got 0"),
    ],
)
def test_what_can_t_be_watched_is_refused(label, watch, message):
    function, good = FITS[label]
    refuses("watch", lambda: function(**good | {"watch": watch}), message)


@pytest.mark.parametrize("label", ["factorize", "als"])
@pytest.mark.parametrize("triple", [([0], [0]), 7, "abc", None])
def test_what_is_no_triple_to_watch_is_named(label, triple):
    function, good = FITS[label]
    with pytest.raises(
        ValueError, match=r"^watch\['valid'\]: expected \(users, items, ratings\), got"
    ):
        function(**good | {"watch": {"valid": triple}})


@pytest.mark.parametrize("label", ["factorize", "als"])
@pytest.mark.parametrize("biases", ["no", "", 0, 1, None, [True]])
def test_biases_that_are_neither_true_nor_false_are_refused(label, biases):
    function, good = FITS[label]
    refuses("biases", lambda: function(**good | {"biases": biases}), "True or False, got")


@pytest.mark.parametrize("size", [-0.1, np.nan, "0.1", True, [0.1]])
def test_a_bad_size_of_the_start_is_refused(size):
    refuses("size", lambda: nb.factorize(**SGD | {"size": size}))


@pytest.mark.parametrize("n0", [-0.1, np.nan, "1", True, [1.0]])
def test_a_bad_number_of_ratings_that_nobody_gave_is_refused(n0):
    refuses("n0", lambda: nb.als(**ALS | {"n0": n0}))


@pytest.mark.parametrize(
    ("ratings", "got"),
    [(["4"] * 7, "<U1"), ([True] * 7, "bool"), ([4, None, 3, 4, 5, 1, 2], "object")],
)
@pytest.mark.parametrize("label", FITS)
def test_ratings_that_are_no_numbers_say_what_they_are(label, ratings, got):
    function, good = FITS[label]
    refuses("ratings", lambda: function(**good | {"ratings": ratings}), got)


@pytest.mark.parametrize(("count", "k", "least"), [(1, 5, 5), (3, 5, 5), (2, 2, 4), (3, 2, 4)])
def test_too_few_ratings_to_choose_in_each_fold_say_how_many_it_takes(count, k, least):
    few = CV | {name: CV[name][:count] for name in TRIPLE} | {"k": k}
    refuses("ratings", lambda: nb.cross_validate(**few), f"at least {least} of them for k = {k}")


PATH = TRIPLE | {"shape": SHAPE, "rank": 1, "lams": np.array([1, 1]), "rng": 0}
IN_A_PATH = {"fit_path": (nb.fit_path, PATH, ["users", "items", "ratings", "lams"])}


@cases(IN_A_PATH, {name: KINDS[name] for name in ("text", "booleans") if name in KINDS} | AXES)
def test_bad_arrays_of_a_path_are_named_before_any_work(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@pytest.mark.parametrize("rank", [0, -1, 2.0, None, True, "2"])
def test_a_bad_rank_of_a_path_is_refused(rank):
    refuses("rank", lambda: nb.fit_path(**PATH | {"rank": rank}))


@pytest.mark.parametrize("function", [*FITS, "fit_path"])
@pytest.mark.parametrize("start", ["x", 3, random_model((3, 4), 2, np.random.default_rng(0))])
def test_a_start_that_does_not_fit_is_refused(function, start):
    f, good = {"fit_path": (nb.fit_path, PATH)}.get(function) or FITS[function]
    if function != "cross_validate":
        refuses("start", lambda: f(**good | {"start": start}), "got ((")


@pytest.mark.parametrize(
    ("triple", "name"),
    [(([0], [0], ["x"]), "ratings"), (([9], [0], [1.0]), "users"), (([], [], []), "users")],
)
def test_a_bad_triple_to_watch_is_named_with_its_fault(triple, name):
    for function, good in (FITS["factorize"], FITS["als"], (nb.fit_path, PATH)):
        call = {"watch": {"valid": triple}}
        refuses(rf"watch\['valid'\], {name}", lambda f=function, g=good, c=call: f(**g | c))


@pytest.mark.parametrize("clip", [1, "ab", (1,), (1, 2, 3), (np.nan, 5), (5, 1), (None, 5)])
def test_limits_of_predictions_that_are_none_are_refused(clip):
    refuses(r"clip(\[[01]\])?", lambda: MODEL.predict([0, 1], [1, 2], clip=clip))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, "a", None, True, [0.1] * 3])
def test_bad_schedules_are_refused(value):
    refuses("lr", lambda: nb.linear_decay(value, 4))
    refuses("first", lambda: nb.falling_reg(value, 0.1, 4))
    refuses("last", lambda: nb.falling_reg(0.1, value, 4))
    refuses("share", lambda: nb.falling_reg(0.1, 0.1, 4, value))
    refuses("epochs", lambda: nb.linear_decay(0.1, value))
    refuses("epochs", lambda: nb.falling_reg(0.1, 0.1, value))


@pytest.mark.parametrize("fit", [None, "als", 3])
def test_what_can_t_fit_is_refused(fit):
    refuses("fit", lambda: nb.cross_validate(**CV | {"fit": fit}))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_too_few_ratings_to_choose_are_refused(count):
    few = [TRIPLE[name][:count] for name in TRIPLE]
    refuses("ratings", lambda: nb.choose(*few, SHAPE, 0), "at least 5 of them", f"got {count}")
