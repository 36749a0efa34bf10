"""The classification notebook as a page: its parts, its stored seeds, and every cell once more."""

import ast
import json

import numpy as np
import pytest
import torch
from classification_cases import generator, nb

from common.digits import mnist_pair
from tools import seeds
from tools.notebooks import code_cells, read, source
from tools.project import NOTEBOOKS

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "classification")


def real():
    try:
        return mnist_pair(source="mnist")
    except RuntimeError:
        pytest.skip("needs MNIST")


@pytest.fixture(scope="module")
def images():
    strokes = mnist_pair(source="strokes")
    return strokes.train_images[:600], strokes.train_labels[:600]


# Parts -----------------------------------------------------------------------------------------


def test_three_parts_are_the_whole_and_nothing_twice(images):
    X, y = nb.to_tensors(*images, (1, 7))
    parts = nb.split(*images, (1, 7), n_validation=50)
    assert [len(part[0]) for part in parts[1:2]] == [50]
    together = [(torch.cat(each)) for each in zip(*parts, strict=True)]
    key = lambda X, y: sorted((x.numpy().tobytes(), v) for x, v in zip(X, y.tolist(), strict=True))  # noqa: E731
    assert key(*together) == key(X, y)
    assert 0.1 < len(parts[2][0]) / len(X) < 0.3


def test_what_is_set_aside_depends_on_the_pixels_alone(images):
    X, labels = images
    kept = {x.numpy().tobytes() for x in nb.split(X, labels, (1, 7), 50)[2][0]}
    for order in (np.arange(600)[::-1], np.random.default_rng(0).integers(0, 600, 900)):
        again = nb.split(X[order], labels[order], (1, 7), 50)
        assert {x.numpy().tobytes() for x in again[2][0]} <= kept
        assert not {x.numpy().tobytes() for x in torch.cat([again[0][0], again[1][0]])} & kept


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 0), (-2, 0), (0, 4), (0, -4), (3, -1)])
def test_moved_images_are_where_they_belong_and_paper_comes_in(rows, columns):
    X = torch.zeros(1, 1, 28, 28)
    X[0, 0, 10, 12], X[0, 0, 0, 0], X[0, 0, 27, 27] = 0.5, 0.7, 0.9
    expected = torch.zeros_like(X)
    for i, j in ((10, 12), (0, 0), (27, 27)):
        if 0 <= i + rows < 28 and 0 <= j + columns < 28:
            expected[0, 0, i + rows, j + columns] = X[0, 0, i, j]
    assert torch.equal(nb.move(X, rows, columns), expected)


def test_moved_errors_are_the_mean_of_four_directions():
    X, y = torch.zeros(2, 1, 28, 28), torch.tensor([1.0, -1.0])
    X[0, 0, 10, 10] = 1
    model = nb.linear()
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.fill_(-0.5)
        model[1].weight.view(28, 28)[8:11, 10] = 1  # it sees the point where it is, and two above
    assert nb.moved_errors("logistic regression", model, X, y, 0) == 0
    assert nb.moved_errors("logistic regression", model, X, y, 2) == 3 / 4


@pytest.mark.parametrize("n", [2, 10, 300])
def test_few_examples_hold_both_digits_and_begin_alike(images, n):
    data = nb.to_tensors(*images, (1, 7))
    X, y = nb.draw(n, 3, data)
    assert len(X) == len(y) == n
    assert set(y.tolist()) == {-1.0, 1.0}
    more = nb.draw(n + 1, 3, data)
    assert torch.equal(more[0][:n], X)
    assert not torch.equal(nb.draw(n, 4, data)[0], X)


# Choosing and training -------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["logistic", "squared hinge"])
def test_the_strongest_of_the_good_penalties_is_chosen(images, loss):
    train, validation, _ = nb.split(*images, (1, 7), 100)
    chosen, rows = nb.choose_penalty(loss, train, validation, (1.0, 1e-1, 1e-2, 1e-3))
    values = {lam: value for lam, value, _ in rows}
    good = [lam for lam, value in values.items() if value <= 1.03 * min(values.values())]
    assert chosen == max(good)
    for lam, value, errors in rows:
        theta = nb.optimum(train[0].flatten(1).numpy(), train[1].numpy(), loss, lam)
        s = nb.linear_scores(theta, validation[0].flatten(1).double().numpy())
        m = s * validation[1].numpy()
        expected = np.logaddexp(0, -m) if loss == "logistic" else np.maximum(0, 1 - m) ** 2
        assert value == pytest.approx(expected.mean(), rel=1e-3)
        assert errors == (m <= 0).sum()


