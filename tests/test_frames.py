"""One model, whatever library its frame comes from, and whatever takes the frame before it does."""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from kinds import IGNORE_CONVERGENCE
from mixed_frames import frame as mixed_frame
from mixed_frames import outputs, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

N_ROWS, FEW_ROWS = 120, 40
either_estimator = pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
every_encoding = pytest.mark.parametrize("encoding", ["auto", "linear", "piecewise_linear"])


def values(n_rows=N_ROWS, seed=0):
    """{name: values} of all kinds, of which None is missing; names need not be identifiers."""
    X = mixed_frame(n_rows, seed)
    rng = np.random.RandomState(seed + 100)
    X["is new"] = rng.rand(n_rows) < 0.5
    X["größe"] = rng.choice(["S", "M", "L", "é"], n_rows)
    X["count"] = rng.poisson(3.0, n_rows)
    X = X.drop(columns="code").astype(object)
    X.loc[::7, "is new"], X.loc[::5, "count"] = None, None
    X = X.where(X.notna(), None)
    return {name: X[name].tolist() for name in X}


KINDS = {
    "city": str,
    "age": float,
    "rooms": float,
    "income": float,
    "is new": bool,
    "größe": str,
    "count": int,
}
NULLABLE = {str: "string", float: "Float64", bool: "boolean", int: "Int64"}


def as_numpy(data):
    """NumPy's dtypes, where a whole number or a bool that may be missing is a float."""
    dtypes = {str: object, float: float, bool: float, int: float}
    return pd.DataFrame({n: pd.Series(v, dtype=dtypes[KINDS[n]]) for n, v in data.items()})


def as_categories(data):
    return as_numpy(data).astype({name: "category" for name in data if KINDS[name] is str})


def as_nullable(data):
    return pd.DataFrame({n: pd.Series(v, dtype=NULLABLE[KINDS[n]]) for n, v in data.items()})


def as_arrow_in_pandas(data):
    return as_arrow(data).to_pandas(types_mapper=pd.ArrowDtype)


def as_polars(data):
    return pytest.importorskip("polars").DataFrame(data)


def as_polars_categories(data):
    polars = pytest.importorskip("polars")
    return as_polars(data).with_columns(polars.col(polars.String).cast(polars.Categorical))


def as_polars_enums(data):
    polars = pytest.importorskip("polars")
    enums = {
        name: polars.Enum(sorted({*values, "?"} - {None}, reverse=True))
        for name, values in data.items()
        if KINDS[name] is str
    }
    return as_polars(data).cast(enums)


def as_arrow(data):
    return pytest.importorskip("pyarrow").table(data)


def as_arrow_dictionaries(data):
    arrow = as_arrow(data)
    return pytest.importorskip("pyarrow").table(
        {
            name: column.dictionary_encode() if KINDS[name] is str else column
            for name, column in zip(arrow.column_names, arrow.columns, strict=True)
        }
    )


def as_record_batch(data):
    return pytest.importorskip("pyarrow").RecordBatch.from_pydict(data)


FRAMES = [
    as_numpy,
    as_categories,
    as_nullable,
    as_arrow_in_pandas,
    as_polars,
    as_polars_categories,
    as_polars_enums,
    as_arrow,
    as_arrow_dictionaries,
    as_record_batch,
]
every_frame = pytest.mark.parametrize("as_frame", FRAMES)


def target(estimator, n_rows=N_ROWS, seed=0):
    return targets(mixed_frame(n_rows, seed), estimator)


def later():
    """Rows that come later, of which some have a level that is not known."""
    data = values(40, seed=9)
    return dict(data, city=["Wien", *data["city"][1:]])


def model(estimator, **options):
    return estimator(5, **{"alpha": 1.0, "max_iter": 30, "random_state": 0, **options})


@pytest.mark.sampled(7)
@either_estimator
@every_frame
@every_encoding
def test_frames_of_all_libraries_make_the_same_model(estimator, as_frame, encoding):
    asked, y = model(estimator, encoding=encoding, solver="lbfgs"), target(estimator)
    expected = clone(asked).fit(as_numpy(values()), y)
    fitted = clone(asked).fit(as_frame(values()), y)
    assert_array_equal(fitted.feature_names_in_, list(KINDS))
    assert_array_equal(fitted.encoded_feature_names_, expected.encoded_feature_names_)
    assert [labels.tolist() for labels in fitted.categories_] == [
        ["Aachen", "Bonn", "Kiel", "Ulm"],
        ["L", "M", "S", "é"],
    ]
    missing = {f"missingindicator_{name}" for name in ("city", "age", "is new", "count")}
    assert missing == {n for n in fitted.encoded_feature_names_ if n.startswith("missing")}
    for rows in (values(), later()):
        found = outputs(fitted, as_frame(rows))
        assert_allclose(found, outputs(expected, as_numpy(rows)), rtol=0, atol=1e-10)
        # a model may be asked about frames of another library
        assert_allclose(outputs(fitted, as_numpy(rows)), found, rtol=0, atol=1e-10)
        assert_allclose(outputs(expected, as_frame(rows)), found, rtol=0, atol=1e-10)


@cache
def untouched(estimator):
    """Fitted to a frame of NumPy's columns."""
    return estimator(random_state=0).fit(as_numpy(values(FEW_ROWS)), target(estimator, FEW_ROWS))


