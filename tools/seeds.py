"""Measure how the classifiers' results spread over twenty seeds, more than their page trains.

usage: python -m tools.seeds    writes classification/seeds.json; half an hour of one core

The page reads the file where it runs on the ones and sevens of MNIST, trains some of the seeds
itself, and draws both. A test holds the settings in the file to those of the page.
"""

import json
from collections.abc import Iterator

import numpy as np

from common.digits import mnist_pair
from tools.notebooks import algorithms
from tools.project import ROOT, write

FILE = ROOT / "classification" / "seeds.json"
SEEDS, DRAWS = 20, 3  # a training on few examples takes nearly as long as one on thousands
LINEAR = {"logistic regression": "logistic", "linear SVM": "squared hinge"}
FEW = ("logistic regression", "linear SVM", "network, plain", "CNN, plain", "network", "CNN")


def settings(nb) -> dict:
    """Return what the numbers depend on; of each recipe its epochs, rate and opinions."""
    recipes = {name: [r[3], r[4], len(r[5])] for name, r in nb.RECIPES.items()}
    return {
        "recipes": recipes,
        "sizes": [*nb.SIZES],
        "steps": nb.STEPS,
        "moves": [*nb.MOVES],
        "penalties": [*nb.PENALTIES],
    }


def above_optimum(nb, name: str, model, part: tuple, lam: float) -> float:
    """Return the objective of a trained linear model over that of the exact optimum, less 1."""
    X, y = part[0].flatten(1).double().numpy(), part[1].double().numpy()
    trained = np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])

    def J(theta: np.ndarray) -> float:
        value, *_ = nb.of_margin(LINEAR[name], y * nb.linear_scores(theta, X))
        return value.mean() + lam / 2 * np.sum(theta[:-1] ** 2)

    return J(trained.astype(float)) / J(nb.optimum(X, y, LINEAR[name], lam)) - 1


def of_one(nb, name: str, seed: int, parts: dict, lam_of: dict) -> dict:
    """Train one model from one seed, and return what is kept of it."""
    model, *_ = nb.train_one(name, seed, parts["train"], lam_of)
    kept = {part: nb.missed(model, parts[part]) for part in ("test", "aside")}
    X, y = parts["test"]
    kept["moved"] = [nb.moved_errors(name, model, X, y, pixels) for pixels in nb.MOVES]
    if name in LINEAR:
        kept["above optimum"] = above_optimum(nb, name, model, parts["train"], lam_of[name])
    return kept


def of_few(nb, name: str, n: int, seed: int, parts: dict, lam_of: dict) -> int:
    """Return the test errors after n examples; linear models are taken at their optimum."""
    few, (X, y) = nb.draw(n, seed, parts["train"]), parts["test"]
    if name in LINEAR:
        theta = nb.optimum(few[0].flatten(1).numpy(), few[1].numpy(), LINEAR[name], lam_of[name])
        s = nb.linear_scores(theta, X.flatten(1).numpy())
        return int(nb.wrong(s, y.numpy()).sum())
    model, *_ = nb.train_one(name, seed, few, lam_of, steps=nb.STEPS)
    return int(nb.wrong(nb.predict(name, model, X), y).sum())


def measure(nb, digits, seeds: int, draws: int) -> Iterator[dict]:
    """Yield what has been measured so far, each time that one more seed of all models is done."""
    parts = dict(
        zip(("train", "validation", "aside"), nb.split(*digits[:2], (1, 7)), strict=True),
        test=nb.to_tensors(*digits[2:4], (1, 7)),
    )
    both = parts["train"], parts["validation"]
    lam_of = {name: nb.choose_penalty(loss, *both)[0] for name, loss in LINEAR.items()}
    lam_of["logistic, augmented"] = lam_of["logistic regression"]
    found = {"settings": settings(nb), "lam_of": lam_of}
    found["images"] = {name: len(y) for name, (_, y) in parts.items()}
    found["runs"] = {name: [] for name in nb.RECIPES}
    sizes = (*nb.SIZES, len(parts["train"][1]))
    found["few"] = {name: [[] for _ in sizes] for name in FEW}
    for seed in range(seeds):
        for name, runs in found["runs"].items():
            runs.append(of_one(nb, name, seed, parts, lam_of))
        for name, errors in found["few"].items() if seed < draws else ():
            for n, row in zip(sizes, errors, strict=True):
                row.append(of_few(nb, name, n, seed, parts, lam_of))
        yield found


def main() -> None:
    """Write the file after every seed, so that one may stop and look."""
    import torch

    torch.set_num_threads(1)
    nb = algorithms("classification")
    for found in measure(nb, mnist_pair(source="mnist"), SEEDS, DRAWS):
        write(FILE, json.dumps(found, separators=(",", ":")) + "\n")
        print(len(found["runs"]["CNN"]), "of", SEEDS, flush=True)


if __name__ == "__main__":
    main()
