"""
Active learning: which row to measure next
==========================================

When each label costs an experiment, do not choose rows by chance: measure where the model knows
least. That takes a model that knows what it does not know, and this one says so after every fit.
"""

# %%
# The experiment
# --------------
# An unknown response over two settings of a machine, with a little noise. Two hundred settings can
# be tried; we begin with eight of them and may pay for two more in each round.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import TwoLayerRegressor


def response(X):
    """Flat almost everywhere, with a hill and a valley in one corner."""
    hill = np.exp(-8 * ((X[:, 0] - 0.75) ** 2 + (X[:, 1] - 0.7) ** 2))
    valley = np.exp(-20 * ((X[:, 0] - 0.45) ** 2 + (X[:, 1] - 0.85) ** 2))
    return 3 * hill - 2 * valley + 0.5 * X[:, 0]


side = np.linspace(0, 1, 40)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
truth = response(grid)


def rounds(choose, seed, n_rounds=10):
    """Errors after each round, the last model, and what was measured."""
    rng = np.random.RandomState(seed)
    pool = rng.uniform(size=(200, 2))
    y = response(pool) + 0.03 * rng.randn(200)
    measured, errors = list(range(8)), []
    for _ in range(n_rounds):
        model = TwoLayerRegressor(8, n_members=2, skip=False, random_state=0).fit(
            pool[measured], y[measured]
        )
        errors.append(np.sqrt(np.mean((model.predict(grid) - truth) ** 2)))
        left = np.setdiff1d(np.arange(200), measured)
        measured += left[choose(model, pool[left], rng)].tolist()
    return errors, model, pool[measured]


# %%
# Two ways to choose. The deviation of ``return_std`` holds the noise as well, but that is the same
# everywhere, so the largest deviation is where the *curve* is least known.


def by_chance(model, candidates, rng):
    """Two rows at random."""
    return rng.choice(len(candidates), 2, replace=False)


def by_deviation(model, candidates, rng):
    """The least certain row, and the least certain one of those at some distance from it."""
    deviation = model.predict(candidates, return_std=True)[1]
    first = deviation.argmax()
    distance = np.linalg.norm(candidates - candidates[first], axis=1)
    return [first, np.where(distance > 0.2, deviation, 0).argmax()]


strategies = {"by chance": by_chance, "least certain": by_deviation}
found = {name: [rounds(one, seed) for seed in range(2)] for name, one in strategies.items()}
errors = {name: np.mean([each[0] for each in runs], axis=0) for name, runs in found.items()}
print("rows measured ", *(f"{8 + 2 * k:6d}" for k in range(0, 10, 2)))
for name, error in errors.items():
    print(f"{name:14s}", *(f"{error[k]:6.3f}" for k in range(0, 10, 2)))

# %%
# The error on the whole grid, the mean of two repetitions:

n_rows = 8 + 2 * np.arange(10)
fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.8))
ax.semilogy(n_rows, errors["by chance"], "s--", color="tab:orange", label="by chance")
ax.semilogy(n_rows, errors["least certain"], "o-", color="tab:blue", label="least certain")
ax.set(xlabel="rows measured", ylabel="error of the response")
ax.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
ax.minorticks_off()
ax.legend()

# %%
# Where did they look? Dots are what was measured in one repetition; the colour shows what the model
# still does not know.

fig, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 4.2), sharey=True)
for ax, (name, runs) in zip(axes, found.items(), strict=True):
    _, model, measured = runs[0]
    deviation = model.predict(grid, return_std=True)[1].reshape(40, 40)
    picture = ax.contourf(side, side, deviation, levels=12, cmap="cividis")
    ax.contour(side, side, truth.reshape(40, 40), colors="white", linewidths=0.7, levels=8)
    ax.plot(*measured.T, "o", color="#D55E00", markeredgecolor="white", markersize=6)
    ax.set(title=name, xlabel="first setting")
    fig.colorbar(picture, ax=ax, label="deviation of a new target")
axes[0].set_ylabel("second setting")
plt.show()

# %%
# **Take away.** ``predict(X, return_std=True)`` turns a list of candidates into a list of
# priorities. The same deviations tell when to stop: when the largest of them is the noise, more
# rows will not teach anything new.
