"""The four notebooks as files: which they are, and the algorithms in them."""

import json
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = [
    ROOT / "regression" / "linear_vs_ridge.ipynb",
    ROOT / "classification" / "mnist_classifiers_logreg_svm_nn_cnn.ipynb",
    ROOT / "clustering" / "image_segmentation_kmeans_kmedoids.ipynb",
    ROOT / "recommender-system" / "matrix_factorization.ipynb",
]


def algorithms(name: str) -> SimpleNamespace:
    """Execute the cells tagged `algorithm` of the notebook in folder `name`, and nothing else."""
    (path,) = (path for path in NOTEBOOKS if path.parent.name == name)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    namespace = {"__name__": path.stem}
    for i, cell in enumerate(cells):
        if "algorithm" in cell["metadata"].get("tags", []):
            exec(compile("".join(cell["source"]), f"{path.name}[{i}]", "exec"), namespace)
    return SimpleNamespace(**namespace)
