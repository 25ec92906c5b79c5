"""
Coming from MLPClassifier
=========================

One import changes. This page shows what else does: what falls away in front of the network, which
parameters have the same names, and which of them mean something else on purpose.
"""

# %%
# Before
# ------
# A careful use of scikit-learn's own network: a scaler, because it needs one; early stopping, as
# otherwise it learns on; and a grid over ``alpha``, because nobody knows it.

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer import LossCurveDisplay, TwoLayerClassifier

X, y = load_wine(return_X_y=True, as_frame=True)

careful = GridSearchCV(
    make_pipeline(
        StandardScaler(),
        MLPClassifier((50,), learning_rate_init=0.01, max_iter=2000, random_state=0),
    ),
    {"mlpclassifier__alpha": [0.01, 1.0]},
    cv=3,
)

# %%
# After
# -----
# No scaler, no grid. The columns keep their own units, and ``coefs_`` act on them.

simple = TwoLayerClassifier(random_state=0)

careless = MLPClassifier((50,), max_iter=2000, random_state=0)
contenders = {
    "TwoLayerClassifier": simple,
    "scaler + MLPClassifier + grid": careful,
    "MLPClassifier alone": careless,
}
for name, model in contenders.items():
    p = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    accuracy = (p.argmax(axis=1) == y).mean()
    print(f"{name:30s} accuracy {accuracy:.3f}, log loss {log_loss(y, p):.3f}")

# %%
# The third line is why the scaler was there: one column of this table is in the thousands, others
# are below one.
#
# What is the same
# ----------------
# The attributes have the same names and shapes, with one hidden layer throughout:

network = TwoLayerClassifier(50, random_state=0).fit(X, y)
print("coefs_:", [W.shape for W in network.coefs_])
print("intercepts_:", [b.shape for b in network.intercepts_])
print("n_iter_:", network.n_iter_, "  out_activation_:", network.out_activation_)
print("loss_ and best_loss_:", round(network.loss_, 4), round(network.best_loss_, 4))

# %%
# And so do most parameters: ``activation``, ``solver``, ``batch_size``, ``learning_rate``,
# ``learning_rate_init``, ``max_iter``, ``early_stopping``, ``validation_fraction``,
# ``n_iter_no_change``, ``momentum``, ``beta_1``, ``warm_start``, ``random_state`` and others.
# Given the same numbers, Adam and SGD take the same steps. The loss curve is there for every
# solver:

LossCurveDisplay.from_estimator(network)

# %%
# What is different on purpose
# ----------------------------
# ``hidden_layer_sizes=(50,)`` is ``hidden_size=50``: one layer, one number. Left alone, several
# networks of different kinds are averaged.
#
# ``alpha`` is chosen by the data, per column. If you give a number, it is the precision of a
# prior: it does not depend on the size of mini-batches, as MLPClassifier's does.
#
# ``early_stopping`` is not needed against overfitting, since the penalty takes care of that. It is
# there for every solver, and rates by the loss unless you name a scorer; rows of your own can be
# given to ``fit``:

from sklearn.model_selection import train_test_split

X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)
stopped = TwoLayerClassifier(50, solver="adam", early_stopping=True, random_state=0)
stopped.fit(X_train, y_train, X_val=X_val, y_val=y_val)
display = LossCurveDisplay.from_estimator(stopped, name="early stopping")
print(f"kept iteration {stopped.best_iter_} of {stopped.n_iter_}")

# %%
# What is new
# -----------
# Frames with categories and missing values, ``class_weight``, exact ``sample_weight``,
# probabilities that know of their own uncertainty, slopes of each column, and for regressors error
# bars.

balanced = TwoLayerClassifier(10, class_weight="balanced", random_state=0).fit(X, y)
importances = balanced.gradient_importances(X)
for column in importances.argsort()[::-1][:3]:
    print(f"{X.columns[column]:20s} {importances[column]:.2f}")
plt.show()

# %%
# **Take away.** Change the import, delete the scaler and the grid, and write ``hidden_size=50`` for
# ``hidden_layer_sizes=(50,)``, or nothing at all. Networks with more than one hidden layer are not
# what this package does.
