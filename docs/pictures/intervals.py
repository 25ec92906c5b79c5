"""Intervals by residuals and normal error bars, where noise has heavy tails."""

import numpy as np
import style
from scipy.stats import norm

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
X = rng.uniform(-3, 3, size=(5000, 1))
y = np.sin(X[:, 0]) + 0.15 * rng.standard_t(1.8, size=5000)
model = TwoLayerRegressor(n_members=2, random_state=0).fit(X[:1000], y[:1000])

grid = np.linspace(-3, 3, 201)[:, None]
mean, deviation = model.predict(grid, return_std=True)
figure, (left, right) = style.panels()
left.plot(X[:1000], y[:1000], ".", color="0.75", markersize=2)
width = norm.ppf(0.9) * deviation
left.fill_between(
    grid[:, 0], mean - width, mean + width, color=style.RED, alpha=0.25, label="normal"
)
left.fill_between(
    grid[:, 0], *model.predict_interval(grid, 0.8).T, color=style.BLUE, alpha=0.4, label="interval"
)
left.set(title="80 per cent", xlabel="x", ylim=(-3, 3))
left.legend(fontsize="small", loc="upper left")

X, y = X[1000:], y[1000:]
mean, deviation = model.predict(X, return_std=True)
nominal = np.linspace(0.05, 0.95, 19)
bounds = [model.predict_interval(X, c).T for c in nominal]
held = [np.mean((y >= low) & (y <= high)) for low, high in bounds]
normal = [np.mean(abs(y - mean) <= norm.ppf((1 + c) / 2) * deviation) for c in nominal]
right.plot([0, 1], [0, 1], color="0.7", linewidth=1)
right.plot(nominal, normal, "s", markersize=4, color=style.RED, label="normal error bars")
right.plot(nominal, held, "o", markersize=4, color=style.BLUE, label="predict_interval")
right.set(xlabel="nominal coverage", ylabel="coverage of 4,000 new rows", aspect="equal")
right.legend(fontsize="small", loc="lower right")
style.save(figure)
