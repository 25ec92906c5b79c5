"""
Probabilities that mean what they say
=====================================

Of all the rows to which a model gives a probability of 80 %, four in five should be positive. If
they are, it can be used to decide: to weigh costs, to set thresholds, to say "I do not know". Many
models order the rows well and are far too sure all the same.
"""

# %%
# Few rows, many columns
# ----------------------
# The temptation to be too sure is largest where rows are few. We train on three hundred, with
# twenty columns of which six matter, and labels of which some are simply wrong; and look at many
# new rows, to see the truth.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer import TwoLayerClassifier

X, y = make_classification(
    20_300, 20, n_informative=6, n_redundant=4, flip_y=0.15, class_sep=0.9, random_state=1
)
X_train, y_train, X_new, y_new = X[:300], y[:300], X[300:], y[300:]

mlp = MLPClassifier(max_iter=1000, random_state=0)
models = {
    "TwoLayerClassifier": TwoLayerClassifier(random_state=0),
    "scaler + MLPClassifier": make_pipeline(StandardScaler(), mlp),
    "RandomForestClassifier": RandomForestClassifier(random_state=0),
}
probabilities = {}
print(f"{'':24s} accuracy  Brier score  log loss")
for name, model in models.items():
    probabilities[name] = model.fit(X_train, y_train).predict_proba(X_new)[:, 1]
    p = probabilities[name]
    accuracy = accuracy_score(y_new, p > 0.5)
    print(
        f"{name:24s} {accuracy:8.3f} {brier_score_loss(y_new, p):12.3f} {log_loss(y_new, p):9.3f}"
    )

# %%
# Accuracies tell little of the difference. The log loss does: it punishes those who were sure and
# wrong.
#
# The calibration curve
# ---------------------
# scikit-learn's ``CalibrationDisplay`` puts the rows into bins by their probability, and draws
# which part of each bin was positive. It takes any classifier of two classes, this one included. A
# curve flatter than the diagonal is too sure; one that is steeper is too timid.

fig, ax = plt.subplots(layout="constrained", figsize=(5.6, 5.4))
styles = [("o", "-", "#0072B2"), ("s", "--", "#D55E00"), ("^", "-.", "#009E73")]
for (name, p), (marker, line, colour) in zip(probabilities.items(), styles, strict=True):
    options = {"marker": marker, "linestyle": line, "color": colour}
    CalibrationDisplay.from_predictions(
        y_new, p, n_bins=10, strategy="quantile", name=name, ax=ax, **options
    )
ax.set_aspect("equal")

# %%
# How sure is each of them, how often? The histogram shows where the probabilities lie.

fig, axes = plt.subplots(3, 1, layout="constrained", figsize=(6.4, 4.6), sharex=True)
for ax, (name, p), (_, _, colour) in zip(axes, probabilities.items(), styles, strict=True):
    ax.hist(p, bins=40, range=(0, 1), color=colour)
    ax.set_title(name, fontsize="medium", loc="left")
    ax.set_yticks([])
axes[-1].set_xlabel("probability of the second class")

# %%
# Why
# ---
# Two things are at work. The evidence chooses a penalty that fits the table, instead of a fixed one
# that lets a network learn three hundred rows by heart. And the probabilities know that the
# weights are uncertain: the less is known about a row, the more ``predict_proba`` is drawn towards
# one half. ``moderate=False`` is the same without it:

sure = TwoLayerClassifier(moderate=False, random_state=0).fit(X_train, y_train)
for name, model in (("moderated", models["TwoLayerClassifier"]), ("not moderated", sure)):
    near, far = (model.predict_proba(factor * X_new[:1000]).max(axis=1) for factor in (1, 5))
    print(
        f"{name:14s} mean certainty {near.mean():.3f}, of rows five times as far {far.mean():.3f}"
    )

# %%
# More than two classes
# ---------------------
# The display takes one class against the others. The digits that come with scikit-learn, one half
# to train on:

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X_train, X_test, y_train, y_test = train_test_split(
    *load_digits(return_X_y=True), test_size=0.5, random_state=0
)
digits = TwoLayerClassifier(50, random_state=0).fit(X_train, y_train)
p = digits.predict_proba(X_test)
print(f"accuracy {digits.score(X_test, y_test):.3f}, log loss {log_loss(y_test, p):.3f}")
print(f"mean certainty {p.max(axis=1).mean():.3f}")

is_label = (y_test[:, None] == np.arange(10)).ravel()
CalibrationDisplay.from_predictions(
    is_label, p.ravel(), n_bins=10, name="any digit against the others", color="#0072B2"
)
plt.show()

# %%
# Mean certainty and accuracy should be the same number. Here the network is right more often than
# it says: with so many pixels it is timid rather than rash, and the curve is steeper than the
# diagonal.
#
# **Take away.** Look at the log loss and the calibration curve before you use a probability. Here
# they are good without a ``CalibratedClassifierCV`` behind the model, which would take rows away
# from training. (It works, too, if you want it.)
