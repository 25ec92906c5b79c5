"""The same network and data under the exact evidence, and by Kronecker factors."""

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
x = np.concatenate([rng.uniform(-4, -0.6, 1000), rng.uniform(1.2, 4, 1000)])
y = np.sin(1.5 * x) + 0.2 * x + 0.3 * rng.standard_normal(2000)
grid = np.linspace(-5.5, 5.5, 331)

figure, axes = style.panels(sharey=True)
for ax, solver, title in zip(
    axes, ("lm", "adam"), ('exact: solver="lm"', 'Kronecker factors: solver="adam"'), strict=True
):
    model = TwoLayerRegressor(20, solver=solver, skip=False, activation="tanh", random_state=0)
    mean, deviation = model.fit(x[:, None], y).predict(grid[:, None], return_std=True)
    ax.fill_between(grid, mean - 2 * deviation, mean + 2 * deviation, alpha=0.25, linewidth=0)
    ax.plot(grid, mean, color=style.BLUE)
    ax.plot(x, y, ".", color=style.RED, markersize=1)
    ax.set(title=title, xlabel="x", ylim=(-4, 4))
style.save(figure)
