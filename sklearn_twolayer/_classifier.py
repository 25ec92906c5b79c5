"""Targets that are labels."""

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from . import engine
from ._base import BaseTwoLayer, can_go_on


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
        class_weight=None,
        n_init=1,
        warm_start=False,
        early_stopping=False,
        validation_fraction=0.1,
        scoring="loss",
        verbose=False,
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
        self.class_weight = class_weight
        self.n_init = n_init
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(can_go_on)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        return self._partial_fit(X, y, sample_weight, classes=classes)

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

    def _learn_targets(self, y, classes=None, streaming=False):
        check_classification_targets(y)
        self._is_multilabel = type_of_target(y, input_name="y") == "multilabel-indicator"
        if self._is_multilabel:
            self.classes_ = np.arange(y.shape[1])
        elif classes is None and streaming:
            raise ValueError("classes must be given on the first call of partial_fit, got None")
        else:
            self.classes_ = np.unique(column_or_1d(y, warn=True) if classes is None else classes)
        single_question = self._is_binary or self._is_multilabel
        self._loss = "binary_log_loss" if single_question else "log_loss"
        self.n_outputs_ = 1 if self._is_binary else len(self.classes_)

    def _encode(self, y):
        is_multilabel = type_of_target(y, input_name="y") == "multilabel-indicator"
        if is_multilabel != self._is_multilabel or (
            is_multilabel and y.shape[1] != len(self.classes_)
        ):
            raise ValueError(
                f"y must be labels of the classes {self.classes_}, as when first fitted"
            )
        if is_multilabel:
            return np.asarray(y.todense() if sparse.issparse(y) else y, dtype=np.float64)
        y = column_or_1d(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has labels {unknown} that are not among classes {self.classes_}")
        codes = np.searchsorted(self.classes_, y)
        return codes[:, None].astype(np.float64) if self._is_binary else codes

    def _decode(self, Y):
        """Labels again from what `_encode` made of them."""
        if self._is_multilabel:
            return Y.astype(int)
        return self.classes_[self._codes(Y)]

    def _codes(self, Y):
        return Y[:, 0].astype(int) if self._is_binary else Y

    def _stratification(self, Y):
        return None if self._is_multilabel else self._codes(Y)

    def _count_classes(self, Y, weights, afresh):
        weights = np.ones(len(Y)) if weights is None else weights
        if self._is_multilabel:
            present = weights @ Y
            totals = np.column_stack([weights.sum() - present, present])
        else:
            totals = np.bincount(self._codes(Y), weights, minlength=len(self.classes_))
        self._class_totals = totals if afresh else self._class_totals + totals

    def _weigh(self, Y, weights):
        if self.class_weight is None:
            return weights
        if isinstance(self.class_weight, str):
            worth = self._balanced(Y)
        else:
            worth = compute_sample_weight(self.class_weight, self._decode(Y))
        return worth if weights is None else weights * worth

    def _balanced(self, Y):
        """sum(w) / (n_classes sum of w in the class); the product over several labels."""
        totals = self._class_totals
        share = totals / totals.sum(axis=-1, keepdims=True)
        worth = 1 / (totals.shape[-1] * np.where(share > 0, share, np.inf))
        if not self._is_multilabel:
            return worth[self._codes(Y)]
        worth[(share == 1).any(axis=1)] = 1
        return np.where(Y > 0, worth[:, 1], worth[:, 0]).prod(axis=1)

    @property
    def _is_binary(self):
        return len(self.classes_) == 2 and not self._is_multilabel

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
