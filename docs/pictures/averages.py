"""Two kinds of networks, their average, and how its weights are found by held-out rows."""

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor


def truth(x):
    """Smooth on the left, steps on the right."""
    return np.sin(2 * x) + 1.5 * (x > 3.3) - 1.5 * (x > 3.9) + (x > 4.4)


rng = np.random.RandomState(0)
x = rng.uniform(0, 5, 500)
y = truth(x) + 0.2 * rng.standard_normal(500)
X, X_held, y_kept, y_held = x[:400, None], x[400:, None], y[:400], y[400:]
smooth = TwoLayerRegressor(solver="lm", random_state=0).fit(X, y_kept)
piecewise = TwoLayerRegressor(
    solver="adam", encoding="piecewise_linear", n_knots=20, random_state=0
).fit(X, y_kept)

weights = np.linspace(0, 1, 101)
one, other = smooth.predict(X_held), piecewise.predict(X_held)
errors = [np.sqrt(np.mean(((1 - a) * one + a * other - y_held) ** 2)) for a in weights]
best = weights[int(np.argmin(errors))]

grid = np.linspace(0, 5, 401)[:, None]
figure, (left, right) = style.panels()
left.plot(x, y, ".", color="0.8", markersize=4)
left.plot(grid, smooth.predict(grid), color=style.RED, linewidth=1, label="smooth")
left.plot(grid, piecewise.predict(grid), color=style.GREEN, linewidth=1, label="piecewise linear")
average = (1 - best) * smooth.predict(grid) + best * piecewise.predict(grid)
left.plot(grid, average, color=style.BLUE, linewidth=2, label="average")
left.set(xlabel="x")
left.legend(fontsize="small")
right.plot(weights, errors, color=style.BLUE)
right.plot(best, min(errors), "o", color=style.BLUE)
right.set(xlabel="weight of the piecewise-linear one", ylabel="error on held-out rows")
style.save(figure)
