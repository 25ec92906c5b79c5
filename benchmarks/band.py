"""A fit, its error band and the data: ``python benchmarks/band.py PICTURE.png``.

One column, noisy targets, a gap in the data, room beyond their ends: the band should widen there.
"""

import argparse
from pathlib import Path

import numpy as np

from sklearn_twolayer import TwoLayerRegressor

NOISE = 0.15
STRETCHES = ((-4.0, -0.6), (1.2, 4.0))
GRID = np.linspace(-5.5, 5.5, 551)


def truth(x):
    """The function behind the data."""
    return np.sin(1.5 * x) + 0.2 * x


def data(n_rows=80):
    """Columns and noisy targets, from the stretches alone."""
    random_state = np.random.RandomState(0)
    x = np.concatenate([random_state.uniform(*ends, n_rows // 2) for ends in STRETCHES])
    return x[:, None], truth(x) + NOISE * random_state.standard_normal(len(x))


def draw(ax, model):
    """Fit the model and draw what it believes."""
    X, y = data()
    mean, deviation = model.fit(X, y).predict(GRID[:, None], return_std=True)
    band = {"color": "tab:blue", "linewidth": 0}
    total = "±2 standard deviations of a new target"
    ax.fill_between(
        GRID, mean - 2 * deviation, mean + 2 * deviation, alpha=0.2, label=total, **band
    )
    noise = "±2 standard deviations of the noise alone"
    ax.fill_between(GRID, mean - 2 * NOISE, mean + 2 * NOISE, alpha=0.3, label=noise, **band)
    ax.plot(GRID, mean, color="tab:blue", label="prediction")
    ax.plot(GRID, truth(GRID), color="black", linewidth=1, linestyle="--", label="truth")
    ax.plot(X, y, ".", color="tab:red", markersize=5, label="data")
    ax.set(xlim=(GRID[0], GRID[-1]), ylim=(-4, 4), xlabel="x", ylabel="y")
    ax.legend(loc="upper left", fontsize="small", ncols=2, frameon=False)


def main(arguments=None):
    """Draw the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args(arguments)
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    draw(ax, TwoLayerRegressor(random_state=0))
    ax.set_title("TwoLayerRegressor().fit(X, y).predict(X, return_std=True)", fontsize=11)
    figure.savefig(options.picture, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
