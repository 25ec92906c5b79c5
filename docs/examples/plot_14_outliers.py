"""
Rows that are wrong: outliers and robust losses
===============================================

A decimal point in the wrong place, a sensor that reports its largest value when it fails: a few
targets are nonsense. A squared error takes them seriously, the more the further off they are. Two
losses do not.
"""

# %%
# One row in twelve is nonsense
# -----------------------------

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
X = rng.uniform(-3, 3, size=(240, 1))
truth = np.sin(X[:, 0]) + 0.3 * X[:, 0]
y = truth + 0.1 * rng.randn(240)
wrong = rng.permutation(240)[:20]
y[wrong] = 6.0
grid = np.linspace(-3, 3, 200)[:, None]
true_curve = np.sin(grid[:, 0]) + 0.3 * grid[:, 0]

# %%
# ``"absolute_error"`` predicts the median, which does not care how far off a target is.
# ``"huber"`` is square for small errors and linear for large ones, so that it predicts the mean of
# *most* rows; where small ends and large begins is told by the data unless you say so.

losses = {
    "squared_error": "mean of all rows",
    "huber": "mean of most rows",
    "absolute_error": "median",
}
models = {loss: TwoLayerRegressor(loss=loss, random_state=0).fit(X, y) for loss in losses}
for loss, meaning in losses.items():
    error = np.sqrt(np.mean((models[loss].predict(grid) - true_curve) ** 2))
    print(f"{loss:15s} {meaning:18s} error of the curve {error:.3f}")
print("threshold that huber has found:", models["huber"].huber_delta_.round(2))

# %%
fig, ax = plt.subplots(layout="constrained")
ax.plot(X[:, 0], y, ".", color="grey", markersize=4, label="rows")
ax.plot(grid[:, 0], true_curve, "k:", linewidth=2, label="truth")
for (loss, model), style in zip(models.items(), ("-.", "-", "--"), strict=True):
    ax.plot(grid[:, 0], model.predict(grid), style, label=loss)
ax.set(xlabel="x", ylabel="y")
ax.legend(loc="center left")

# %%
# Which rows were wrong?
# ----------------------
# A robust fit finds them: their residuals are large, in units of what is usual.

residual = np.abs(y - models["huber"].predict(X))
usual = np.median(residual) / 0.6745
suspects = np.flatnonzero(residual > 5 * usual)
found = len(np.intersect1d(suspects, wrong))
print(f"{len(suspects)} suspects; {found} of the {len(wrong)} wrong rows are among them")

# %%
# Look at such rows before you delete them. What is nonsense in one table is the most interesting
# row of another.

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3))
ax.semilogy(np.arange(240), residual / usual, ".", color="grey", label="all rows")
ax.semilogy(wrong, residual[wrong] / usual, "x", color="#D55E00", label="wrong ones")
ax.axhline(5, color="black", linestyle=":")
ax.set(xlabel="row", ylabel="residual / usual one")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %%
# **Take away.** ``loss="huber"`` if you want a mean and distrust some rows, ``"absolute_error"``
# if a median is what you want anyway. Both are fitted as usual, choose their regularisation by
# themselves, and have intervals.
