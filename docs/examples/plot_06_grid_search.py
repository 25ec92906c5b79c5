"""
Grid search: when it is worth it
================================

The estimators choose the strength of their regularisation by themselves. So the first question to
a grid search is whether you need one. Where you do, they are scikit-learn estimators like any
other, and this page shows the way: pipelines, searches, and what to search over.
"""

# %%
# What a grid over alpha finds
# ----------------------------
# Breast cancer: many columns, each in a unit of its own. We search for the penalty ``alpha`` by
# five-fold cross-validation, as one would for any other network.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

from sklearn_twolayer import LossCurveDisplay, TwoLayerClassifier

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
print(f"{len(X)} rows, {X.shape[1]} columns")
folds = StratifiedKFold(5, shuffle=True, random_state=0)

alphas = np.logspace(-2, 2, 5)
network = TwoLayerClassifier(20, solver="lbfgs", activation="tanh", random_state=0)
search = GridSearchCV(network, {"alpha": alphas}, scoring="neg_log_loss", cv=folds)
search.fit(X, y)
print(f"{len(alphas) * 5 + 1} fits, best alpha {search.best_params_['alpha']:g}")
for alpha, score in zip(alphas, search.cv_results_["mean_test_score"], strict=True):
    print(f"alpha {alpha:6g}: log loss {-score:.4f}")

# %%
# And what the evidence finds: the same network with ``alpha="auto"``, which is the default. It is
# given one penalty *for each column* by a single fit, where a grid over that many penalties would
# be out of the question.

auto = TwoLayerClassifier(20, activation="tanh", random_state=0)
score = -cross_val_score(auto, X, y, scoring="neg_log_loss", cv=folds).mean()
print(f"alpha='auto': log loss {score:.4f}")

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.6))
ax.semilogx(alphas, -search.cv_results_["mean_test_score"], "o-", label="grid")
ax.axhline(score, color="tab:orange", linestyle="--", label='alpha="auto"')
ax.set(xlabel="alpha, the same for all columns", ylabel="log loss on rows held out")
ax.legend()

# %%
# Searching what is worth searching
# ---------------------------------
# A question that data cannot answer by regularisation alone is which *kind* of model to take: what
# to do before the network, or whether numbers should bend at knots. Parameters inside of a
# pipeline have the usual names with two underscores.

from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

pipeline = Pipeline(
    [
        ("scale", StandardScaler()),
        ("reduce", PCA(10)),
        ("net", TwoLayerClassifier(10, random_state=0)),
    ]
)
grid = {"reduce": [PCA(5), PCA(15), "passthrough"], "net__encoding": ["linear", "piecewise_linear"]}
search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=3).fit(X, y)
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{parameters['reduce']!s:20s} {parameters['net__encoding']:17s} {-score:.4f}")

# %%
# The displays look into searches and pipelines by themselves: here is how the best network of this
# search was trained.

LossCurveDisplay.from_estimator(search, name="best of the search")
plt.show()

# %%
# **Take away.** Do not search ``alpha``: leave it alone, and spend the time on columns. Search what
# the evidence does not decide, and leave the rest to the defaults, which average several kinds of
# networks. ``n_jobs`` belongs to the outermost loop: to the search, where there is one.
