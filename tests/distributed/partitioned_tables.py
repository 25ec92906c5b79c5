"""Tables with columns of all kinds, and how they are cut into partitions."""

import dask
import numpy as np
import pandas as pd

N_ROWS = 150
CUTS = {
    "1": [],
    "3, one empty": [70, 70],
    "17 uneven, two empty": [0, 1, 2, 3, 9, 9, 20, 30, 31, 60, 61, 90, 100, 120, 121, 149],
}
"""Where they are cut."""


def cut(table, cuts):
    """The parts of a table, or as many Nones."""
    ends = list(zip([0, *cuts], [*cuts, N_ROWS], strict=True))
    if table is None:
        return [None] * len(ends)
    return [(table.iloc if hasattr(table, "iloc") else table)[slice(*end)] for end in ends]


def delayed(cuts, *tables):
    parts = (cut(table, cuts) for table in tables)
    return [dask.delayed(rows) for rows in zip(*parts, strict=True)]


def frame(rng):
    """Columns of all kinds, some missing; a level in one row only, levels alike but for numbers."""
    text = np.array(["Ulm", "Kiel", "Bonn"], dtype=object)[rng.randint(3, size=N_ROWS)]
    text[rng.rand(N_ROWS) < 0.2] = None
    text[77] = "Aachen"
    tied = np.resize(["e", "d", "c", "b", "a"], N_ROWS)
    number = rng.randn(N_ROWS)
    number[rng.rand(N_ROWS) < 0.2] = np.nan
    objects = pd.Series(rng.randint(9, size=N_ROWS), dtype=object)
    objects[5] = None
    late = np.full(N_ROWS, None, dtype=object)
    late[-40:] = "x"
    nullable = pd.Series(rng.randint(1, 5, N_ROWS), dtype="Int8").mask(rng.rand(N_ROWS) < 0.1)
    return pd.DataFrame(
        {
            "number": number,
            "text": pd.Series(text, dtype=object),
            "arrow": pd.Series(text, dtype="string[pyarrow]"),
            "tied": pd.Categorical(tied, categories=sorted(set(tied)), ordered=True),
            "code": pd.Categorical(rng.choice([7, -2, 30], N_ROWS)),
            "flag": rng.rand(N_ROWS) < 0.5,
            "integer": rng.randint(1, 5, N_ROWS),
            "nullable": nullable,
            "objects": objects,
            "late": late,
            "never": np.nan,
        }
    )


def array(rng):
    return rng.randn(N_ROWS, 3)


def single(rng):
    """Numbers in single precision, and a column of objects that is missing in most partitions."""
    late = np.full(N_ROWS, None, dtype=object)
    late[-40:] = "x"
    numbers = pd.DataFrame(rng.randn(N_ROWS, 2).astype("f4"), columns=["a", "b"])
    return numbers.assign(c=list("xyz") * 50, late=late)


X_OF_KINDS = {"frame": frame, "array": array, "float32": single}
