"""Categories, missing values and increments go together with everything else that exists."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from kinds import IGNORE_CONVERGENCE, INCREMENTAL, every_solver
from mixed_frames import CITIES, frame, outputs, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 120
MANY = [f"city {number}" for number in range(90)]

every_encoding = pytest.mark.parametrize("encoding", ["linear", "piecewise_linear"])
every_incremental_solver = pytest.mark.parametrize("solver", INCREMENTAL)
either_estimator = pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
few_or_many = pytest.mark.parametrize("cities", [CITIES, MANY], ids=["few", "many"])
standardized = pytest.mark.parametrize("standardize", [True, False])


def model(estimator, solver, encoding="linear", **options):
    settings = {"solver": solver, "encoding": encoding, "alpha": 1.0, "max_iter": 6}
    return estimator(**{"hidden_size": 4, "random_state": 0, "tol": 0.0, **settings, **options})


def later_frame(n_rows=N_ROWS, seed=7, cities=CITIES):
    """Rows that come later: a new level, other codes, and what is missing elsewhere, too."""
    X = frame(n_rows, seed, [*cities[::-1], "Wien"])
    X.loc[X.index[::7], "rooms"] = np.nan
    X["code"] = X["code"].cat.reorder_categories([30, -2, 7])
    X.loc[X.index[::9], "code"] = np.nan
    return X


def complete(n_rows=N_ROWS, **options):
    X = frame(n_rows, **options).ffill().bfill()
    assert not X.isna().any(axis=None)
    return X


def learnt(fitted):
    """All that is learnt of the columns."""
    return fitted.categories_, fitted.knots_, list(fitted.encoded_feature_names_)


def of_one_city(X, label):
    return X.assign(city=pd.Categorical([label] * len(X)))


def first_of(estimator):
    return {"classes": ["no", "yes"]} if estimator is TwoLayerClassifier else {}


@pytest.mark.sampled(5)
@either_estimator
@every_incremental_solver
@every_encoding
@few_or_many
@standardized
def test_a_stream_keeps_the_columns_of_its_first_chunk(
    estimator, solver, encoding, cities, standardize
):
    X, later = frame(N_ROWS, cities=cities), later_frame(cities=cities)
    fitted = model(estimator, solver, encoding, standardize=standardize, batch_size=50)
    fitted.partial_fit(X, targets(X, estimator), **first_of(estimator))
    first, before = copy.deepcopy(learnt(fitted)), outputs(fitted, X)
    for seed in range(3):
        fitted.partial_fit(later, targets(later, estimator, seed))
        assert_equal(learnt(fitted), first)
    assert_array_equal(
        outputs(fitted, of_one_city(X, "Wien")), outputs(fitted, of_one_city(X, "?"))
    )
    assert np.isfinite(outputs(fitted, later)).all()
    assert not np.allclose(outputs(fitted, X), before, atol=1e-5)
    # without standardisation what stands for a missing value is of the first chunk, too
    if not standardize and encoding == "linear":
        at_mean = later.assign(rooms=later["rooms"].fillna(X["rooms"].mean()))
        assert_allclose(outputs(fitted, later), outputs(fitted, at_mean), rtol=1e-12)


@every_incremental_solver
@every_encoding
def test_a_chunk_in_which_a_column_is_missing_says_nothing_of_its_mean(solver, encoding):
    X = complete().assign(age=lambda X: X["age"] + 1000)
    y = np.asarray(X["age"] - 1000)
    fitted = model(TwoLayerRegressor, solver, encoding, max_iter=1)
    for _ in range(20):
        fitted.partial_fit(X, y)
    of_mean = fitted.predict(X.assign(age=np.nan))
    before = np.abs(fitted.predict(X) - y).mean()
    for _ in range(3):
        fitted.partial_fit(X.assign(age=np.nan), y)
    assert_allclose(fitted.predict(X.assign(age=np.nan)), of_mean, atol=0.5)
    assert np.abs(fitted.predict(X) - y).mean() < 2 * before


@either_estimator
@every_incremental_solver
def test_numbers_alone_may_be_missing_in_later_chunks(estimator, solver):
    X = complete().drop(columns=["city", "code"])
    y = targets(complete(), estimator)
    fitted = model(estimator, solver).partial_fit(X, y, **first_of(estimator))
    names = list(fitted.encoded_feature_names_)
    holes = X.mask(np.random.RandomState(0).rand(*X.shape) < 0.2)
    fitted.partial_fit(holes, y)
    assert list(fitted.encoded_feature_names_) == names == list(X.columns)
    # a chunk of no missing values after one that had some
    fitted.partial_fit(X, y)
    assert np.isfinite(outputs(fitted, holes)).all()
    all_missing = outputs(fitted, X.mask(X == X))
    assert_array_equal(all_missing, np.repeat(all_missing[:1], len(X), axis=0))


@pytest.mark.sampled(3)
@either_estimator
@every_solver
@every_encoding
@few_or_many
def test_a_warm_start_goes_on_with_the_columns_it_knows(estimator, solver, encoding, cities):
    X, later = frame(N_ROWS, cities=cities), later_frame(cities=cities)
    y = targets(X, estimator)
    asked = model(estimator, solver, encoding, warm_start=True, batch_size=50, shuffle=False)
    fitted = clone(asked).fit(X, y)
    first, loss, earlier = copy.deepcopy(learnt(fitted)), fitted.loss_, copy.copy(fitted)
    state = copy.deepcopy(earlier._state)
    fitted.fit(X, y)
    assert fitted.loss_ < 1.001 * loss
    fitted.fit(later, targets(later, estimator))
    assert_equal(learnt(fitted), first)
    assert_array_equal(
        outputs(fitted, of_one_city(X, "Wien")), outputs(fitted, of_one_city(X, "?"))
    )
    # what the earlier fit left is what it was
    assert_equal(earlier._state, state)
    if solver in INCREMENTAL:
        in_two = clone(asked).set_params(max_iter=2, n_iter_no_change=100).fit(X, y)
        in_two.set_params(max_iter=4).fit(X, y)
        in_one = clone(asked).set_params(max_iter=6, n_iter_no_change=100).fit(X, y)
        assert_allclose(in_two.loss_curve_, in_one.loss_curve_, rtol=1e-6)


@either_estimator
@every_solver
@every_encoding
def test_validation_rows_may_have_what_training_had_not(estimator, solver, encoding):
    X, X_val = complete(), later_frame()
    y, y_val = targets(X, estimator), targets(X_val, estimator)
    name = "r2" if estimator is TwoLayerRegressor else "accuracy"
    for scoring in ("loss", name):
        fitted = model(estimator, solver, encoding, scoring=scoring)
        fitted.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=np.arange(N_ROWS))
        assert [len(labels) for labels in fitted.categories_] == [4, 3]
        assert not any("missing" in name for name in fitted.encoded_feature_names_)
        if scoring == name:
            score = fitted.score(X_val, y_val, sample_weight=np.arange(N_ROWS))
            assert fitted.best_validation_score_ == pytest.approx(score, abs=1e-12)
        elif solver != "lm" and estimator is TwoLayerRegressor:
            # the negated mean of half the squares, in units of y
            residual = (y_val - fitted.predict(X_val)) / y.std()
            loss = np.average(residual**2, weights=np.arange(N_ROWS)) / 2
            assert -fitted.best_validation_score_ == pytest.approx(loss, rel=1e-10)


@every_encoding
@pytest.mark.parametrize("scoring", ["loss", "r2"])
def test_numbers_missing_in_validation_rows_alone(encoding, scoring):
    X = complete().drop(columns=["city", "code"])
    y = targets(complete(), TwoLayerRegressor)
    holes = X.mask(np.random.RandomState(0).rand(*X.shape) < 0.2)
    fitted = model(TwoLayerRegressor, "lbfgs", encoding, scoring=scoring)
    fitted.fit(X, y, X_val=holes, y_val=y)
    residual = (y - fitted.predict(holes)) / y.std()
    scores = {"loss": -np.mean(residual**2) / 2, "r2": fitted.score(holes, y)}
    assert fitted.best_validation_score_ == pytest.approx(scores[scoring], rel=1e-10)
    # they choose when to stop, and change nothing else
    plain = model(TwoLayerRegressor, "lbfgs", encoding).fit(X, y)
    assert_array_equal(fitted.encoded_feature_names_, plain.encoded_feature_names_)
    n = min(len(fitted.loss_curve_), len(plain.loss_curve_))
    assert_allclose(fitted.loss_curve_[:n], plain.loss_curve_[:n], rtol=1e-9)


@pytest.mark.sampled(7)
@either_estimator
@every_solver
@every_encoding
@pytest.mark.parametrize("scoring", ["loss", "by name", "by function"])
def test_early_stopping(estimator, solver, encoding, scoring):
    X = frame(200)
    y = targets(X, estimator)
    name = "r2" if estimator is TwoLayerRegressor else "accuracy"
    by = {"loss": "loss", "by name": name, "by function": lambda model, X, y: model.score(X, y)}
    asked = model(estimator, solver, encoding, early_stopping=True, scoring=by[scoring])
    fitted = asked.set_params(max_iter=20, n_iter_no_change=3).fit(X, y)
    assert len(fitted.validation_scores_) == len(fitted.loss_curve_)
    # the initial weights are rated, too
    assert fitted.best_validation_score_ >= max(fitted.validation_scores_)
    if scoring == "by function":
        same = clone(asked).set_params(scoring=name).fit(X, y)
        assert_allclose(fitted.validation_scores_, same.validation_scores_, rtol=1e-12)


@every_solver
@every_encoding
def test_balanced_classes_are_weights(solver, encoding):
    X = frame(N_ROWS)
    y = np.where(targets(X, TwoLayerRegressor) > 2.5, "many", "few")
    fitted = model(TwoLayerClassifier, solver, encoding, class_weight="balanced").fit(X, y)
    weights = compute_sample_weight("balanced", y)
    expected = model(TwoLayerClassifier, solver, encoding).fit(X, y, sample_weight=weights)
    assert_allclose(fitted.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-10)
    plain = model(TwoLayerClassifier, solver, encoding).fit(X, y)
    assert not np.allclose(plain.predict_proba(X), expected.predict_proba(X), atol=1e-3)


@either_estimator
@every_solver
@every_encoding
def test_the_best_of_several_draws(estimator, solver, encoding):
    X = frame(N_ROWS)
    y = targets(X, estimator)
    best = model(estimator, solver, encoding, n_init=3, batch_size=1000).fit(X, y)
    assert_array_equal(outputs(best, X), outputs(clone(best).fit(X, y), X))
    assert best.loss_ <= model(estimator, solver, encoding, batch_size=1000).fit(X, y).loss_ * 1.5


@pytest.mark.sampled(3)
@either_estimator
@every_encoding
@few_or_many
@pytest.mark.parametrize("n_members", [1, 2])
def test_the_evidence_is_sure_of_rows_like_those_it_knows(estimator, encoding, cities, n_members):
    X, later = frame(N_ROWS, cities=cities), later_frame(cities=cities)
    y = targets(X, estimator)
    asked = model(estimator, "lm", encoding, alpha="auto", n_members=n_members, hidden_size=3)
    fitted = asked.set_params(max_iter=30).fit(X, y)
    assert fitted.n_members_ == n_members
    assert len(fitted.alpha_) == X.shape[1] + 2 + fitted.skip_
    if estimator is TwoLayerRegressor:
        check_errors(fitted, X, later)
    else:
        check_moderation(fitted, later)


def check_errors(fitted, X, later):
    predicted, error = fitted.predict(later, return_std=True)
    assert_array_equal(predicted, fitted.predict(later))
    assert np.isfinite(error).all() and error.min() > 0
    singly = [fitted.predict(later.iloc[[i]], return_std=True)[1][0] for i in range(5)]
    assert_allclose(error[:5], singly, rtol=1e-9)
    far = X.assign(age=X["age"] + 50)
    assert (
        fitted.predict(far, return_std=True)[1].mean()
        > fitted.predict(X, return_std=True)[1].mean()
    )


def check_moderation(fitted, later):
    P = fitted.predict_proba(later)
    assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(P[:, 1], 1 / (1 + np.exp(-fitted.decision_function(later))), rtol=1e-9)
    singly = [fitted.predict_proba(later.iloc[[i]])[0] for i in range(5)]
    assert_allclose(P[:5], singly, rtol=1e-9)
    moderated = fitted.decision_function(later)
    raw = fitted.set_params(moderate=False).decision_function(later)
    assert_array_equal(np.sign(raw), np.sign(moderated))
    # without a part of their variance all logits are divided alike
    varies = (raw / moderated).std() > 1e-3
    assert varies == (fitted._predictive["variance_fraction"] > 0)


def as_array(X, dtype=np.float64):
    """The same table as numbers: the cities by their codes, of which one is negative."""
    codes = X["city"].cat.codes.astype(float).where(X["city"].notna())
    return np.column_stack([codes - 1, X["age"], X["rooms"], X["code"], X["income"]]).astype(dtype)


@pytest.mark.sampled(3)
@either_estimator
@every_solver
@every_encoding
@few_or_many
def test_an_array_of_codes_is_the_frame(estimator, solver, encoding, cities):
    X = frame(N_ROWS, cities=cities)
    y = targets(X, estimator)
    expected = model(estimator, solver, encoding).fit(X, y)
    categorical = [0, 3]
    found = model(estimator, solver, encoding, categorical_features=categorical)
    found.fit(as_array(X), y)
    assert_allclose(outputs(found, as_array(X)), outputs(expected, X), rtol=0, atol=1e-12)
    assert [len(labels) for labels in found.categories_] == [X["city"].nunique(), 3]
    assert {name.split("_")[0] for name in found.encoded_feature_names_} >= {"x0", "x1", "x3"}


@pytest.mark.sampled(3)
@either_estimator
@every_solver
@every_encoding
@few_or_many
def test_single_precision(estimator, solver, encoding, cities):
    X = frame(N_ROWS, cities=cities)
    y = targets(X, estimator)
    asked = model(estimator, solver, encoding, categorical_features=[0, 3], max_iter=3)
    wide, single = clone(asked).fit(as_array(X), y), clone(asked).fit(as_array(X, np.float32), y)
    predicted = outputs(single, as_array(X, np.float32))
    assert {A.dtype for A in single.coefs_} == {predicted.dtype} == {np.dtype(np.float32)}
    assert_allclose(predicted, outputs(wide, as_array(X)), rtol=0, atol=2e-3)
    assert_allclose(outputs(single, as_array(X)), predicted, rtol=0, atol=1e-4)
    frame_of_single = X.astype({"age": np.float32, "rooms": np.float32, "income": np.float32})
    of_frame = model(estimator, solver, encoding, max_iter=3).fit(frame_of_single, y)
    assert outputs(of_frame, frame_of_single).dtype == np.float32
    assert_allclose(outputs(of_frame, frame_of_single), predicted, rtol=0, atol=1e-5)


FAR = 1e6


@every_encoding
@few_or_many
def test_single_precision_far_from_zero(encoding, cities):
    X = frame(N_ROWS, cities=cities)
    y = targets(X, TwoLayerRegressor)
    far = as_array(X, np.float32)
    far[:, 1] += np.float32(FAR)
    near = far.astype(np.float64)
    near[:, 1] -= FAR
    present = np.asarray(X["age"].notna())
    asked = model(TwoLayerRegressor, "lbfgs", encoding, categorical_features=[0, 3])
    expected = clone(asked).fit(near, y).predict(near)
    fitted = clone(asked).fit(far, y)
    assert_allclose(fitted.predict(far)[present], expected[present], rtol=0, atol=1e-3)
    # the mean is rounded to float32, as are the ages themselves: by up to 0.03 years
    assert_allclose(fitted.predict(far), expected, rtol=0, atol=0.03)
    in_double = fitted.predict(far.astype(np.float64))
    assert_allclose(in_double[present], fitted.predict(far)[present], rtol=0, atol=1e-3)


def on_disk(X, path):
    mapped = np.lib.format.open_memmap(path, "w+", X.dtype, X.shape)
    mapped[:] = X
    mapped.flush()
    return np.load(path, mmap_mode="r")


@pytest.mark.sampled(3)
@either_estimator
@every_solver
@every_encoding
@pytest.mark.parametrize("categorical_features", ["from_dtype", [0, 3]])
def test_rows_on_disk(estimator, solver, encoding, categorical_features, tmp_path):
    X = frame(N_ROWS, cities=MANY)
    y, X = targets(X, estimator), as_array(X)
    mapped = on_disk(X, tmp_path / "X.npy")
    asked = model(estimator, solver, encoding, categorical_features=categorical_features)
    expected, found = clone(asked).fit(X, y), clone(asked).fit(mapped, y)
    assert_allclose(outputs(found, mapped), outputs(expected, X), rtol=0, atol=1e-9)
    assert not any(isinstance(value, np.memmap) for value in vars(found).values())


PLAIN = (np.ndarray, np.generic, float, int, str, bool, type(None))


def check_plain(value):
    """Arrays, scalars, strings, lists, tuples and dicts of these."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for part in value:
            check_plain(part)
    else:
        assert isinstance(value, PLAIN), type(value)
        assert not isinstance(value, np.memmap)


