"""A fit without weights, with them, and to copies."""

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
x = rng.uniform(-3, 3, 60)
upper = rng.uniform(size=60) < 0.5
y = np.sin(x) + np.where(upper, 0.5, -0.5) + 0.1 * rng.standard_normal(60)
weights = np.where(upper, 10, 1)
grid = np.linspace(-3, 3, 201)[:, None]
options = {"solver": "lm", "random_state": 0}

figure, ax = style.panels(1)
ax.scatter(x, y, s=3 * weights, color="0.7")
plain = TwoLayerRegressor(**options).fit(x[:, None], y)
weighted = TwoLayerRegressor(**options).fit(x[:, None], y, sample_weight=weights)
copied = TwoLayerRegressor(**options).fit(x.repeat(weights)[:, None], y.repeat(weights))
ax.plot(grid, plain.predict(grid), color=style.RED, label="no weights")
ax.plot(grid, weighted.predict(grid), color=style.BLUE, linewidth=3, alpha=0.5, label="weighted")
ax.plot(grid, copied.predict(grid), "--", color=style.BLACK, linewidth=1, label="copies")
ax.set(xlabel="x")
ax.legend(fontsize="small")
style.save(figure)
