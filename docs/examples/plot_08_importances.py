"""
Which columns matter?
=====================

Nobody uses a model for long without asking this. There are several honest answers, and they
differ because they are answers to different questions. This page asks a network three of them.
"""

# %%
# Data whose truth is known
# -------------------------
# Friedman's first problem has ten columns; five of them matter, two only together, one bends, and
# two are straight lines. The other five are noise. A twin of one straight line is added, to see
# what redundant columns do to each answer.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import make_friedman1
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split

from sklearn_twolayer import ImportanceDisplay, TwoLayerRegressor

names = ["together 1", "together 2", "bends", "straight 10", "straight 5"]
names += [f"noise {number}" for number in range(1, 6)]
X, y = make_friedman1(n_samples=800, n_features=10, noise=1.0, random_state=0)
X = pd.DataFrame(X, columns=names)
X["twin of straight 10"] = X["straight 10"] + 0.001 * np.random.RandomState(0).randn(len(X))
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = TwoLayerRegressor(random_state=0).fit(X_train, y_train)
print(f"R2 on rows held out: {model.score(X_test, y_test):.3f}")

# %%
# 1. How far does the prediction move?
# ------------------------------------
# A network is smooth, so it has slopes, exact ones. ``gradient_importances`` takes the root mean
# square of the slope along each column, times the deviation of the column: how far the prediction
# moves when the column moves as it usually does. It costs one pass over the rows, no refit, no
# shuffling, and needs no targets.

ImportanceDisplay.from_estimator(model, X_test)

# %%
# Slopes have signs, and differ from row to row. That says more than a bar: ``input_gradients`` has
# them all, in units of y per unit of the column.

slopes = model.input_gradients(X_test)[:, 0]
print(f"{'column':20s} mean slope, deviation over rows")
for name, column in zip(X, slopes.T, strict=True):
    print(f"{name:20s} {column.mean():10.2f} {column.std():10.2f}")

# %%
# A straight line has one slope in all rows, a bend has slopes of both signs, that cancel in the
# mean. Here they are over the column that bends:

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.4))
for name, marker, colour in (("bends", "o", "tab:blue"), ("straight 5", "s", "tab:orange")):
    column = list(X).index(name)
    ax.plot(X_test[name], slopes[:, column], marker, color=colour, markersize=4, label=name)
ax.axhline(0, color="black", linewidth=0.8)
ax.set(xlabel="value of the column", ylabel="slope of the prediction")
ax.legend()

# %%
# 2. What does the score lose without it?
# ---------------------------------------
# Permutation importance shuffles one column of rows held out and watches the score. It takes
# targets and many predictions, and works for every estimator, so that different models can be
# compared.

shuffled = permutation_importance(model, X_test, y_test, n_repeats=5, random_state=0)
ImportanceDisplay(
    importances=shuffled.importances_mean, feature_names=X.columns, importance_name="Loss of R2"
).plot()

# %%
# Look at the twin in both pictures: the network shares one effect between two columns that say
# the same, so each looks less important than the pair is. No importance that looks at one column at
# a time can tell.
#
# 3. Which columns are not needed at all?
# ---------------------------------------
# Small bars are never quite zero, and where to cut is a matter of taste. ``group_lasso=True``
# decides by rows held out, drops columns exactly, and then fits as ever.

sparse = TwoLayerRegressor(group_lasso=True, random_state=0).fit(X_train, y_train)
dropped = [name for name, used in zip(X, sparse.features_used_, strict=True) if not used]
print("dropped:", ", ".join(dropped) or "nothing")
print(f"R2 on rows held out: {sparse.score(X_test, y_test):.3f}")

# %%
# And what the prior says
# -----------------------
# The evidence gives each column a precision of its own, an old idea called automatic relevance
# determination. It is tempting to draw it as an importance, and it is not one: what it tells is how
# much a column may *bend or interact*. A strong straight line needs no bend, and has a short bar.

ImportanceDisplay.from_estimator(model, kind="prior")
plt.show()

# %%
# **Take away.** Slopes for how the model answers, permutation for what a score owes to a column,
# the group lasso for what may go. If you know SHAP: its model-agnostic explainers work on
# ``model.predict`` as on any function. None of these says what *causes* y.
