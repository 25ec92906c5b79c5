"""What an error costs under each loss, and what three of them predict of skewed targets."""

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor

e = np.linspace(-3, 3, 301)
figure, (left, right) = style.panels()
left.plot(e, 0.5 * e**2, label="squared_error")
left.plot(e, abs(e), label="absolute_error")
left.plot(e, np.where(abs(e) <= 1, 0.5 * e**2, abs(e) - 0.5), "--", label="huber, delta 1")
left.plot(e, np.where(e < 0, -0.9 * e, 0.1 * e), label="quantile, 0.9")
left.set(title="loss against prediction - y", ylim=(0, 3), xlabel="error")
left.legend(fontsize="small", loc="upper center")

rng = np.random.RandomState(0)
x = rng.uniform(0, 4, 800)
y = np.exp(np.sin(1.5 * x) + 0.8 * rng.standard_normal(800))
grid = np.linspace(0, 4, 201)[:, None]
right.plot(x, y, ".", color="0.8", markersize=3)
for options, label in (
    ({"loss": "squared_error"}, "mean"),
    ({"loss": "absolute_error"}, "median"),
    ({"loss": "quantile", "quantile": 0.9}, "0.9 quantile"),
):
    model = TwoLayerRegressor(n_members=1, random_state=0, **options).fit(x[:, None], y)
    colour = {"mean": style.BLUE, "median": style.RED, "0.9 quantile": style.PINK}[label]
    right.plot(grid, model.predict(grid), label=label, color=colour)
right.set(title="skewed targets", ylim=(0, 11), xlabel="x")
right.legend(fontsize="small")
style.save(figure)
