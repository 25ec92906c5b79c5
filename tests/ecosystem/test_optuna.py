"""Optuna searches over settings, and ends trials that promise nothing, epoch by epoch."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = [
    pytest.mark.ecosystem,
    IGNORE_CONVERGENCE,
    # OptunaSearchCV says of itself that it is experimental, and reports to what is deprecated
    pytest.mark.filterwarnings("ignore:OptunaSearchCV is experimental"),
    pytest.mark.filterwarnings("ignore:`optuna.terminator` module has been deprecated"),
]


# few rows, few epochs
QUICK = {"solver": "adam", "batch_size": 20, "learning_rate_init": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def optuna():
    optuna = pytest.importorskip("optuna")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield optuna
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize("enable_pruning", [False, True])
def test_a_search_over_alpha(optuna, rows, labels, enable_pruning):
    """With pruning, epochs are calls of partial_fit."""
    integration = pytest.importorskip("optuna_integration")
    alpha = optuna.distributions.FloatDistribution(1e-2, 1e4, log=True)
    search = integration.OptunaSearchCV(
        TwoLayerClassifier(5, max_iter=20, **QUICK),
        {"alpha": alpha},
        n_trials=5,
        cv=2,
        random_state=0,
        enable_pruning=enable_pruning,
        max_iter=20,
    ).fit(rows, labels)
    assert len(search.trials_) == 5
    assert search.best_score_ > 0.8
    assert 1e-2 <= search.best_estimator_.alpha_ == search.best_params_["alpha"] < 1e3
    assert search.score(rows, labels) > 0.85


def test_a_loop_that_is_pruned(optuna, rows, quantities):
    X, X_test, y, y_test = train_test_split(rows, quantities, random_state=0)

    def objective(trial):
        alpha = trial.suggest_float("alpha", 1e-2, 1e5, log=True)
        model = TwoLayerRegressor(10, alpha=alpha, **QUICK)
        for epoch in range(20):
            model.partial_fit(X, y)
            trial.report(model.score(X_test, y_test), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return model.score(X_test, y_test)

    sampler = optuna.samplers.RandomSampler(seed=0)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=10)
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"}
    n_epochs = [len(trial.intermediate_values) for trial in study.trials]
    assert np.array(n_epochs)[np.array(states) == "PRUNED"].max() < 20
    assert study.best_value > 0.8
