"""What all tests share: Hypothesis draws the same examples everywhere, without a time limit."""

import pytest
from hypothesis import settings
from published import leading_to, publish

from common import evidence, plotting
from tools.notebooks import load
from tools.project import NOTEBOOKS

# A slow, busy machine must not fail a test, and a failure must come back on the next run.
settings.register_profile("collection", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("collection")


@pytest.fixture
def shown(monkeypatch):
    """Collect what `common` displays, as (data, metadata)."""
    displayed = []
    for module in (evidence, plotting):
        monkeypatch.setattr(
            module, "display", lambda data, metadata, raw: displayed.append((data, metadata))
        )
    return displayed


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.parent.name)
def path(request):
    """Each of the notebooks' files."""
    return request.param


@pytest.fixture
def notebook(path):
    """What is in that file."""
    return load(path)


@pytest.fixture(scope="session")
def fetching(tmp_path_factory):
    """Variables for which the project's address leads to a repository of this checkout."""
    return leading_to(publish(tmp_path_factory.mktemp("published")))