@pytest.mark.sampled(5)
@either_estimator
@every_frame
def test_untouched_estimators_take_frames_of_all_libraries(estimator, as_frame):
    X, y = as_frame(values(FEW_ROWS)), target(estimator, FEW_ROWS)
    fitted, expected = estimator(random_state=0).fit(X, y), untouched(estimator)
    of_numpy = as_numpy(values(FEW_ROWS))
    assert_allclose(outputs(fitted, X), outputs(expected, of_numpy), rtol=0, atol=1e-10)
    assert fitted.score(X, y) > 0.6
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(outputs(loaded, as_frame(later())), outputs(fitted, as_frame(later())))
    for method in ("input_gradients", "hidden_features", "gradient_importances"):
        found = getattr(fitted, method)(X)
        assert_allclose(found, getattr(expected, method)(of_numpy), atol=1e-8)


@pytest.mark.sampled(7)
@either_estimator
@every_frame
@every_encoding
def test_streams_and_validation_rows_of_all_libraries(estimator, as_frame, encoding):
    asked = model(estimator, encoding=encoding, solver="adam", early_stopping=True, max_iter=5)
    y, y_val = target(estimator), target(estimator, 40, seed=9)
    frames, tables = ([as_one(values()), as_one(later())] for as_one in (as_frame, as_numpy))
    fitted, expected = (
        clone(asked).fit(X, y, X_val=X_val, y_val=y_val) for X, X_val in (frames, tables)
    )
    assert_allclose(fitted.validation_scores_, expected.validation_scores_, rtol=1e-10)
    first = {"classes": ["no", "yes"]} if estimator is TwoLayerClassifier else {}
    fitted, expected = (
        clone(asked).partial_fit(X, y, **first).partial_fit(X_val, y_val)
        for X, X_val in (frames, tables)
    )
    found = outputs(fitted, frames[1])
    assert_allclose(found, outputs(expected, tables[1]), rtol=0, atol=1e-10)


def check_columns_are_found_in_polars():
    """Skip where scikit-learn does not know how to take columns of polars 2 by their names."""
    pytest.importorskip("polars")
    if parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("scikit-learn before 1.9 asks polars for __dataframe__")


@pytest.mark.parametrize("transform", ["default", "pandas", "polars"])
def test_a_pipeline_passes_on_what_is_missing(transform):
    if transform == "polars":
        check_columns_are_found_in_polars()
    X, y = as_categories(values()), target(TwoLayerRegressor)
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), ["age", "income"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform=transform)
    order = ["age", "income", "city", "rooms", "is new", "größe", "count"]
    net = model(TwoLayerRegressor, solver="lbfgs", encoding="piecewise_linear")
    if transform == "default":  # an array of objects, which have no dtype to tell categories by
        net.set_params(categorical_features=[order.index("city"), order.index("größe")])
    pipeline = Pipeline([("columns", columns), ("net", net)]).fit(X, y)
    if transform != "default":
        assert_array_equal(pipeline[-1].feature_names_in_, order)
    # scaled columns are the same columns, but for the unit of what is missing: the mean is zero
    direct = clone(net).set_params(categorical_features="from_dtype").fit(X[order], y)
    assert_allclose(pipeline.predict(X), direct.predict(X[order]), rtol=0, atol=1e-7)
    rows = as_categories(later())
    assert_allclose(pipeline.predict(rows), direct.predict(rows[order]), rtol=0, atol=1e-7)
    assert_array_equal(pickle.loads(pickle.dumps(pipeline)).predict(rows), pipeline.predict(rows))


def test_categories_alone_selected_by_their_dtype():
    X, y = as_categories(values()), target(TwoLayerRegressor)
    columns = ColumnTransformer(
        [("categories", "passthrough", make_column_selector(dtype_include="category"))],
    ).set_output(transform="pandas")
    pipeline = Pipeline([("columns", columns), ("net", model(TwoLayerRegressor))]).fit(X, y)
    assert pipeline[-1].is_categorical_.tolist() == [True, True]
    alone = model(TwoLayerRegressor).fit(X[["city", "größe"]], y)
    assert_allclose(pipeline.predict(X), alone.predict(X[["city", "größe"]]), rtol=1e-12)


@pytest.mark.parametrize("as_frame", [as_categories, as_nullable, as_arrow_in_pandas, as_polars])
def test_a_search_over_encodings_and_knots_of_a_pipeline(as_frame):
    if as_frame is as_polars:
        check_columns_are_found_in_polars()
    y = np.sin(4 * np.array([0 if age is None else age for age in values()["age"]]))
    columns = ColumnTransformer([("drop", "drop", ["count"])], remainder="passthrough")
    columns.set_output(transform="polars" if as_frame is as_polars else "pandas")
    pipeline = Pipeline([("columns", columns), ("net", model(TwoLayerRegressor, solver="lbfgs"))])
    grid = [
        {"net__encoding": ["linear"]},
        {"net__encoding": ["piecewise_linear"], "net__n_knots": ["auto", 2, 12]},
    ]
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(as_frame(values()), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["net__encoding"] == "piecewise_linear"


def test_scikit_learn_inspects_a_model_of_a_frame():
    X, y = as_categories(values()), target(TwoLayerRegressor)
    fitted = model(TwoLayerRegressor).fit(X, y)
    importances = permutation_importance(fitted, X, y, n_repeats=3, random_state=0)
    found = dict(zip(X.columns, importances.importances_mean, strict=True))
    assert min(found["age"], found["income"], found["city"]) > found["größe"]
    response = partial_dependence(fitted, X, ["income"], grid_resolution=5)
    assert (np.diff(response["average"][0]) > 0).all()
