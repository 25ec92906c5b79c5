"""Export: fitted estimators as ONNX models, as JSON, and in files of skops.

ONNX
----
`to_onnx` makes an ONNX model of one estimator, `register` teaches skl2onnx both, so that
``skl2onnx.to_onnx`` converts pipelines. Both need the extra ``sklearn-twolayer[onnx]``. Every
activation, loss, encoding and average is supported, and estimators that were trained on sparse rows
take dense ones. The model computes in float32 and standardised units: predictions differ from those
of the estimator by less than 1e-5 of the target's deviation, probabilities by less than 1e-5; far
outside the training rows by ten times that, relative to what is predicted. It asks for opset 18 and
``ai.onnx.ml`` 3.

Inputs:

- of a table of numbers one tensor ``"X"`` (n_rows, n_features) of `dtype`; categories that are
  numbers stand there as they are, and NaN is a missing value;
- else one tensor (n_rows, 1) for each column, by the name that it had in training (x0, x1, ...
  without names; ``_`` follows a name that an output has, and stands for an empty one): strings for
  categories that are text, of which ``""`` is a missing one (unless it was a category itself);
  numbers of `dtype` for all others, float64 where labels need more digits.

Outputs:

- of a classifier ``"label"`` (n_rows,), int64 or strings as ``classes_`` are (bools become 0 and
  1), and ``"probabilities"`` (n_rows, n_classes); of multilabel y both are (n_rows, n_labels);
- of a regressor ``"prediction"`` (n_rows, n_targets), or (n_rows, n_quantiles), and with
  ``return_std=True`` ``"std"``, the standard deviation of a new y. skl2onnx calls the first
  ``"variable"``.

Moderation of probabilities and what is predicted far outside the training rows are part of the
model, unless ``posterior=False`` leaves the posterior out. Intervals are not.

JSON
----
`to_json` writes an estimator down as numbers that any language reads, `from_json` makes one of the
same class of it, which predicts the same: ``predict``, ``predict_proba``, standard deviations,
intervals and quantiles, to the last bit for float64 rows on the same machine. The text is one
object; matrices are lists of rows, and null stands for a number that there is none of.

=================== ================================================================================
``format``          ``"sklearn-twolayer"``, with ``format_version`` 1 and ``package_version``
``estimator``       ``"TwoLayerClassifier"`` or ``"TwoLayerRegressor"``
``parameters``      of its constructor; those that are no numbers, text, or lists and dicts of these
                    are left out, and an estimator read back has their defaults
``columns``         an object for each column of X, see below
``network``         W1, b1, W2, b2 and W0 (null without a skip path), which act on encoded columns
                    in raw units; ``hidden``, blocks of ``n_units`` hidden units, each with an
                    ``activation``; the ``mean`` and ``scale`` (null for infinity) of the columns
``output``          what becomes of raw outputs: ``link``, and more by link
``members``         an object for each network of the average, and its posterior
``ranges``          what numbers (``low``, ``high``) and predictions of rows far out are limited by
``residuals``       what intervals and quantiles are told by
``fit``, the rest   facts of the fit, that no prediction needs
=================== ================================================================================

**Encoding.** Column j begins at ``start`` among the encoded columns. Of a number x (``kind``
``"number"``), with t the ``knots``: the value x; for each but the last knot the increment
``min(max((x - t_k) / (t_k+1 - t_k), 0), 1)``; with ``has_indicator`` a 0. Of a missing number:
``fill`` for the value and the increments, and 1 for the indicator. Of a ``"category"``: 1 at the
place of its label in ``levels``, 0 at the others, with ``has_indicator`` a further column, 1 where
it is missing; all are 0 for a label that is not among them.

**Raw outputs.** ``Z2 = activation(x W1 + b1) W2 + b2 + x W0``.

**Prediction.** By ``link``, it is ``Z2`` itself (``"identity"``), ``exp(Z2)`` (``"log"``), the
first ``n_targets`` of Z2 (``"log_variance"``), or for ``"increments"``, with u the ``unit``, the
cumulated sums of ``Z2_1, u softplus(Z2_2 / u), ...``. Of classes, Z2 is multiplied by the
``temperature`` of ``moderation``, unless that is null, then comes ``"softmax"`` or ``"logistic"``;
two classes have one output, the probability of the second of ``classes``.

**The posterior** (with ``has_posterior``). Each of ``members`` is a network on its own ``columns``
(null for numbers as they are), less ``mean``, divided by ``scale``; W1 to W0 and the covariance
are in these units. The outputs of a member are ``Z2`` and the covariance ``J C J'``, where J are
the derivatives of Z2 by the parameters, W1, b1, W2, b2 and W0, each row by row. C is ``"full"``,
the lower triangle row by row, or ``"kronecker"``: with S = activation'(Z1) * W2, x1 = [x, 1] of the
first columns, as many as ``rotation`` has rows, b = [a, 1], with a skip path [a, 1, x], and squares
x^2 of the other columns the covariance is ::

    q_k = sum_j (x1 rotation)_j^2 / (1 + D_j g_k) + sum_j x_j^2 scale_j^2 / (1 + D_j g_k)
    t_l = b layer2_l b' + sum_j x_j^2 layer2_alone_lj
    sum_k q_k (S U_k) (S U_k)' + sum_l t_l V_l V_l'

Of wide tables it has a ``basis`` and a ``spread``, too: x is then ``z = x basis`` and behind it the
distance from the space of training rows, the root of ``x^2 spread - z z'`` or 0.

Members are averaged with the weights ``density``: the mean of their Z2, and the mean of their
covariances and of ``(Z2 - mean)(Z2 - mean)'``. For ``"identity"`` the deviation of a new y is
``unit * sqrt(variance + noise)``; behind ``"log"``, with ``m = exp(Z2) / unit``,
``unit * sqrt(m^2 variance + noise m^power)``. Logits z of a variance s are divided by
``sqrt(1 + pi/8 * variance_fraction * temperature^2 * s)``; of several classes that is done to each
difference, see `sklearn_twolayer.TwoLayerClassifier`. Where a number is beyond ``low`` or ``high``
and the variance (behind ``"log"`` times m^2) exceeds ``variance``, a prediction is that of the row
with numbers moved to the nearest of both, and between ``least_prediction`` and
``greatest_prediction``.

skops
-----
Files of skops hold these estimators without pickles. skops asks which types to trust; it is one for
each estimator, and both are in ``sklearn_twolayer.SKOPS_TRUSTED_TYPES``::

    import skops.io
    from sklearn_twolayer import SKOPS_TRUSTED_TYPES

    skops.io.dump(model, "model.skops")
    skops.io.load("model.skops", trusted=SKOPS_TRUSTED_TYPES)

Versions
--------
Pickles (joblib's, and files of skops, too) carry the version of the package: reading one of another
version warns (`sklearn.exceptions.InconsistentVersionWarning`). JSON of a format that this version
does not know is an error. For years, keep JSON.
"""

from .converters import register
from .onnx_model import to_onnx
from .text import from_json, to_json

__all__ = ["from_json", "register", "to_json", "to_onnx"]
