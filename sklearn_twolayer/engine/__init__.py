"""A neural network with one hidden layer, in NumPy. This is its only door.

Four wings lie under a front, and each knows only those behind it: ``bayes`` (how strong the prior
is, and how sure we are), ``solvers`` (how weights are found), ``model`` (what the network
computes), ``data`` (where rows live, and in which units). In front, ``plan`` makes every choice
definite, ``fitting`` decides which runs there are, and ``run`` is the recipe of one. ``settings``
and ``numerics`` are leaves that all of them may use. To read it, begin with ``run``.

Conventions
-----------
n_rows, n_features, n_hidden, n_outputs are the sizes everything below speaks of.

===========  =========================  =====================================================
X            (n_rows, n_features)       inputs, float32 or float64, dense or CSR
Y            (n_rows, n_outputs)        targets as floats, or class numbers (n_rows,)
w            (n_rows,) or one number    weights of rows; k counts as k copies
theta        (n_parameters,)            [W1, b1, W2, b2, W0], each in C order
W1, b1       (n_features, n_hidden)     first layer, and (n_hidden,)
W2, b2       (n_hidden, n_outputs)      second layer, and (n_outputs,)
W0           (n_features, n_outputs)    the path that skips the hidden layer, if there is one
Z1, A1, D1   (n_rows, n_hidden)         before and after the activation; d loss / d Z1
Z2, D2       (n_rows, n_outputs)        raw outputs; d loss / d Z2
===========  =========================  =====================================================

X, Y and theta are in standardised units inside, ``coefs`` and ``intercepts`` in raw ones. Where
columns are encoded (``data.encoding``), n_features counts the encoded ones, of which those of one
original column share a prior.
No module here imports anything but NumPy, SciPy and the standard library.
"""

from .averaging import activation_of, located, outputs_and_covariance, widest_member
from .bayes.ensemble import Predictive
from .bayes.extrapolation import (
    Ranges,
    bounds_of_numbers,
    draw_in,
    limits_of_numbers,
    limits_of_targets,
)
from .bayes.moderation import ULPS_AHEAD, Moderation, with_labels_of
from .bayes.pooling import log_density, moments
from .compatibility import merges_rows
from .data.encoded import Encoded, moments_of_encoded
from .data.encoding import NUMBER, Counts, Encoding, count, encoding_of_sums, numbers_of
from .data.encoding import plain as plain_encoding
from .data.knots import knots_of, sums_of_increments, usual_number
from .data.level_order import add_sums, all_differ, key, level_order, level_sums, sort_levels
from .data.moments import Moments, has_missing
from .data.rows import ArrayRows, Rows, merge_equal_rows
from .data.sources import subset
from .data.summaries import Summary, summarise
from .data.table import RowFormat, Table
from .fitting import fit, partial_fit
from .model.activations import ACTIVATIONS
from .model.activations import side_by_side as side_by_side_activation
from .model.gradient_check import numerical_gradient
from .model.initializers import INITIALIZERS
from .model.loss import LocatedLoss
from .model.losses import LOSSES, loss_with, noise_variance
from .model.network import raw_prediction
from .model.parameters import Shape
from .model.sensitivity import gradient_magnitude, hidden_features, input_gradient
from .model.varying_noise import LEAST as LEAST_NOISE
from .model.varying_noise import MOST_UNCERTAIN
from .numerics import Array, softmax, softplus, within_range
from .plan import Plan, make_plan
from .preservation import (
    preserve,
    preserve_predictive,
    restore,
    restore_predictive,
    restore_ranges,
    restore_residuals,
)
from .relevance import choose_columns, using
from .settings import Settings
from .solvers import SOLVERS
from .solvers.monitor import Monitor
from .solvers.optimizers import OPTIMIZERS
from .solvers.progress import EachIteration, Part, Progress, Report, Together, Watcher
from .solvers.schedules import SCHEDULES
from .solvers.solution import Solution, Status
from .task import Continuation, Fit, Task

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LEAST_NOISE",
    "LOSSES",
    "MOST_UNCERTAIN",
    "NUMBER",
    "OPTIMIZERS",
    "SCHEDULES",
    "SOLVERS",
    "ULPS_AHEAD",
    "Array",
    "ArrayRows",
    "Continuation",
    "Counts",
    "EachIteration",
    "Encoded",
    "Encoding",
    "Fit",
    "LocatedLoss",
    "Moderation",
    "Moments",
    "Monitor",
    "Part",
    "Plan",
    "Predictive",
    "Progress",
    "Ranges",
    "Report",
    "RowFormat",
    "Rows",
    "Settings",
    "Shape",
    "Solution",
    "Status",
    "Summary",
    "Table",
    "Task",
    "Together",
    "Watcher",
    "activation_of",
    "add_sums",
    "all_differ",
    "bounds_of_numbers",
    "choose_columns",
    "count",
    "draw_in",
    "encoding_of_sums",
    "fit",
    "gradient_magnitude",
    "has_missing",
    "hidden_features",
    "input_gradient",
    "key",
    "knots_of",
    "level_order",
    "level_sums",
    "limits_of_numbers",
    "limits_of_targets",
    "located",
    "log_density",
    "loss_with",
    "make_plan",
    "merge_equal_rows",
    "merges_rows",
    "moments",
    "moments_of_encoded",
    "noise_variance",
    "numbers_of",
    "numerical_gradient",
    "outputs_and_covariance",
    "partial_fit",
    "plain_encoding",
    "preserve",
    "preserve_predictive",
    "raw_prediction",
    "restore",
    "restore_predictive",
    "restore_ranges",
    "restore_residuals",
    "side_by_side_activation",
    "softmax",
    "softplus",
    "sort_levels",
    "subset",
    "summarise",
    "sums_of_increments",
    "using",
    "usual_number",
    "widest_member",
    "with_labels_of",
    "within_range",
]