def test_a_training_takes_as_many_steps_as_asked_up_to_a_whole_epoch(images):
    data = nb.to_tensors(*(part[:130] for part in images), (1, 7))  # three batches
    _, history, _ = nb.train_one("logistic regression", 0, data, {}, steps=7)
    assert len(history) == 3
    _, history, _ = nb.train_one("logistic regression", 0, data, {})
    assert len(history) == nb.RECIPES["logistic regression"][3]


@pytest.mark.parametrize("name", ["logistic regression", "CNN"])
def test_what_is_missed_is_counted_with_one_opinion_and_with_five(images, name):
    X, y = nb.to_tensors(*(part[:40] for part in images), (1, 7))
    model = nb.initialise(nb.RECIPES[name][0](), generator())
    one, five = nb.missed(model, (X, y))
    assert one == torch.where(nb.scores(model, X) * y <= 0)[0].tolist()
    assert five == torch.where(nb.scores(model, X, nb.SHIFTED) * y <= 0)[0].tolist()
    assert torch.equal(nb.predict(name, model, X), nb.scores(model, X, nb.RECIPES[name][-1]))


# Stored seeds ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored():
    return json.loads(seeds.FILE.read_text(encoding="utf-8"))


def test_stored_seeds_belong_to_these_recipes(stored):
    assert stored["settings"] == json.loads(json.dumps(seeds.settings(nb)))
    assert stored["runs"].keys() == nb.RECIPES.keys()
    assert len({len(runs) for runs in stored["runs"].values()}) == 1
    for runs in stored["runs"].values():
        for run in runs:
            for part in ("test", "aside"):
                assert all(0 <= i < stored["images"][part] for both in run[part] for i in both)
    assert {len(rows) for rows in stored["few"].values()} == {len(nb.SIZES) + 1}


def test_a_stored_seed_comes_again(stored):
    digits = real()
    train, validation, aside = nb.split(*digits[:2], (1, 7))
    test = nb.to_tensors(*digits[2:4], (1, 7))
    sizes = {"train": train, "validation": validation, "aside": aside, "test": test}
    assert {name: len(part[1]) for name, part in sizes.items()} == stored["images"]
    model, *_ = nb.train_one("linear SVM", 0, train, stored["lam_of"])
    for part, both in (("test", nb.missed(model, test)), ("aside", nb.missed(model, aside))):
        for ours, theirs in zip(both, stored["runs"]["linear SVM"][0][part], strict=True):
            assert len(set(ours) ^ set(theirs)) <= 2  # another processor rounds otherwise


def test_the_tool_measures_what_it_stores(images, monkeypatch):
    monkeypatch.setattr(nb, "SIZES", (10,))
    monkeypatch.setattr(nb, "STEPS", 4)
    short = {name: (*recipe[:3], 1, *recipe[4:]) for name, recipe in nb.RECIPES.items()}
    monkeypatch.setattr(nb, "RECIPES", short)
    monkeypatch.setattr(nb, "split", lambda X, y, d: _split(X, y, d, 50))
    found = list(seeds.measure(nb, mnist_pair(source="strokes")._replace(**_few(images)), 2, 1))
    assert len(found) == 2
    assert {len(runs) for runs in found[-1]["runs"].values()} == {2}
    assert {len(row) for rows in found[-1]["few"].values() for row in rows} == {1}
    json.dumps(found[-1], allow_nan=False)


_split = nb.split


def _few(images):
    X, y = images
    return {"train_images": X, "train_labels": y, "test_images": X[:50], "test_labels": y[:50]}


OWN_SCOPE = (
    *(ast.FunctionDef, ast.Lambda, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def bound(cell):
    """Return the names that a cell binds for later cells, loop variables apart."""
    code = ast.parse(source(cell))
    loops = [node.target for node in ast.walk(code) if isinstance(node, ast.For)]
    loops = {n.id for target in loops for n in ast.walk(target) if isinstance(n, ast.Name)}
    scopes = [node for node in ast.walk(code) if isinstance(node, OWN_SCOPE)]
    inner = {id(name) for scope in scopes for name in ast.walk(scope)}
    names = [n for n in ast.walk(code) if isinstance(n, ast.Name) and id(n) not in inner]
    stored = {n.id for n in names if isinstance(n.ctx, ast.Store)} - loops
    return stored | {n.name for n in code.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}


def test_no_name_is_bound_in_two_cells():
    places = {}
    for cell in code_cells({"cells": read(NOTEBOOK).cells}):
        for name in bound(cell):
            places.setdefault(name, []).append(cell["id"])
    twice = {
        name: ids for name, ids in places.items() if len(ids) > 1 and name not in ("fig", "ax")
    }
    assert {n: ids for n, ids in twice.items() if not n.startswith("_")} == {}
