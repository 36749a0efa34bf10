"""Ones against sevens against scikit-learn: the linear solvers, and the test errors of all four.

The solvers start at zero and minimise the same objective over the training part; the peer stops
by its own tolerance. Ours multiplies in single precision; LogisticRegression does so too where it
is handed such numbers, LinearSVC never. LinearSVC penalises the bias as well, which a large
`intercept_scaling` makes negligible. The textbook loop is plain Newton's method over all images, in
double precision, its equations solved by conjugate gradients.

In the second table the peer's settings are those with the fewest errors on the validation part.
It shows one seed; the notebook has five, and what separates the models by more than chance.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from benchmarks.measure import Case, Growth, Race
from common.digits import mnist_pair
from tools.notebooks import algorithms

TRAIN = 12_000  # as in the notebook; the rest is the validation part


@cache
def _parts() -> tuple:
    """Return the notebook's algorithms and its train, validation and test part as tensors."""
    import torch  # takes seconds: not where another topic is measured

    nb = algorithms("classification")
    nb.choose_device = lambda kind: "cpu"  # where the peer is
    digits = mnist_pair((1, 7))
    X, y = nb.to_tensors(digits.train_images, digits.train_labels)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
    X, y = X[order], y[order]
    test = nb.to_tensors(digits.test_images, digits.test_labels)
    return nb, (X[:TRAIN], y[:TRAIN]), (X[TRAIN:], y[TRAIN:]), test


def _arrays(part: tuple, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    return part[0][:n].flatten(1).double().numpy(), part[1][:n].double().numpy()


# The full-batch solvers: the same objective, to at least the same value --------------------------


def _solver(loss: str, lam: float, tol: float, dtype: type) -> Callable[[bool], Race]:
    def build(quick: bool) -> Race:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        nb, train, *_ = _parts()
        X, y = _arrays(train, 2_000 if quick else None)
        X = X.astype(dtype)
        C = 1 / (len(X) * lam)
        if loss == "logistic":
            peer = LogisticRegression(C=C, tol=tol, max_iter=10_000)
        else:  # penalises the bias as well, and nearly not at this scaling
            peer = LinearSVC(C=C, tol=tol, dual=False, intercept_scaling=30, max_iter=10_000)

        def theirs() -> np.ndarray:
            peer.fit(X, y)
            return np.append(peer.coef_, peer.intercept_)

        def objective(theta: np.ndarray) -> float:
            value, *_ = nb.of_margin(loss, y * nb.linear_scores(theta, X))
            return float(value.mean() + lam / 2 * np.sum(theta[:-1] ** 2))

        return Race(
            ours=lambda: nb.optimum(X, y, loss, lam),
            theirs=theirs,
            objective=objective,
            naive=lambda: nb.newton(X, y, loss, lam, np.zeros(X.shape[1] + 1), rel=1e-6),
        )

    return build


# Test errors, the peer tuned on the validation part ----------------------------------------------


def _best(candidates: list, train: tuple, validation: tuple):
    """Return the candidate with the fewest validation errors; of equals the first."""
    errors = [(c.fit(*train).predict(validation[0]) != validation[1]).sum() for c in candidates]
    return candidates[int(np.argmin(errors))]


def _peers(name: str) -> list:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC, LinearSVC

    if name == "logistic regression":
        return [LogisticRegression(C=C, max_iter=1_000) for C in (0.03, 0.1, 0.3, 1, 3)]
    if name == "linear SVM":
        return [LinearSVC(C=C, dual=False) for C in (0.01, 0.03, 0.1, 0.3)]
    if name == "network":
        return [MLPClassifier((256,), alpha=a, random_state=0) for a in (1e-4, 1e-2, 1)]
    return [SVC(C=C, gamma=g) for C in (3, 10) for g in (0.01, 0.03)]


def _errors(name: str) -> Callable[[bool], Race]:
    def build(quick: bool) -> Race:
        import torch

        nb, train, validation, test = _parts()
        torch.set_num_threads(1)
        n = 1_000 if quick else TRAIN
        flat, flat_test = _arrays(train, n), _arrays(test)
        build_model, loss, augmentation, epochs, lr, shifts = nb.RECIPES[name]
        lam = {"logistic regression": 1e-4, "linear SVM": 1e-3}.get(name)
        peer = _best(_peers(name), flat, _arrays(validation))

        def ours() -> np.ndarray:
            if lam:
                kind = "logistic" if name == "logistic regression" else "squared hinge"
                return nb.linear_scores(nb.optimum(*flat, kind, lam), flat_test[0])
            generator = torch.Generator().manual_seed(0)
            model = nb.initialise(build_model(), generator)
            data, options = (train[0][:n], train[1][:n]), {"augmentation": augmentation}
            options |= {"epochs": 2 if quick else epochs, "lr": lr}
            nb.fit(model, loss, data, generator, **options)
            return nb.scores(model, test[0], shifts).numpy()

        def theirs() -> np.ndarray:
            return peer.fit(*flat).predict(flat_test[0])

        def count(scores: np.ndarray) -> float:
            return float((scores * flat_test[1] <= 0).sum())

        return Race(ours, theirs, count)

    return build


def cases() -> list[Case]:
    """Return the comparisons; the last four have the errors on the test part as objective."""
    solvers = [
        ("logistic", 1e-4, "LogisticRegression", np.float64),
        ("logistic", 1e-4, "LogisticRegression, float32", np.float32),
        ("squared hinge", 1e-3, "LinearSVC", np.float64),
    ]
    models = [
        ("logistic regression", "LogisticRegression"),
        ("linear SVM", "LinearSVC"),
        ("network", "MLPClassifier"),
        ("CNN", "RBF SVC"),
    ]
    return [
        Case(
            f"classification: {loss}, {peer}, tol {tol:.0e}",
            "scikit-learn",
            1,
            _solver(loss, lam, tol, dtype),
            tolerance=1e-6,
            rated_by="objective",
        )
        for loss, lam, peer, dtype in solvers
        for tol in (1e-4, 1e-8)
    ] + [
        Case(
            f"classification: {name}, {peer}",
            "scikit-learn",
            None,
            _errors(name),
            tolerance=0,
            rated_by="test errors",
        )
        for name, peer in models
    ]


def _logistic_of(solve: Callable) -> Callable:
    """Return the build function of a growth curve; `solve` fits (X, y, λ)."""

    def build(n: int) -> Callable:
        X, y = _arrays(_parts()[1], n)
        return lambda: solve(X, y, 1e-4)

    return build


def growths() -> list[Growth]:
    """Return the growth with the training examples; the textbook's Newton solves all equations."""

    def ours(X: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
        return _parts()[0].optimum(X, y, "logistic", lam)

    def theirs(X: np.ndarray, y: np.ndarray, lam: float) -> None:
        from sklearn.linear_model import LogisticRegression

        LogisticRegression(C=1 / (len(X) * lam), tol=1e-4, max_iter=10_000).fit(X, y)

    def naive(X: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
        return _parts()[0].newton(X, y, "logistic", lam, np.zeros(X.shape[1] + 1), rel=1e-6)

    return [
        Growth(
            "classification: logistic regression, full batch",
            "examples n",
            [36, 110, 360, 1_200, 3_700, TRAIN],
            _logistic_of(ours),
            _logistic_of(naive),
            "scikit-learn",
            _logistic_of(theirs),
        )
    ]