@pytest.mark.sampled(5)
@either_estimator
@pytest.mark.parametrize("solver", ["auto", "adam", "lbfgs"])
@every_encoding
@few_or_many
def test_pickles_and_clones(estimator, solver, encoding, cities):
    X, later = frame(N_ROWS, cities=cities), later_frame(cities=cities)
    y = targets(X, estimator)
    alpha = "auto" if solver == "auto" and cities is CITIES else 1.0
    fitted = model(estimator, solver, encoding, alpha=alpha).fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(outputs(loaded, later), outputs(fitted, later))
    assert_equal(learnt(loaded), learnt(fitted))
    check_plain({name: value for name, value in vars(fitted).items() if name != "random_state"})
    assert_array_equal(outputs(clone(fitted).fit(X, y), later), outputs(fitted, later))


SPARSE = sparse.random(60, 5, density=0.4, random_state=0, format="csr")


@pytest.mark.parametrize(
    "options", [{"encoding": "piecewise_linear"}, {"categorical_features": [1]}]
)
@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_sparse_columns_are_not_encoded(options, begin):
    asked = model(TwoLayerRegressor, "adam", **options)
    before = copy.deepcopy(vars(asked))
    with pytest.raises(ValueError, match=r"dense.*got a sparse one"):
        getattr(asked, begin)(SPARSE, np.arange(60.0))
    assert_equal(vars(asked), before)
    rows = np.nan_to_num(SPARSE.toarray())
    fitted = getattr(asked, begin)(rows, np.arange(60.0))
    before = pickle.dumps(fitted)
    for call in (
        fitted.predict,
        fitted.hidden_features,
        lambda X: fitted.partial_fit(X, rows[:, 0]),
    ):
        with pytest.raises(ValueError, match=r"X must be dense.*got a sparse one"):
            call(SPARSE)
    assert pickle.dumps(fitted) == before


