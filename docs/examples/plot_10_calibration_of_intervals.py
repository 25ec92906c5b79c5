"""
Do the intervals hold what they promise?
========================================

An interval with 90 % on its label should hold nine new targets in ten, whatever the noise is like.
Whether it does can be seen only on rows that had no part in training, and at more than one level.
"""

# %%
# Noise with heavy tails
# ----------------------
# Textbook intervals take noise for normal. This one is not: most targets lie close to the curve,
# and a few lie far out. We compare two kinds of intervals of the *same* fit: the prediction and as
# many deviations as a normal distribution would want, and ``predict_interval``, which has counted
# residuals.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from sklearn_twolayer import (
    IntervalCalibrationDisplay,
    PredictionIntervalDisplay,
    TwoLayerRegressor,
)

rng = np.random.RandomState(0)


def draw(n):
    """Two columns, and targets with noise from a t distribution."""
    X = rng.uniform(-3, 3, size=(n, 2))
    return X, np.sin(X[:, 0]) * X[:, 1] + 0.2 * rng.standard_t(2.2, size=n)


X, y = draw(800)
X_new, y_new = draw(3000)
model = TwoLayerRegressor(random_state=0).fit(X, y)
prediction, deviation = model.predict(X_new, return_std=True)

levels = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
factors = norm.ppf((1 + levels) / 2)
normal = [
    np.column_stack([prediction - factor * deviation, prediction + factor * deviation])
    for factor in factors
]

display = IntervalCalibrationDisplay.from_estimator(
    model, X_new, y_new, levels=levels, name="predict_interval"
)
by_normal = IntervalCalibrationDisplay.from_predictions(
    y_new, normal, levels, name="normal deviations", ax=display.ax_
)
print("nominal            ", levels)
print("predict_interval   ", display.held.round(2))
print("normal deviations  ", by_normal.held.round(2))

# %%
# The diagonal is perfect; the grey band is how far chance may take a perfect interval with so many
# rows. A few large residuals have made the deviation large, so that normal intervals are far too
# wide at all but the highest levels. Those of ``predict_interval`` stay near the diagonal, because
# their widths were told by residuals of rows that the networks had not learnt.
#
# Too sure on purpose
# -------------------
# Good intervals need a network that has not learnt its rows by heart. Here is one that has: next to
# no penalty, trained long, and no posterior to tell what it does not know.

rote = TwoLayerRegressor(
    50, alpha=1e-4, tol=1e-3, max_iter=10_000, store_posterior=False, random_state=0
).fit(X[:150], y[:150])
careful = TwoLayerRegressor(random_state=0).fit(X[:150], y[:150])
first = IntervalCalibrationDisplay.from_estimator(careful, X_new, y_new, name="untouched")
second = IntervalCalibrationDisplay.from_estimator(
    rote, X_new, y_new, name="learnt by heart", ax=first.ax_, line_kwargs={"linestyle": "--"}
)
print(f"of 90 % the untouched one holds {first.held[8]:.0%}, the other {second.held[8]:.0%}")

# %%
# Coverage is not everything
# --------------------------
# Intervals as wide as the world hold everything. Among those that hold what they promise, the
# narrowest are best; the interval score puts both into one number, the width plus a fine for each
# target outside. And over all rows nine in ten may hold while for some kind of row they do not, so
# look at parts of the rows, too.


def interval_score(y, bounds, coverage):
    """Width, plus a fine of 2 / (1 - coverage) times the distance for what is outside."""
    low, high = bounds.T
    outside = np.clip(low - y, 0, None) + np.clip(y - high, 0, None)
    return np.mean(high - low + 2 / (1 - coverage) * outside)


rows = {"all": slice(None), "|x1| < 1": abs(X_new[:, 1]) < 1, "|x1| > 2": abs(X_new[:, 1]) > 2}
for name, one in (("untouched", careful), ("learnt by heart", rote)):
    bounds = one.predict_interval(X_new, coverage=0.9)
    held = (bounds[:, 0] <= y_new) & (y_new <= bounds[:, 1])
    shares = ", ".join(f"{part} {held[part_rows].mean():.0%}" for part, part_rows in rows.items())
    print(f"{name:16s} score {interval_score(y_new, bounds, 0.9):.2f}; held {shares}")

# %%
# The picture row by row: observed against predicted, the crosses are outside.

PredictionIntervalDisplay.from_estimator(careful, X_new, y_new, coverage=0.9, max_rows=150)
plt.show()

# %%
# **Take away.** Check intervals on new rows, at several levels and in parts of the table.
# ``IntervalCalibrationDisplay.from_predictions`` takes intervals from anywhere, so that other
# libraries can be put on the same picture.
