"""
Noise that varies, and the density of a new target
==================================================

Cheap flats are alike; dear ones are anything. Where the scatter itself depends on the columns, one
width of error bars is wrong nearly everywhere: too wide here, too narrow there. A second output for
the logarithm of the noise learns both, in one fit.
"""

# %%
# One curve, three ideas of the noise
# -----------------------------------
# The curve is a wave; the noise grows fivefold from left to right.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)


def noise_of(x):
    """Its deviation at x."""
    return 0.1 + 0.1 * (x + 2)


def draw(n):
    """Rows and targets."""
    x = rng.uniform(-2, 2, n)
    return x[:, None], np.sin(2 * x) + noise_of(x) * rng.randn(n)


X, y = draw(500)
X_new, y_new = draw(3000)
models = {
    noise: TwoLayerRegressor(noise=noise, random_state=0).fit(X, y)
    for noise in ("constant", "varying", "mixture")
}

# %%
# The fair score of what a model says about a new target is the logarithm of the density it gave to
# it, the greater the better. It rewards sharp bars where they are right, and punishes them where
# they are wrong. We also count what the 90 % intervals hold, on the quiet and on the noisy side.

quiet = X_new[:, 0] < -1
noisy = X_new[:, 0] > 1
best = -0.5 * np.log(2 * np.pi * noise_of(X_new[:, 0]) ** 2)
best = np.mean(best - 0.5 * ((y_new - np.sin(2 * X_new[:, 0])) / noise_of(X_new[:, 0])) ** 2)
for noise, model in models.items():
    low, high = model.predict_interval(X_new, coverage=0.9).T
    held = (low <= y_new) & (y_new <= high)
    density = model.log_predictive_density(X_new, y_new).mean()
    print(
        f"{noise:9s} log density {density:.3f}, held on the quiet side {held[quiet].mean():.0%}, "
        f"on the noisy side {held[noisy].mean():.0%}, in all {held.mean():.0%}"
    )
print(f"{'the truth':9s} log density {best:.3f}")

# %%
grid = np.linspace(-2, 2, 200)[:, None]
fig, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 3.8), sharey=True)
for ax, noise in zip(axes, ("constant", "varying"), strict=True):
    low, high = models[noise].predict_interval(grid, coverage=0.9).T
    ax.plot(X[:, 0], y, ".", color="black", markersize=3)
    ax.fill_between(grid[:, 0], low, high, color="tab:blue", alpha=0.3, label="90 % interval")
    ax.plot(grid[:, 0], models[noise].predict(grid), color="tab:blue", label="prediction")
    ax.set(title=f'noise="{noise}"', xlabel="x")
axes[0].set_ylabel("y")
axes[1].legend(loc="lower left")

# %%
# What was learnt about the noise:

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.2))
ax.plot(grid[:, 0], noise_of(grid[:, 0]), "k:", label="truth")
for noise, style in (("constant", "--"), ("varying", "-"), ("mixture", "-.")):
    ax.plot(grid[:, 0], models[noise].predict(grid, return_std=True)[1], style, label=noise)
ax.set(xlabel="x", ylabel="deviation of a new target", ylim=(0, None))
ax.legend()

# %%
# When the noise does *not* vary
# ------------------------------
# A second output has more to learn, and on few rows it may see patterns in noise that are none.
# ``noise="mixture"`` averages both ideas, with weights that held-out rows decide, and so is the
# safe choice, at two to three times the time.

X_few, x = rng.uniform(-2, 2, size=(60, 1)), rng.uniform(-2, 2, 2000)
y_few = np.sin(2 * X_few[:, 0]) + 0.3 * rng.randn(60)
y_test = np.sin(2 * x) + 0.3 * rng.randn(2000)
for noise in models:
    model = TwoLayerRegressor(noise=noise, random_state=0).fit(X_few, y_few)
    print(f"{noise:9s} log density {model.log_predictive_density(x[:, None], y_test).mean():.3f}")
plt.show()

# %%
# **Take away.** If you suspect that the noise varies, compare ``log_predictive_density`` on new
# rows; ``"mixture"`` if you do not want to decide. For quantities that are skewed as well,
# quantiles as targets say more.