def test_sparse_rows_are_refused_where_training_had_missing_values():
    rows = SPARSE.toarray()
    rows[3, 2] = np.nan
    fitted = model(TwoLayerRegressor, "adam").fit(rows, np.arange(60.0))
    with pytest.raises(ValueError, match=r"X must be dense.*got a sparse one"):
        fitted.predict(SPARSE)


@pytest.mark.parametrize("categorical_features", ["from_dtype", None])
@pytest.mark.parametrize("encoding", ["auto", "linear"])
def test_sparse_columns_are_taken_as_they_are(categorical_features, encoding):
    asked = model(TwoLayerRegressor, "lbfgs", encoding, categorical_features=categorical_features)
    fitted = asked.fit(SPARSE, np.arange(60.0))
    assert_allclose(fitted.predict(SPARSE), fitted.predict(SPARSE.toarray()), rtol=1e-9)
    # dense rows later may have missing values, which are means
    rows = SPARSE.toarray()
    mean = rows.mean(axis=0)
    holes = np.where(rows == 0, np.nan, rows)
    assert_allclose(
        fitted.predict(holes), fitted.predict(np.where(rows == 0, mean, rows)), rtol=1e-9
    )
    # as may those that the fit goes on with
    fitted.set_params(warm_start=True, solver="adam").fit(holes, np.arange(60.0))
    assert np.isfinite(fitted.predict(holes)).all()


