"""Linear and ridge regression against scikit-learn.

usage: OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/regression.py
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import numpy as np
import sklearn
from notebooks import algorithms
from pairs import HEADER, compare, threads
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV

from common.data import linear_data


def main() -> None:
    """Print the table."""
    nb = algorithms("regression")
    rng = np.random.default_rng(0)
    lams = np.logspace(-2, 4, 100)
    small, tall = linear_data(2_000, 300, 0.5, rng), linear_data(200_000, 100, 0.5, rng)

    def path() -> np.ndarray:
        return np.column_stack(nb.ridge_path(small.X, small.y, lams))

    def one_by_one() -> np.ndarray:
        fits = [Ridge(alpha=lam).fit(small.X, small.y) for lam in lams]
        return np.array([[*fit.coef_, fit.intercept_] for fit in fits])

    def path_and_leave_one_out() -> np.ndarray:
        W, b = nb.ridge_path(small.X, small.y, lams)
        errors = nb.leave_one_out_mse(small.X, small.y, lams)
        best = errors.argmin()
        return np.array([*W[best], b[best], errors[best]])

    def ridge_cv() -> np.ndarray:
        fit = RidgeCV(alphas=lams).fit(small.X, small.y)
        return np.array([*fit.coef_, fit.intercept_, -fit.best_score_])

    def normal_equation() -> np.ndarray:
        w, b = nb.normal_equation(tall.X, tall.y)
        return np.array([*w, b])

    def linear_regression() -> np.ndarray:
        fit = LinearRegression().fit(tall.X, tall.y)
        return np.array([*fit.coef_, fit.intercept_])

    print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, {threads()} thread(s)\n")
    print(HEADER)
    print(compare("100 λs, n=2,000, d=300 / 100 Ridge fits", path, one_by_one, goal=0.05))
    print(compare("the same + leave-one-out / RidgeCV", path_and_leave_one_out, ridge_cv, goal=0.5))
    name = "normal_equation, n=200,000, d=100 / LinearRegr."
    print(compare(name, normal_equation, linear_regression, goal=0.5))


if __name__ == "__main__":
    main()
