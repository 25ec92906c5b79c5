"""Quantile bands on skewed data: ``python benchmarks/quantiles.py PICTURE.png``.

One column; targets that are skewed, and scatter more where the column is large. On the left the
quantiles are heads of one network, on the right those of an untouched regressor by its residuals.
"""

import argparse
from pathlib import Path

import numpy as np

from sklearn_twolayer import TwoLayerRegressor

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NORMAL_QUANTILES = (-1.6449, -0.6745, 0.0, 0.6745, 1.6449)
GRID = np.linspace(0, 4, 401)


def middle(x):
    """The median of the targets' logarithm."""
    return 0.5 + np.sin(1.5 * x) / 2 + 0.2 * x


def width(x):
    """The deviation of the targets' logarithm."""
    return 0.15 + 0.15 * x


def truth(x):
    """The quantiles of the targets (n_rows, n_levels)."""
    return np.exp(middle(x)[:, None] + width(x)[:, None] * np.array(NORMAL_QUANTILES))


def data(n_rows=1000):
    """Columns and lognormal targets."""
    random_state = np.random.RandomState(0)
    x = random_state.uniform(0, 4, n_rows)
    return x[:, None], np.exp(middle(x) + width(x) * random_state.standard_normal(n_rows))


def draw(ax, found, title):
    """The bands between quantiles, and where they are in truth."""
    X, y = data()
    ax.plot(X, y, ".", color="0.6", markersize=2, label="data")
    blue = {"color": "tab:blue", "linewidth": 0}
    ax.fill_between(GRID, found[:, 0], found[:, 4], alpha=0.25, label="5 to 95 %", **blue)
    ax.fill_between(GRID, found[:, 1], found[:, 3], alpha=0.35, label="25 to 75 %", **blue)
    ax.plot(GRID, found[:, 2], color="tab:blue", label="median")
    ax.plot(GRID, truth(GRID), color="black", linewidth=0.8, linestyle="--")
    ax.plot([], [], color="black", linewidth=0.8, linestyle="--", label="truth")
    ax.set(xlim=(0, 4), ylim=(0, 14), xlabel="x")
    ax.set_title(title, fontsize=10)


def main(arguments=None):
    """Draw the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args(arguments)
    X, y = data()
    heads = TwoLayerRegressor(loss="quantile", quantile=LEVELS, random_state=0).fit(X, y)
    untouched = TwoLayerRegressor(random_state=0).fit(X, y)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    draw(left, heads.predict(GRID[:, None]), 'loss="quantile", quantile=[0.05, ..., 0.95]')
    by_residuals = untouched.predict_quantiles(GRID[:, None], LEVELS)
    draw(right, by_residuals, 'loss="squared_error", predict_quantiles(X, [0.05, ..., 0.95])')
    left.set_ylabel("y")
    left.legend(loc="upper left", fontsize="small", frameon=False)
    figure.savefig(options.picture, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
