"""Increments between knots, and a staircase under both encodings."""

from itertools import pairwise

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
x = rng.uniform(0, 24, 600)
y = (x > 6) + 2.0 * (x > 9) - 1.5 * (x > 18) + 0.2 * rng.standard_normal(600)
grid = np.linspace(0, 24, 481)

figure, (left, right) = style.panels(sharex=True)
right.plot(x, y, ".", color="0.75", markersize=4)
for encoding, colour in (("linear", style.RED), ("piecewise_linear", style.BLUE)):
    model = TwoLayerRegressor(solver="adam", encoding=encoding, n_knots=24, random_state=0)
    model.fit(x[:, None], y)
    right.plot(grid, model.predict(grid[:, None]), color=colour, label=f'"{encoding}"')
right.set(title="a staircase, noise 0.2", xlabel="x")
right.legend(title="encoding", fontsize="small", loc="lower right")

(knots,) = model.knots_
for low, high in pairwise(knots):
    left.plot(grid, np.clip((grid - low) / (high - low), 0, 1), linewidth=1.2)
left.plot(knots, np.zeros_like(knots), "|", color=style.BLACK, markersize=10)
left.set(title="increments between 25 knots", xlabel="x")
style.save(figure)
