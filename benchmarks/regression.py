"""Linear and ridge regression against scikit-learn.

The peer's Ridge is fitted once for each λ and its RidgeCV once for all; the textbook loop solves
the normal equation afresh for each λ. The objective is what is minimised: ridge's, summed over the
λs; the mean leave-one-out error, from the weights and the λ that each returns; the sum of squares.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.measure import Case, Growth, Race
from common.synthetic import linear_data
from tools.notebooks import algorithms


def _ridge_objective(X: np.ndarray, y: np.ndarray, lams: np.ndarray) -> Callable:
    """Return the sum over λ of what ridge minimises; the last column holds the intercepts."""

    def objective(coefficients: np.ndarray) -> float:
        W, b = coefficients[:, :-1], coefficients[:, -1]
        residuals = y - W @ X.T - b[:, None]
        return float((residuals**2).sum() + (lams * (W**2).sum(axis=1)).sum())

    return objective


def _path(quick: bool) -> Race:
    from sklearn.linear_model import Ridge

    nb = algorithms("regression")
    n, d = (400, 60) if quick else (2_000, 300)
    data = linear_data(n, d, 0.5, np.random.default_rng(0))
    lams = np.logspace(-2, 4, 100)

    def theirs() -> np.ndarray:
        fits = [Ridge(alpha=lam).fit(data.X, data.y) for lam in lams]
        return np.array([[*fit.coef_, fit.intercept_] for fit in fits])

    def naive() -> np.ndarray:
        fits = [nb.normal_equation(data.X, data.y, lam) for lam in lams]
        return np.array([[*w, b] for w, b in fits])

    return Race(
        ours=lambda: np.column_stack(nb.ridge_path(data.X, data.y, lams)),
        theirs=theirs,
        objective=_ridge_objective(data.X, data.y, lams),
        naive=naive,
    )


def _leave_one_out(quick: bool) -> Race:
    from sklearn.linear_model import RidgeCV

    nb = algorithms("regression")
    n, d = (400, 60) if quick else (2_000, 300)
    data = linear_data(n, d, 0.5, np.random.default_rng(0))
    lams = np.logspace(-2, 4, 100)

    def ours() -> tuple[np.ndarray, float, float]:
        W, b = nb.ridge_path(data.X, data.y, lams)
        best = nb.leave_one_out_mse(data.X, data.y, lams).argmin()
        return W[best], b[best], lams[best]

    def theirs() -> tuple[np.ndarray, float, float]:
        fit = RidgeCV(alphas=lams).fit(data.X, data.y)
        return fit.coef_, fit.intercept_, fit.alpha_

    def objective(result: tuple[np.ndarray, float, float]) -> float:
        w, b, lam = result
        centred = data.X - data.X.mean(axis=0)
        H = centred @ np.linalg.solve(centred.T @ centred + lam * np.eye(d), centred.T)
        left_out = (data.y - data.X @ w - b) / (1 - 1 / n - H.diagonal())
        return float(np.mean(left_out**2))

    return Race(ours, theirs, objective)


def _least_squares(quick: bool) -> Race:
    from sklearn.linear_model import LinearRegression

    nb = algorithms("regression")
    n, d = (5_000, 40) if quick else (200_000, 100)
    data = linear_data(n, d, 0.5, np.random.default_rng(0))

    def theirs() -> tuple[np.ndarray, float]:
        fit = LinearRegression().fit(data.X, data.y)
        return fit.coef_, fit.intercept_

    def objective(result: tuple[np.ndarray, float]) -> float:
        return float(((data.y - data.X @ result[0] - result[1]) ** 2).sum())

    return Race(lambda: nb.normal_equation(data.X, data.y), theirs, objective)


def cases() -> list[Case]:
    """Return the comparisons."""
    return [
        Case(
            "regression: 100 λs, n = 2,000, d = 300",
            "scikit-learn",
            0.05,
            _path,
            tolerance=1e-8,
            rated_by="objective",
        ),
        Case(
            "regression: the same, λ by leave-one-out",
            "scikit-learn",
            0.5,
            _leave_one_out,
            tolerance=1e-8,
            rated_by="objective",
        ),
        Case(
            "regression: least squares, n = 200,000, d = 100",
            "scikit-learn",
            0.5,
            _least_squares,
            tolerance=1e-8,
            rated_by="objective",
        ),
    ]


def _path_of(n: int) -> Callable:
    nb = algorithms("regression")
    data = linear_data(n, 100, 0.5, np.random.default_rng(0))
    return lambda: nb.ridge_path(data.X, data.y, np.logspace(-2, 4, 100))


def _sklearn_path_of(n: int) -> Callable:
    from sklearn.linear_model import Ridge

    data = linear_data(n, 100, 0.5, np.random.default_rng(0))
    return lambda: [Ridge(alpha=lam).fit(data.X, data.y) for lam in np.logspace(-2, 4, 100)]


def _equations_of(n: int) -> Callable:
    nb = algorithms("regression")
    data = linear_data(n, 100, 0.5, np.random.default_rng(0))
    return lambda: [nb.normal_equation(data.X, data.y, lam) for lam in np.logspace(-2, 4, 100)]


def growths() -> list[Growth]:
    """Return the growth curve; the textbook loop solves the equations afresh for each λ."""
    return [
        Growth(
            "regression: 100 λs, d = 100",
            "examples n",
            [200, 600, 2_000, 6_000, 20_000, 64_000],
            _path_of,
            _equations_of,
            "scikit-learn",
            _sklearn_path_of,
        )
    ]
