"""The hidden units of a small network, and what they add up to."""

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
x = rng.uniform(-3, 3, 60)
y = np.sin(1.5 * x) + 0.1 * rng.standard_normal(60)
model = TwoLayerRegressor(hidden_size=4, skip=False, random_state=0).fit(x[:, None], y)

grid = np.linspace(-3, 3, 301)[:, None]
parts = model.hidden_features(grid) * model.coefs_[1][:, 0]

figure, (left, right) = style.panels(sharex=True)
left.plot(grid, parts, linewidth=1.5)
left.set(title="hidden units times their weights", xlabel="x")
right.plot(x, y, ".", color="0.6", label="data")
right.plot(grid, model.predict(grid), color=style.BLUE, label="prediction: their sum")
right.set(title="what they add up to", xlabel="x", ylim=(-1.4, 1.9))
right.legend(loc="upper left", fontsize="small")
style.save(figure)
