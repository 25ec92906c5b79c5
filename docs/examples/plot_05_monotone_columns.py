"""
Columns that may only raise the prediction
==========================================

Sometimes more is known than the data say. A larger flat does not get cheaper, a higher dose does
not weaken the effect, and a bank has to explain why more income never lowers a score. With few
and noisy rows a free model breaks such rules by chance. ``monotonic_cst`` makes it keep them,
everywhere, not only where there were rows.
"""

# %%
# Few, noisy rows
# ---------------
# Rents of forty flats, by size and by the year they were built. The rent rises with the size and
# levels off; of the year nothing is known in advance. Large flats are few, and there a free model
# has to guess.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)


def draw(n):
    """Flats and their rents."""
    size = (20 + rng.gamma(2.5, 18, n)).clip(20, 180)
    X = pd.DataFrame({"size": size, "year": rng.uniform(1900, 2020, n)})
    return X, true_rent(X) + 200 * rng.randn(n)


def true_rent(X):
    """Of the average flat of a size and year."""
    return 1500 * np.tanh(X["size"] / 40) + 2 * np.abs(X["year"] - 1960)


new = {"size": rng.uniform(20, 180, 2000), "year": rng.uniform(1900, 2020, 2000)}
X_new = pd.DataFrame(new)
X, y = draw(40)

# %%
# The rule is a dictionary: 1 for rising, -1 for falling; what it does not name is free. The
# networks then have knots in the column, and keep the signs of all weights along every path from
# it to the prediction. To see what the rule does we compare with the same kind of network without
# it.

same = {"solver": "adam", "encoding": "piecewise_linear", "hidden_size": 100, "random_state": 0}
free = TwoLayerRegressor(**same).fit(X, y)
ruled = TwoLayerRegressor(**same, monotonic_cst={"size": 1}).fit(X, y)


def error_of(model):
    """Root mean square, against the truth, over flats of all sizes alike."""
    return np.sqrt(np.mean((model.predict(X_new) - true_rent(X_new)) ** 2))


grid = pd.DataFrame({"size": np.linspace(20, 180, 400)})
for name, model in (("free", free), ("with the rule", ruled)):
    curves = [model.predict(grid.assign(year=float(year))) for year in (1900, 1960, 2020)]
    falls = max(np.max(np.maximum.accumulate(curve) - curve) for curve in curves)
    print(f"{name:14s} falls by up to {falls:3.0f}, error {error_of(model):.0f}")

# %%
# No step of the constrained curve goes down, in any year. And the rule is information, so it
# can help the error, too, most of all where rows are few.

fig, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 4), sharey=True)
for ax, (name, model) in zip(axes, {"Free": free, "With the rule": ruled}.items(), strict=True):
    ax.plot(X["size"], y, "o", color="black", markersize=3, alpha=0.5, label="flats")
    for year, style in zip((1900, 1960, 2020), ("-", "--", "-."), strict=True):
        curve = model.predict(grid.assign(year=float(year)))
        ax.plot(grid["size"], curve, style, label=f"built in {year}")
    ax.set(xlabel="size (square metres)", title=name)
axes[0].set_ylabel("rent")
axes[1].legend()

# %%
# How much is the rule worth?
# ---------------------------
# The same comparison for ever more rows, each the mean of four tables.

sizes, errors = [40, 80, 160, 320], {"free": [], "with the rule": []}
for size in sizes:
    found = {name: [] for name in errors}
    for _ in range(4):
        X, y = draw(size)
        for name, rule in (("free", None), ("with the rule", {"size": 1})):
            model = TwoLayerRegressor(**same, monotonic_cst=rule).fit(X, y)
            found[name].append(error_of(model))
    for name, values in found.items():
        errors[name].append(np.mean(values))
    print(f"{size:4d} flats:", ", ".join(f"{name} {e[-1]:.0f}" for name, e in errors.items()))

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.4))
ax.plot(sizes, errors["free"], "s--", color="tab:orange", label="free")
ax.plot(sizes, errors["with the rule"], "o-", color="tab:blue", label="with the rule")
ax.set(xscale="log", xlabel="flats to train on", ylabel="error of the rent", ylim=(0, None))
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# **Take away.** ``monotonic_cst={"column": 1}`` is a promise that holds for every row there is, for
# predictions, quantiles and the probabilities of two classes. Constrained fits are by Adam and
# have knots; error bars do not know of the rule and are on the wide side.
