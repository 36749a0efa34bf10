"""An album's palette by workers: for any cut, and whoever dies, that of all photos together."""

import os
import signal
import time
from pathlib import Path

import dask
import numpy as np
import pytest
from bad_arguments import refuses
from clustering_cases import nb, seeds, small_photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common import cluster
from common.photos import photo

pytestmark = pytest.mark.filterwarnings("default")  # Dask warns of what it mends itself


class Here:
    """A client's methods, at once and in this process."""

    def nthreads(self):
        return {"here": 1}

    def submit(self, function, *arguments, pure=True, workers=None, allow_other_workers=False, **kw):
        return Result(function(*map(value, arguments), **{k: value(v) for k, v in kw.items()}))

    def map(self, function, *lists, **more):
        return [self.submit(function, *each, **more) for each in zip(*lists, strict=True)]

    def gather(self, results):
        return [each.result() for each in results]


class Result:
    def __init__(self, made):
        self.made = made

    def result(self):
        return self.made


def value(argument):
    if isinstance(argument, list):
        return [*map(value, argument)]
    return argument.made if isinstance(argument, Result) else argument
