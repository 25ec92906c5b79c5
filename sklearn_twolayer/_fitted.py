"""What a fit leaves behind: attributes of arrays and numbers, and the network that they make."""

from typing import ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from . import engine


class FittedMixin:
    """Turns a fit of the engine into attributes, and these into a network again."""

    _loss_parameters: ClassVar[dict] = {}
    """Parameters of the loss as they were at the fit."""

    @property
    def _loss_at_fit(self):
        """The loss that was minimised, with its parameters."""
        return engine.loss_with(self._loss, self._loss_parameters)

    def _keep(self, fitted, plan):
        """Turn what the engine leaves behind into fitted attributes."""
        solution, monitor = fitted.solution, fitted.monitor
        widest = engine.widest_member(fitted.continuation)
        scaling, encoding = widest.scaling, widest.encoding
        activations = engine.activation_of(fitted.continuation)
        weights = fitted.coefs, fitted.intercepts, activations
        self._keep_weights(*weights, encoding, scaling)
        self._keep_loss(fitted)
        self._keep_posterior(fitted)
        used = plan.task.used
        self.features_used_ = np.ones(self.n_features_in_, dtype=bool) if used is None else used
        self.n_features_used_ = int(self.features_used_.sum())
        self._no_posterior = plan.no_posterior
        self.loss_curve_ = monitor.loss_curve
        self.loss_ = monitor.loss_curve[-1] if monitor.loss_curve else np.inf
        self.best_loss_ = min(monitor.loss_curve, default=np.inf)
        self.best_iter_ = monitor.best_iter
        self.validation_scores_ = monitor.scores or None
        self.best_validation_score_ = -monitor.best_value if plan.task.validation else None
        self.n_iter_ = solution.n_iter
        self.t_ = fitted.continuation.n_seen
        self.solver_ = fitted.continuation.solver
        choices = fitted.continuation.choices
        self.hidden_size_, self.skip_ = choices.hidden_size, choices.skip
        self.n_members_ = fitted.continuation.n_members
        self.dtype_ = fitted.settings.dtype
        self.n_layers_ = 3
        self.out_activation_ = plan.task.loss.out_activation
        self._state = engine.preserve(fitted.continuation)
        self._random_state = fitted.random_state.get_state(legacy=False)

    def _keep_weights(self, *weights):
        vars(self).update(self._attributes_of_weights(*weights))

    @staticmethod
    def _attributes_of_weights(coefs, intercepts, activation, encoding, scaling):
        """What it takes to predict, by name."""
        names, sizes = ([activation], [len(intercepts[0])])
        if not isinstance(activation, str):
            names, sizes = activation
        return {
            "coefs_": coefs[:2],
            "intercepts_": intercepts,
            "skip_coef_": coefs[2] if len(coefs) > 2 else None,
            # prediction does not change when a parameter is set after the fit
            "activation_": names[0] if len(set(names)) == 1 else names,
            "_hidden_sizes": sizes,
            # where float32 rows are counted from; any point gives the same function
            "_origin": scaling.X.origin(),
            "_encoding": None if encoding is None else dict(vars(encoding)),
            # what stands for a missing value in each encoded column
            "_fill": scaling.fill,
            # what targets were divided by in training
            "_unit_of_y": scaling.Y_scale,
            "_predictive": None,
            "_noise": None,
            "_no_posterior": "the fit has not ended yet",
        }

    def _keep_loss(self, fitted):
        """What became of the parameters of the loss."""

    def _keep_posterior(self, fitted):
        """What the evidence found, or None for all of it."""
        posterior, predictive = fitted.solution.posterior, fitted.predictive
        given = fitted.continuation.alpha
        self.alpha_ = posterior.alpha if given is None and posterior is not None else given
        self.n_effective_parameters_ = getattr(posterior, "n_effective_parameters", None)
        self.log_evidence_ = getattr(posterior, "log_evidence", None)
        self._noise = None if self._loss_at_fit.is_moderated else fitted.noise
        # a pickle holds no types of ours
        self._predictive = None if predictive is None else engine.preserve_predictive(predictive)

    def _raw_prediction(self, X):
        """Raw outputs (n_rows, n_outputs) for X in raw units, in the precision of X."""
        return engine.raw_prediction(*self._network_on(X))

    def _network(self):
        """The fitted network: (coefs, intercepts, activation)."""
        coefs = self.coefs_ if self.skip_coef_ is None else [*self.coefs_, self.skip_coef_]
        return coefs, self.intercepts_, self._activation()

    def _network_on(self, X):
        """The fitted network and checked rows: (coefs, intercepts, activation, X, origin)."""
        check_is_fitted(self)
        return self._network_for(self._columns_of(X))

    def _network_for(self, X):
        """The same for rows that have been checked, categories by their codes."""
        if self._encoding is not None or engine.has_missing(X):
            X = engine.Encoded(X, self._known_encoding(), self._fill)
        return *self._network(), X, self._origin

    def _activation(self):
        """That of all hidden units; each network of an average may have its own."""
        if isinstance(self.activation_, str):
            return engine.ACTIVATIONS[self.activation_]
        return engine.side_by_side_activation(self.activation_, self._hidden_sizes)
