"""
Watching a fit: callbacks
=========================

From version 1.9 on, scikit-learn has callbacks: objects that are told of what goes on inside of
``fit``. Ours tell them of everything: networks that are tried and averaged, their starts, and each
iteration. So a long fit can show its progress, be scored on the way, and be stopped.
"""

# %%
# A curve as it is learnt
# -----------------------
# A callback is any object with these four methods. What they ask for by name is worked out for
# them, and nothing else: ``fitted_estimator`` is the estimator as if it had ended here. This one
# keeps the prediction on a grid after each iteration.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor


class Sketch:
    """Keeps what the network predicts after each iteration."""

    def __init__(self, grid):
        self.grid, self.curves = grid, []

    def setup(self, estimator, context):
        """Before the fit."""

    def teardown(self, estimator, context):
        """After it, whatever happens."""

    def on_fit_task_begin(self, estimator, context):
        """Before each task: the fit as a whole, a network, an iteration."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """After each task."""
        if context.task_name == "iteration":
            self.curves.append(fitted_estimator.predict(self.grid))


rng = np.random.RandomState(0)
X = np.sort(rng.uniform(-3, 3, 150))[:, None]
y = np.sin(2 * X[:, 0]) + 0.2 * rng.randn(150)

sketch = Sketch(np.linspace(-3, 3, 200)[:, None])
model = TwoLayerRegressor(20, solver="lbfgs", alpha=0.1, random_state=0)
model.set_callbacks(sketch).fit(X, y)
print(f"{len(sketch.curves)} curves, {model.n_iter_} iterations")

shown = [1, 5, 20, len(sketch.curves)]
fig, ax = plt.subplots(layout="constrained")
ax.plot(X, y, ".", color="grey")
for number, style in zip(shown, (":", "--", "-.", "-"), strict=True):
    ax.plot(sketch.grid, sketch.curves[number - 1], style, label=f"iteration {number}")
ax.set(xlabel="x", ylabel="y")
ax.legend()

# %%
# Stopping by a rule of your own
# ------------------------------
# ``on_fit_task_end`` may return True: the run then ends, and the best weights are kept. Here the
# rule is a score on rows of one's own, but it could as well be a clock, or a button.


class StopWhenGood(Sketch):
    """Ends the fit as soon as rows held out are predicted well enough."""

    def __init__(self, X, y, enough):
        self.X, self.y, self.enough, self.scores = X, y, enough, []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Scores after each iteration."""
        if context.task_name == "iteration":
            self.scores.append(fitted_estimator.score(self.X, self.y))
            return self.scores[-1] >= self.enough


X_val = rng.uniform(-3, 3, size=(500, 1))
y_val = np.sin(2 * X_val[:, 0]) + 0.2 * rng.randn(500)
rule = StopWhenGood(X_val, y_val, enough=0.9)
stopped = TwoLayerRegressor(20, solver="lbfgs", alpha=0.1, random_state=0)
stopped.set_callbacks(rule).fit(X, y)
print(f"stopped after {stopped.n_iter_} iterations with R2 {rule.scores[-1]:.3f} on new rows")
print(f"the whole fit took {model.n_iter_} and has {model.score(X_val, y_val):.3f}")

# %%
# scikit-learn's own callbacks
# ----------------------------
# ``ScoringMonitor`` logs scores of the training rows after each task. ``ProgressBar`` draws bars
# in a terminal or a notebook (it needs ``rich``: ``pip install "sklearn-twolayer[progress]"``).
# Both can be set on searches and pipelines, too.

from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer

monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
network = TwoLayerClassifier(10, solver="adam", max_iter=30, random_state=0)
network.set_callbacks(monitor).fit(*load_breast_cancer(return_X_y=True))
rows = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
print(f"{len(rows)} iterations were scored")

fig, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 3.4))
axes[0].plot(np.arange(1, len(rows) + 1), [row["accuracy"] for row in rows])
axes[0].set(xlabel="epoch", ylabel="accuracy of training rows")
axes[1].semilogy(np.arange(1, len(rows) + 1), [-row["neg_log_loss"] for row in rows])
axes[1].set(xlabel="epoch", ylabel="log loss of training rows")
plt.show()

# %%
# **Take away.** ``set_callbacks(...)`` before ``fit``, and without arguments to remove them again,
# as before a pickle that older versions are to read. A fit without callbacks costs nothing extra.
# On older versions of scikit-learn there is ``verbose``, and ``loss_curve_`` afterwards.
