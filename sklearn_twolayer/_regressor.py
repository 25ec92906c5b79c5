"""Targets that are quantities."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array

from ._base import BaseTwoLayer


class TwoLayerRegressor(RegressorMixin, BaseTwoLayer):
    """DOC."""

    def __init__(
        self,
        hidden_size=100,
        *,
        activation="relu",
        solver="auto",
        alpha=1.0,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        decay_rate=0.5,
        decay_epochs=100.0,
        max_iter=1000,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        initializer="auto",
        standardize=True,
    ):
        self.hidden_size = hidden_size
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.decay_rate = decay_rate
        self.decay_epochs = decay_epochs
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.initializer = initializer
        self.standardize = standardize

    def fit(self, X, y, sample_weight=None):
        return self._fit(X, y, sample_weight)

    def predict(self, X):
        """Predict the targets of some rows."""
        raw = self._raw_prediction(X)
        return raw[:, 0] if self._single_target else raw

    def _encode(self, y):
        Y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self._single_target = Y.ndim == 1
        Y = Y.reshape(len(Y), -1)
        return Y, Y.shape[1], "squared_error"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
