"""What is drawn has the truth, the noise and the shape that it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import synthetic

RNG = np.random.default_rng(0)


DRAWS = [
    lambda rng: synthetic.linear_data(20, 3, 0.5, rng),
    lambda rng: synthetic.low_rank_ratings(9, 7, 2, 0.1, 0.5, rng),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_seed_draws_what_a_generator_made_of_it_draws(draw):
    for seed in (0, np.int64(3), 2**70):
        pairs = zip(draw(seed), draw(np.random.default_rng(int(seed))), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("rng", [True, -1, 0.5, "0", np.random.RandomState(0), np.random])
def test_what_is_no_generator_is_refused(draw, rng):
    with pytest.raises(ValueError, match="rng: expected"):
        draw(rng)


def test_the_generator_is_used_up_alike_whatever_is_drawn():
    # The stored outputs of the notebooks hang on it: this number comes after all that were drawn.
    rng = np.random.default_rng(0)
    for draw in DRAWS:
        draw(rng)
    assert rng.random() == 0.08776788675948677


@given(n=st.integers(1, 50), d=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_linear_data_is_its_truth_where_there_is_no_noise(n, d, seed):
    X, y, w, b, noise = synthetic.linear_data(n, d, 0.0, np.random.default_rng(seed))
    assert X.shape == (n, d)
    assert y.shape == (n,)
    assert noise == 0
    assert np.linalg.norm(w) == pytest.approx(1)
    np.testing.assert_allclose(y, X @ w + b, rtol=0, atol=1e-12)


def test_linear_data_has_the_noise_it_says():
    X, y, w, b, noise = synthetic.linear_data(20_000, 3, 0.5, np.random.default_rng(0))
    assert noise == 0.5
    assert (y - X @ w - b).std() == pytest.approx(0.5, rel=0.03)
    assert (X @ w).std() == pytest.approx(1, rel=0.03)


@given(
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    observed=st.floats(0.001, 1),
    seed=st.integers(0, 10_000),
)
def test_ratings_are_entries_of_the_noisy_matrix_each_once(n, m, observed, seed):
    rank = min(n, m, 3)
    r = synthetic.low_rank_ratings(n, m, rank, 0.1, observed, np.random.default_rng(seed))
    assert len(r.users) == max(1, round(observed * n * m))
    assert len(set(zip(r.users, r.items, strict=True))) == len(r.users)
    assert (r.ratings == r.noisy[r.users, r.items]).all()
    assert np.linalg.matrix_rank(r.truth) <= rank


def test_ratings_have_the_noise_and_the_scale_they_say():
    r = synthetic.low_rank_ratings(300, 200, 5, 0.1, 0.2, np.random.default_rng(0))
    assert r.truth.std() == pytest.approx(1)
    assert (r.noisy - r.truth).std() == pytest.approx(0.1, rel=0.02)
    assert np.linalg.matrix_rank(r.truth) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", 2.0),
        ("d", -1),
        ("noise", -0.1),
        ("noise", np.nan),
        ("noise", np.inf),
        ("noise", "x"),
        ("noise", True),
        ("noise", [0.1]),
        ("d", True),
    ],
)
def test_linear_data_names_the_bad_argument(name, value):
    arguments = {"n": 5, "d": 2, "noise": 0.1, "rng": RNG} | {name: value}
    with pytest.raises(ValueError, match=f"{name}: expected"):
        synthetic.linear_data(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_users", 0),
        ("n_items", 0),
        ("rank", 0),
        ("rank", 6),
        ("noise", -1.0),
        ("observed", 0.0),
        ("observed", 1.1),
        ("observed", np.nan),
        ("observed", "x"),
        ("observed", True),
        ("rank", True),
        ("n_users", 5.0),
    ],
)
def test_low_rank_ratings_name_the_bad_argument(name, value):
    arguments = {"n_users": 5, "n_items": 9, "rank": 2, "noise": 0.1, "observed": 0.5, "rng": RNG}
    with pytest.raises(ValueError, match=f"{name}: expected"):
        synthetic.low_rank_ratings(**arguments | {name: value})
