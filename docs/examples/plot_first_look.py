"""
Error bands
===========

An untouched regressor says how sure it is of each prediction.
"""

# %%
# Noisy targets of one column, with a gap in the middle.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
x = np.concatenate([rng.uniform(-4, -0.6, 40), rng.uniform(1.2, 4, 40)])
y = np.sin(1.5 * x) + 0.2 * x + 0.15 * rng.standard_normal(80)
model = TwoLayerRegressor(random_state=0).fit(x[:, None], y)

# %%
# The band is narrow where there are data, and wide in the gap and beyond their ends.

grid = np.linspace(-5.5, 5.5, 301)
mean, deviation = model.predict(grid[:, None], return_std=True)
figure, ax = plt.subplots(layout="constrained")
ax.fill_between(grid, mean - 2 * deviation, mean + 2 * deviation, alpha=0.3)
ax.plot(grid, mean)
ax.plot(x, y, ".")
ax.set(xlabel="x", ylabel="y")
plt.show()
