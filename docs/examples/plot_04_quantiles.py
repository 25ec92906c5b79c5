"""
Quantiles: promises instead of means
====================================

"When will it arrive?" A mean is a poor answer: half of all parcels are later. What one can promise
is a quantile: nine in ten arrive by then. Delivery times are also skewed, and scatter more on long
routes, so that a symmetric band of one width would be wrong on both counts.
"""

# %%
# The data
# --------
# Times of deliveries over some distance; they are lognormal, and the longer the route, the more
# they scatter.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)


def draw(n):
    """Distances in km and times in hours."""
    distance = rng.uniform(0, 100, n)
    spread = 0.15 + 0.006 * distance
    return distance[:, None], (1 + 0.05 * distance) * np.exp(spread * rng.randn(n))


X, y = draw(1500)
X_new, y_new = draw(3000)

# %%
# One network, five quantiles
# ---------------------------
# A list of levels gives a network with a head for each of them. They share the hidden units, and
# cannot cross: each head adds something positive to the one below it.

levels = [0.05, 0.25, 0.5, 0.75, 0.95]
heads = TwoLayerRegressor(loss="quantile", quantile=levels, random_state=0).fit(X, y)
predicted = heads.predict(X_new)
print("shape of the prediction:", predicted.shape)
print("crossings:", int(np.sum(np.diff(predicted, axis=1) < 0)))
for level, share in zip(levels, np.mean(y_new[:, None] <= predicted, axis=0), strict=True):
    print(f"promised {level:4.0%}, held {share:6.1%} of new deliveries")

# %%
# The untouched regressor has quantiles as well: ``predict_quantiles`` takes its error bars and
# scales them by residuals of rows held out. They are right on average, at no extra cost. But its
# noise is the same everywhere, so they are too wide on short routes and too narrow on the longest.
# We count both, separately.

plain = TwoLayerRegressor(random_state=0).fit(X, y)
bands = {"quantile heads": predicted, "untouched": plain.predict_quantiles(X_new, levels)}
parts = {"below 20 km": X_new[:, 0] < 20, "above 80 km": X_new[:, 0] > 80}
for name, band in bands.items():
    held = (band[:, 0] <= y_new) & (y_new <= band[:, -1])
    shares = [f"{part}: {held[rows].mean():.1%}" for part, rows in parts.items()]
    print(f"{name:15s} 90 % bands held {', '.join(shares)}, all: {held.mean():.1%}")

# %%
grid = np.linspace(0, 100, 200)[:, None]
fig, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 4), sharey=True)
pictures = {
    "Quantile heads": heads.predict(grid),
    "Untouched": plain.predict_quantiles(grid, levels),
}
for ax, (name, band) in zip(axes, pictures.items(), strict=True):
    ax.plot(X[:, 0], y, ".", color="grey", markersize=2)
    ax.fill_between(
        grid[:, 0], band[:, 0], band[:, 4], color="tab:blue", alpha=0.2, label="5 to 95 %"
    )
    ax.fill_between(
        grid[:, 0], band[:, 1], band[:, 3], color="tab:blue", alpha=0.35, label="25 to 75 %"
    )
    ax.plot(grid[:, 0], band[:, 2], color="tab:blue", label="median")
    ax.set(xlabel="distance (km)", title=name, ylim=(-2, 20))
axes[0].set_ylabel("time (hours)")
axes[0].legend(loc="upper left")
plt.show()

# %%
# What is a late parcel worth?
# ----------------------------
# The pinball loss is what a wrong promise costs when lateness costs nine times as much as the same
# time too early. The 90 % quantile is the promise that minimises it.

from sklearn.metrics import mean_pinball_loss

promise = TwoLayerRegressor(loss="quantile", quantile=0.9, random_state=0).fit(X, y)
answers = {
    "mean of all times": np.full(len(X_new), y.mean()),
    "predicted mean": plain.predict(X_new),
    "90 % quantile of the untouched": plain.predict_quantiles(X_new, [0.9])[:, 0],
    "90 % quantile, its own loss": promise.predict(X_new),
}
for name, answer in answers.items():
    print(f"{name:31s} costs {mean_pinball_loss(y_new, answer, alpha=0.9):.3f}")

# %%
# **Take away.** ``loss="quantile"`` where you promise or stock up, and where the scatter changes
# along the columns. A list in ``quantile`` gives the whole picture in one fit, without crossings.
# ``predict_quantiles`` of any other fit is good where the scatter is about the same everywhere.