def test_a_search_over_encodings_and_knots():
    X = frame(N_ROWS)
    y = np.sin(3 * X["age"].fillna(0)) + 0.1 * targets(X, TwoLayerRegressor)
    grid = {"encoding": ["linear", "piecewise_linear"], "n_knots": ["auto", 2, 12]}
    asked = model(TwoLayerRegressor, "lbfgs", max_iter=50)
    search = GridSearchCV(asked, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_["encoding"] == "piecewise_linear"
    assert search.best_score_ > 1.2 * search.cv_results_["mean_test_score"][0]
    knots = search.set_params(param_grid={"encoding": ["piecewise_linear"], "n_knots": [5]})
    assert {len(k) for k in knots.fit(X, y).best_estimator_.knots_} == {4, 6}


@either_estimator
def test_a_pipeline_that_passes_what_is_missing_through(estimator):
    X = frame(N_ROWS)
    y = targets(X, estimator)
    columns = make_column_transformer(
        (StandardScaler(), ["age", "income"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(columns, model(estimator, "lbfgs", max_iter=30)).fit(X, y)
    fitted = pipeline[-1]
    assert [list(map(str, labels)) for labels in fitted.categories_] == [
        sorted(CITIES),
        ["-2", "7", "30"],
    ]
    assert "missingindicator_age" in fitted.encoded_feature_names_
    assert list(fitted.feature_names_in_) == ["age", "income", "city", "rooms", "code"]
    assert np.isfinite(outputs(pipeline, later_frame())).all()
    assert pipeline.score(X, y) > 0.6


@either_estimator
@every_encoding
def test_cross_validation(estimator, encoding):
    X = frame(N_ROWS)
    y = targets(X, estimator)
    found = cross_val_predict(model(estimator, "lbfgs", encoding, max_iter=30), X, y, cv=3)
    if estimator is TwoLayerRegressor:
        assert np.corrcoef(found, y)[0, 1] > 0.7
    else:
        assert (found == y).mean() > 0.65


def with_infinity(X):
    return X.assign(age=np.inf)


def with_text(X):
    return X.assign(age="old")


def without_a_column(X):
    return X.drop(columns="income")


def in_another_order(X):
    return X[X.columns[::-1]]


def with_numbers_for_text(X):
    return X.assign(city=pd.Categorical([1.5] * len(X)))


def with_dates(X):
    return X.assign(rooms=pd.to_datetime("2020-01-01"))


BAD = {
    with_infinity: "column 'age' of X.*infinity",
    with_text: "column 'age' of X.*text",
    without_a_column: "(?s)missing.*income",
    in_another_order: "must be in the same order",
    with_numbers_for_text: "column 'city' of X.*numbers",
    with_dates: "column 'rooms' of X.*DatetimeEncoder",
}


@either_estimator
@pytest.mark.parametrize("spoil", BAD)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_bad_frame_changes_nothing(estimator, spoil, solver):
    X = frame(N_ROWS)
    y = targets(X, estimator)
    fitted = model(estimator, solver, "piecewise_linear", warm_start=True).fit(X, y)
    before = pickle.dumps(fitted)
    calls = [
        outputs,
        lambda model, X: model.fit(X, y),
        lambda model, X: model.fit(frame(N_ROWS), y, X_val=X, y_val=y),
    ]
    if solver in INCREMENTAL:
        calls.append(lambda model, X: model.partial_fit(X, y))
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=BAD[spoil]):
            call(fitted, spoil(X))
        assert pickle.dumps(fitted) == before
