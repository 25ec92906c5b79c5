"""A small table for the tools that the estimators are handed to."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def rows():
    """Four columns, of which the last two tell nothing."""
    return np.random.RandomState(0).randn(200, 4)


@pytest.fixture(scope="session")
def quantities(rows):
    noise = np.random.RandomState(1).randn(len(rows))
    return rows[:, 0] + rows[:, 1] ** 2 + 0.2 * noise


@pytest.fixture(scope="session")
def labels(quantities):
    return (quantities > 1).astype(int)


@pytest.fixture(scope="session")
def frame(rows):
    """The same columns by name, and a category."""
    cities = np.random.RandomState(2).choice(["Kiel", "Ulm", "Bonn"], len(rows))
    return pd.DataFrame(rows, columns=list("abcd")).assign(city=pd.Categorical(cities))
