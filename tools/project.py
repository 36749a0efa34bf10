"""The project: where it lies, where it is published, which notebooks it has."""

import os
import sys
from pathlib import Path

from common.environment import ROOT, settings

BUILD = ROOT / "build"
PROJECT = settings()
ADDRESS = PROJECT["urls"]["Repository"]
NOTEBOOKS = [
    ROOT / "regression" / "linear_vs_ridge.ipynb",
    ROOT / "classification" / "mnist_classifiers_logreg_svm_nn_cnn.ipynb",
    ROOT / "clustering" / "image_segmentation_kmeans_kmedoids.ipynb",
    ROOT / "recommender-system" / "matrix_factorization.ipynb",
]


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8 with Unix line ends."""
    if isinstance(content, str):
        content = content.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)


def survive_any_console() -> None:
    """Let a console that lacks a letter, as cp1252 lacks λ and ✓, show a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
