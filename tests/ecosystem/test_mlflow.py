"""MLflow keeps runs and models.

Autologging wraps the classes that scikit-learn lists and its pipelines: MLPClassifier alone makes a
run, an estimator from elsewhere makes one inside a pipeline. Models are stored by skops, which
wants to be told that these types are to be trusted.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline

from sklearn_twolayer import SKOPS_TRUSTED_TYPES, TwoLayerClassifier, TwoLayerRegressor

pytestmark = [
    pytest.mark.ecosystem,
    # MLflow says so of types of its own, when it first needs them
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning:mlflow"),
]
# without them MLflow loads the model in another process to see what that imports
REQUIREMENTS = ["sklearn-twolayer"]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        # tables of a data base take a quarter of a minute to create
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        mlflow = pytest.importorskip("mlflow")
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri((folder / "runs").as_uri())
        mlflow.set_experiment("two layers")
        yield mlflow
        mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def regressor(rows, quantities):
    return TwoLayerRegressor(5, random_state=0).fit(rows, quantities)


def test_a_model_is_logged_and_loaded(mlflow, rows, regressor):
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            regressor,
            name="model",
            skops_trusted_types=SKOPS_TRUSTED_TYPES,
            pip_requirements=REQUIREMENTS,
        )
    restored = mlflow.sklearn.load_model(logged.model_uri)
    assert isinstance(restored, TwoLayerRegressor)
    assert_array_equal(restored.predict(rows), regressor.predict(rows))
    served = mlflow.pyfunc.load_model(logged.model_uri)
    assert_array_equal(served.predict(rows), regressor.predict(rows))


def test_a_classifier_is_served_by_its_probabilities(mlflow, rows, labels):
    model = TwoLayerClassifier(5, random_state=0).fit(rows, labels)
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            pyfunc_predict_fn="predict_proba",
            skops_trusted_types=SKOPS_TRUSTED_TYPES,
            pip_requirements=REQUIREMENTS,
        )
    served = mlflow.pyfunc.load_model(logged.model_uri)
    assert_array_equal(served.predict(rows), model.predict_proba(rows))


def test_what_is_not_trusted_is_not_logged(mlflow, regressor):
    with mlflow.start_run(), pytest.raises(mlflow.MlflowException, match="skops_trusted_types"):
        mlflow.sklearn.log_model(regressor, name="model", pip_requirements=REQUIREMENTS)


def test_error_bars_are_served_by_a_model_of_ones_own(mlflow, rows, regressor):
    """MLflow's own wrapper calls predict(X) alone, whatever parameters it is given."""

    class WithDeviations(mlflow.pyfunc.PythonModel):
        def __init__(self, model):
            self.model = model

        def predict(self, context, model_input: pd.DataFrame, params=None):
            prediction, deviation = self.model.predict(model_input, return_std=True)
            return pd.DataFrame({"prediction": prediction, "deviation": deviation})

    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="with deviations",
            python_model=WithDeviations(regressor),
            input_example=rows[:2],
            pip_requirements=REQUIREMENTS,
        )
    served = mlflow.pyfunc.load_model(logged.model_uri).predict(rows)
    expected = np.column_stack(regressor.predict(rows, return_std=True))
    assert_allclose(served[["prediction", "deviation"]], expected)


@pytest.fixture
def autolog(mlflow):
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    yield mlflow
    mlflow.sklearn.autolog(disable=True)


def test_a_pipeline_is_logged_by_itself(autolog, rows, labels):
    model = make_pipeline(TwoLayerClassifier(5, random_state=0)).fit(rows, labels)
    run = autolog.last_active_run()
    assert run.data.params["twolayerclassifier__hidden_size"] == "5"
    assert run.data.metrics["training_score"] == pytest.approx(model.score(rows, labels))


def test_without_a_pipeline_nothing_is_logged_by_itself(autolog, rows, labels):
    before = len(autolog.search_runs())
    TwoLayerClassifier(5, random_state=0).fit(rows, labels)
    assert len(autolog.search_runs()) == before
