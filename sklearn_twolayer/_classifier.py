"""Targets that are labels."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from . import engine
from ._base import BaseTwoLayer


class TwoLayerClassifier(ClassifierMixin, BaseTwoLayer):
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

    def decision_function(self, X):
        raw = self._raw_prediction(X)
        return raw[:, 0] if self._is_binary else raw

    def predict(self, X):
        raw = self._raw_prediction(X)
        if self._is_multilabel:
            return (raw > 0).astype(int)
        if self._is_binary:
            return self.classes_[(raw[:, 0] > 0).astype(int)]
        return self.classes_[raw.argmax(axis=1)]

    def predict_proba(self, X):
        raw = self._raw_prediction(X)
        if self._is_binary:
            raw = np.column_stack([-raw, raw])
        return engine.LOSSES[self._loss].inverse_link(raw)

    def predict_log_proba(self, X):
        raw = self._raw_prediction(X)
        if self.out_activation_ == "softmax":
            return raw - engine.softmax(raw, out=np.empty_like(raw))[:, None]
        if self._is_binary:
            raw = np.column_stack([-raw, raw])
        return -engine.softplus(-raw)

    def _encode(self, y):
        check_classification_targets(y)
        self._is_multilabel = type_of_target(y, input_name="y") == "multilabel-indicator"
        if self._is_multilabel:
            Y = np.asarray(y.todense() if hasattr(y, "todense") else y, dtype=np.float64)
            self.classes_ = np.arange(Y.shape[1])
            return Y, Y.shape[1], "binary_log_loss"
        self.classes_, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if self._is_binary:
            return codes[:, None].astype(np.float64), 1, "binary_log_loss"
        return codes, len(self.classes_), "log_loss"

    @property
    def _is_binary(self):
        return len(self.classes_) == 2 and not self._is_multilabel

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
