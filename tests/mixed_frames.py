"""A table as they come, for tests of the encoding: numbers, categories, missing values."""

import numpy as np
import pandas as pd

from sklearn_twolayer import TwoLayerRegressor

CITIES = ["Ulm", "Aachen", "Kiel", "Bonn"]


def frame(n_rows, seed=0, cities=CITIES):
    """Numbers, some missing, one of few values; a category with missing values; one of integers."""
    rng = np.random.RandomState(seed)
    age, income = rng.randn(n_rows), np.exp(rng.randn(n_rows))
    age[rng.rand(n_rows) < 0.1] = np.nan
    city = np.array(cities, dtype=object)[rng.randint(len(cities), size=n_rows)]
    city[rng.rand(n_rows) < 0.1] = None
    return pd.DataFrame(
        {
            "city": pd.Categorical(city),
            "age": age,
            "rooms": rng.randint(1, 5, n_rows).astype(float),
            "code": pd.Categorical(rng.choice([7, -2, 30], n_rows)),
            "income": income,
        }
    )


def targets(X, estimator, seed=1):
    """What depends on all columns, in two classes or as a number."""
    noise = np.random.RandomState(seed).randn(len(X))
    y = X["age"].fillna(0.5) + X["city"].isin(["Ulm", "Kiel"]) + np.log(X["income"])
    y = np.asarray(y + (X["code"] == 30) * X["rooms"].fillna(2) + 0.3 * noise)
    return y if estimator is TwoLayerRegressor else np.where(y > np.median(y), "yes", "no")


def outputs(fitted, X):
    """Probabilities, or predictions."""
    return getattr(fitted, "predict_proba", fitted.predict)(X)
