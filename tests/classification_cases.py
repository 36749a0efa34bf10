"""What the tests of the classification notebook share."""

import torch

from tools.notebooks import algorithms

nb = algorithms("classification")
GRADIENTS = {
    nb.logistic_loss: nb.logistic_gradient,
    nb.hinge_loss: nb.hinge_gradient,
    nb.squared_hinge_loss: nb.squared_hinge_gradient,
}
LOSSES = list(GRADIENTS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def examples(n, seed=0, dtype=torch.float64):
    g = generator(seed)
    s = 3 * torch.randn(n, generator=g, dtype=dtype)
    return s, torch.where(torch.rand(n, generator=g) < 0.5, 1.0, -1.0).to(dtype)
