"""Pack the ratings that ship with the project, again.

usage: python -m tools.pack_ratings ARCHIVE    writes ratings.npz, which `common.ratings` reads

ARCHIVE is ml-latest-small.zip as GroupLens offers it (https://grouplens.org/datasets/movielens/),
or a zip of its ratings.csv and movies.csv. The archive's README.txt, its licence, has to stay
beside ratings.npz in recommender-system/ml-latest-small/.
"""

import io
import sys
import zipfile

import numpy as np

from common.ratings import SHIPPED, ratings
from tools.project import write


def pack(archive) -> bytes:
    """Return an npz of the archive's ratings: small whole numbers, and names as lines of UTF-8."""
    found = ratings(archive)
    arrays = {
        "users": found.users.astype(np.uint16),
        "items": found.items.astype(np.uint16),
        "halves": (2 * found.ratings).astype(np.uint8),  # stars go by halves
        "times": found.times.astype(np.uint32),
        "people": np.frombuffer("\n".join(found.user_names).encode(), np.uint8),
        "films": np.frombuffer("\n".join(found.item_names).encode(), np.uint8),
    }
    return npz(arrays)


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Return arrays as a file that `numpy.load` reads, a fifth smaller than NumPy writes it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_LZMA)
    return packed.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(SHIPPED, pack(sys.argv[1]))
