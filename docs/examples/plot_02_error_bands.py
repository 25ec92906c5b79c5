"""
How sure is each prediction?
============================

A prediction without an error bar invites bad decisions: nobody sees whether it rests on a hundred
rows or on none. Every fit of :class:`~sklearn_twolayer.TwoLayerRegressor` says how sure it is,
row by row, without a second fit and without a bootstrap.
"""

# %%
# A curve with a gap
# ------------------
# We sample a wave with noise, but leave the middle out. A good error band should be narrow where
# there are rows, and open up in the gap and beyond both ends.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import PredictionIntervalDisplay, TwoLayerRegressor

rng = np.random.RandomState(0)
x = np.concatenate([rng.uniform(-3, -1, 60), rng.uniform(1, 3, 60)])
X, y = x[:, None], np.sin(2 * x) + 0.15 * rng.randn(120)

model = TwoLayerRegressor(random_state=0).fit(X, y)
display = PredictionIntervalDisplay.from_estimator(
    model, X, y, feature=0, grid=np.linspace(-4, 4, 200), name="prediction"
)
line = np.linspace(-4, 4, 200)
display.ax_.plot(line, np.sin(2 * line), "k:", linewidth=1)
display.ax_.set_title("dotted: the truth", fontsize="medium", loc="right")

# %%
# The band is an interval for a *new* target: noise included. Where does its width come from? The
# deviation that ``predict`` returns has two parts. One is the noise of the targets, the same
# everywhere here; the other is what the network does not know about the curve, and that one
# depends on where you ask.

places = np.array([[-2.0], [0.0], [2.0], [4.0]])
prediction, deviation = model.predict(places, return_std=True)
noise = model.noise_variance_**0.5
print(f"deviation of the noise: {noise:.2f} (0.15 in truth)")
for place, mean, total in zip(places[:, 0], prediction, deviation, strict=True):
    of_curve = np.sqrt(max(total**2 - noise**2, 0))
    print(f"at {place:4.1f}: {mean:5.2f} +- {total:.2f}, of which the curve {of_curve:.2f}")

# %%
# More rows teach the curve, not the noise
# ----------------------------------------
# With ever more rows the second part goes away and the first one stays. That tells you what to do
# about a wide interval: if the curve is unknown, collect rows there; if it is noise, more rows of
# the same kind will not help, better columns may. (Of the fewest rows here the network cannot tell
# a wave from noise, and says that it is noise: a wide band, and an honest one.)

sizes, of_curve, of_noise = [30, 100, 300, 1000], [], []
test = np.linspace(-3, 3, 200)[:, None]
for size in sizes:
    rows = rng.uniform(-3, 3, size=(size, 1))
    fitted = TwoLayerRegressor(10, random_state=0).fit(
        rows, np.sin(2 * rows[:, 0]) + 0.15 * rng.randn(size)
    )
    total = fitted.predict(test, return_std=True)[1]
    of_noise.append(fitted.noise_variance_**0.5)
    of_curve.append(np.sqrt(np.mean(total**2) - fitted.noise_variance_))
    print(f"{size:5d} rows: noise {of_noise[-1]:.3f}, curve {of_curve[-1]:.3f}")

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.6))
ax.loglog(sizes, of_curve, "o-", color="tab:blue", label="what is unknown about the curve")
ax.loglog(sizes, of_noise, "s--", color="tab:orange", label="noise of the targets")
ax.set(xlabel="rows to train on", ylabel="deviation (root mean square)")
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
ax.minorticks_off()
ax.legend()

# %%
# Many columns: observed against predicted
# ----------------------------------------
# With several columns there is no curve to draw a band around. Then each row has its own bar:
# observed against predicted, on rows that were not trained on. The legend counts how many targets
# the bars held, which should be about what they promise.

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
y.name = "Progression"
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
model = TwoLayerRegressor(random_state=0).fit(X_train, y_train)
PredictionIntervalDisplay.from_estimator(model, X_test, y_test, coverage=0.9)

# %%
# To look along one column, ask what the others should hold. ``others="typical"`` moves the body
# mass index of one typical patient and leaves everything else at its median. The targets of the
# table belong to other patients, so they are not drawn on this band; the marks at the foot show
# where there were rows.

PredictionIntervalDisplay.from_estimator(model, X_test, feature="bmi", others="typical")
plt.show()

# %%
# **Take away.** ``predict(X, return_std=True)`` for deviations, ``predict_interval(X,
# coverage=0.9)`` for bounds. Wide bars are information: they say where the model would be
# guessing.
