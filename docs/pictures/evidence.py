"""Fits under a weak, a strong and the chosen prior; the evidence along the line between them."""

import numpy as np
import style

from sklearn_twolayer import TwoLayerRegressor


def truth(x):
    """What is to be learnt."""
    return np.sin(1.5 * x) + 0.2 * x


rng = np.random.RandomState(1)
X, new = rng.uniform(0, 5, (60, 1)), rng.uniform(0, 5, (500, 1))
y = truth(X[:, 0]) + 0.3 * rng.standard_normal(60)
y_new = truth(new[:, 0]) + 0.3 * rng.standard_normal(500)
options = {"hidden_size": 10, "solver": "lm", "skip": False, "random_state": 0}
chosen = TwoLayerRegressor(n_init=5, **options).fit(X, y)

grid = np.linspace(0, 5, 201)[:, None]
figure, (left, right) = style.panels()
left.plot(X, y, ".", color="0.5")
for factor, colour, label in (
    (1e-4, style.RED, "too weak"),
    (1e2, style.GREEN, "too strong"),
    (1, style.BLUE, "by the evidence"),
):
    model = TwoLayerRegressor(alpha=factor * chosen.alpha_, max_iter=3000, **options).fit(X, y)
    left.plot(grid, model.predict(grid), color=colour, label=label)
left.set(title="60 rows, ten hidden units", xlabel="x", ylim=(-2, 3))
left.legend(fontsize="small", loc="upper center")

factors = 10.0 ** np.linspace(-4, 2, 25)
models = [
    TwoLayerRegressor(alpha=factor * chosen.alpha_, max_iter=3000, **options).fit(X, y)
    for factor in factors
]
evidence = [model.log_evidence_ for model in models]
errors = [np.sqrt(np.mean((model.predict(new) - y_new) ** 2)) for model in models]
right.semilogx(factors, evidence, color=style.BLUE)
right.set(title="log evidence", xlabel="all precisions times", ylabel="log evidence (blue)")
other = right.twinx()
other.semilogx(factors, errors, color=style.RED, linestyle="--")
other.set(ylabel="error on new rows (red, dashed)")
other.spines["right"].set_visible(True)
right.axvline(1, color="0.6", linewidth=1, linestyle=":")
style.save(figure)
