"""imbalanced-learn balances rows before a fit. `class_weight="balanced"` needs no such step.

MLPClassifier has no `class_weight`, which is why it is often seen in these pipelines.
"""

import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_score

from sklearn_twolayer import TwoLayerClassifier

pytestmark = pytest.mark.ecosystem


@pytest.fixture(scope="module")
def imblearn():
    imblearn = pytest.importorskip("imblearn")
    from imblearn import ensemble, over_sampling, pipeline, under_sampling

    assert imblearn
    return {
        name: member
        for module in (ensemble, over_sampling, pipeline, under_sampling)
        for name, member in vars(module).items()
    }


@pytest.fixture(scope="module")
def rare(rows):
    """One row in eight."""
    return (rows[:, 0] + rows[:, 1] > 1.6).astype(int)


def test_rows_are_made_in_a_pipeline(imblearn, rows, rare):
    model = imblearn["make_pipeline"](
        imblearn["SMOTE"](random_state=0), TwoLayerClassifier(5, random_state=0)
    )
    assert cross_val_score(model, rows, rare, scoring="balanced_accuracy", cv=3).mean() > 0.85


def test_rows_are_left_out_in_a_bag(imblearn, rows, rare):
    model = imblearn["BalancedBaggingClassifier"](
        TwoLayerClassifier(5, random_state=0), n_estimators=3, random_state=0
    ).fit(rows, rare)
    assert balanced_accuracy_score(rare, model.predict(rows)) > 0.85


def test_rows_that_are_hard_to_tell_are_left_out(imblearn, rows, rare):
    sampler = imblearn["InstanceHardnessThreshold"](
        estimator=TwoLayerClassifier(5, random_state=0), cv=3, random_state=0
    )
    _, kept = sampler.fit_resample(rows, rare)
    assert kept.sum() == rare.sum() < len(kept) < len(rare)


def test_weights_of_classes_do_as_well(rows, rare):
    model = TwoLayerClassifier(5, class_weight="balanced", random_state=0)
    assert cross_val_score(model, rows, rare, scoring="balanced_accuracy", cv=3).mean() > 0.85
