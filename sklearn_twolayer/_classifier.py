"""Targets that are labels. Long because every parameter is documented here, in full."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from . import engine
from ._base import BaseTwoLayer, can_go_on
from ._class_weight import class_weights
from ._monotonic import constrains
from ._validation import SMALLEST_TOTAL, MatrixLike, check_classes, refuse_collections


class TwoLayerClassifier(ClassifierMixin, BaseTwoLayer):
    """A neural network with one hidden layer that predicts labels.

    It scales its columns itself, minimises the penalised log-loss, and acts on raw units: no
    pipeline of scalers is needed around it. Labels may be binary, multiclass or multilabel.

    Parameters
    ----------
    hidden_size : int or "auto", default="auto"
        Number of hidden units of each network. ``"auto"`` is 10 for ``"lm"`` (20 from 3,000 rows
        on), else 100. With a number given, `n_members` is 1 unless it is given, too.

    activation : str, default="auto"
        The function each hidden unit applies to its input, one of ``"auto"``, ``"identity"``,
        ``"logistic"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``, ``"gelu"``, ``"silu"``,
        ``"softplus"``. ``"leaky_relu"`` has slope 0.01 below zero, ``"gelu"`` is exact (``x *
        Phi(x)``), ``"silu"`` is ``x * sigmoid(x)``. ``"auto"`` is tanh with ``alpha="auto"``, but
        for a kind of network that Notes tell of, and for ``"lm"``; else relu.

    skip : bool or "auto", default="auto"
        Whether the inputs also reach the outputs directly, past the hidden layer: the network is
        then a linear model plus what the hidden units add to it. Those weights start at zero, or,
        for ``"lm"`` with ``alpha="auto"``, at the linear model that the evidence prefers.
        ``"auto"`` is True for ``"lm"`` with ``alpha="auto"`` and one output.

    solver : {"auto", "lbfgs", "lm", "sgd", "rmsprop", "adam"}, default="auto"
        How the weights are found. ``"lbfgs"`` looks at all rows in every iteration [4]_, and so
        does ``"lm"``, Levenberg-Marquardt [7]_: far fewer but more expensive iterations, for
        networks of at most 3,000 parameters (or rows times outputs). The others take mini-batches:
        stochastic gradient descent with momentum, RMSProp [5]_ and Adam [6]_. ``"auto"`` trains
        networks of several kinds where the evidence is to choose `alpha`, see Notes. For an `alpha`
        that is given it takes L-BFGS up to 10,000 rows and Adam beyond. The choice stands in
        ``solver_``.

    alpha : float, array of shape (n_groups,) or "auto", default="auto"
        Precision of a Gaussian prior on the weights, biases excepted, in standardised units: the
        penalty is ``alpha / 2 * sum(W ** 2)``, divided like the loss by the sum of all weights of
        rows. Its meaning does not depend on `batch_size`. In a stream (:meth:`partial_fit`) every
        row that has arrived counts.

        An array has a precision for each group of weights: those of each column of X, the hidden
        biases, those of the output layer, and those of the skip path if there is one.

        ``"auto"`` lets the data choose such an array, by the evidence [8]_: the probability of the
        targets, the weights being averaged out. For ``"lm"`` it is exact up to Laplace's
        approximation; it then needs all rows to train on, and at most 3,000 parameters, else
        ``"auto"`` is 1. The other solvers take the curvature for a Kronecker product in each layer
        [10]_ and choose again and again as they run, for networks of any size, also in a stream.
        For more than 50 outputs ``"auto"`` is 1, and there is no posterior.

    l1_ratio : float, default=0.0
        How much of `alpha` goes to the absolute values of the weights instead of their squares, in
        [0, 1]: the elastic net [14]_, whose penalty is ``alpha * (l1_ratio * sum(|W|) + (1 -
        l1_ratio) / 2 * sum(W ** 2))``, of the same weights as ever. Weights that are not needed are
        then exactly zero, as in :class:`~sklearn.linear_model.ElasticNet`; there are no error bars.
        ``"lbfgs"`` goes from orthant to orthant [15]_, mini-batches take a proximal step after each
        other step. It needs an `alpha` that is given, and not ``"lm"``. To drop whole columns of X
        is what `group_lasso` is for.

    group_lasso : bool, default=False
        Whether columns of X that are not needed are dropped, so that all their weights are exactly
        zero: a group lasso over the columns [16]_, each with all that it is encoded by, comes
        before the fit. Its penalty is relative to the weights that a small network has under the
        evidence, and as strong as rows that are held out allow, within one standard error; the
        networks proper are then fitted to the other columns. ``features_used_`` tells which these
        are. It takes about as long as the fit itself, drops nothing where there are fewer than 20
        rows, and is not for :meth:`partial_fit`. A warm start goes on without the columns that were
        dropped.

    batch_size : int or "auto", default="auto"
        Rows in a mini-batch, at most `n_samples`. ``"auto"`` is 64 for fewer than 2,000 rows and
        256 from there on where :meth:`fit` is to choose `alpha`, else 200. Not used by ``"lbfgs"``
        and ``"lm"``.

    learning_rate : str, default="auto"
        How the learning rate goes on from `learning_rate_init`; set anew in each epoch.

        - ``"one_cycle"`` [11]_: set anew for each mini-batch, it rises from zero to
          `learning_rate_init` in a tenth of `max_iter` epochs and falls to zero in the others, on
          half a cosine wave. Whether the loss stalls does not matter: it ends after `max_iter`
          epochs, and has then converged;
        - ``"constant"``: it stays;
        - ``"invscaling"``: ``learning_rate_init / (1 + t_) ** power_t``, ``t_`` rows being seen so
          far;
        - ``"adaptive"``: divided by five whenever the loss has stalled, down to 1e-6;
        - ``"exponential"``: ``learning_rate_init * decay_rate ** (epoch / decay_epochs)``;
        - ``"step"``: the same, changing only every `decay_epochs` epochs;
        - ``"cosine"``: half a cosine wave that reaches zero after `max_iter` epochs;
        - ``"auto"``: ``"one_cycle"`` where :meth:`fit` is to choose `alpha`, else ``"constant"``.

        Not used by ``"lbfgs"`` and ``"lm"``.

    learning_rate_init : float or "auto", default="auto"
        The initial learning rate; the largest one of ``"one_cycle"``. ``"auto"`` is 0.02 where
        :meth:`fit` is to choose `alpha`, else 0.001. Not used by ``"lbfgs"`` and ``"lm"``.

    power_t : float, default=0.5
        Exponent of ``learning_rate="invscaling"``.

    decay_rate : float in (0, 1], default=0.5
        Factor of ``learning_rate="exponential"`` and ``"step"`` after `decay_epochs` epochs.

    decay_epochs : float, default=100.0
        Epochs after which the learning rate has changed by `decay_rate`.

    max_iter : int or "auto", default="auto"
        The most iterations of one call of ``fit``: epochs of a stochastic solver, steps of the
        others. ``"auto"`` is 1000. Where the evidence chooses `alpha`, that of ``"lm"`` takes at
        most 30 steps and ten more that close in on the mode, and a stochastic solver, with
        ``"auto"``, as many epochs as have ``40 * n_samples ** 0.5`` mini-batches (16 instead of 40
        with knots), at least 8.

    shuffle : bool, default=True
        Whether the rows are drawn in a new order in each epoch.

    random_state : int, RandomState instance or None, default=None
        Source of the random numbers, used in this order: the rows set aside for validation, those
        held out to weigh networks by and the seeds of the networks that are tried on them, the
        initial weights (W1, W2), the order of rows in each epoch. With ``n_init > 1`` or several
        networks it gives each run its seed instead of the last two. An int gives the same bits in
        every fit on the same machine.

    tol : float, default=1e-4
        An iteration counts as an improvement if it brings the loss (with `early_stopping`: the
        validation score) beyond its best value by more than `tol` times that value, or times a
        thousandth of the first one, if that is more. ``"lbfgs"`` and ``"lm"`` also stop where no
        component of the gradient exceeds `tol`. Where ``"lm"`` chooses `alpha` this has no say: it
        has settled when nothing changes the log posterior by a tenth of a nat any more. Nor does it
        with ``learning_rate="one_cycle"``, unless `early_stopping` looks at a score.

    momentum : float in [0, 1], default=0.9
        Momentum of ``solver="sgd"``.

    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's.

    beta_1 : float in [0, 1), default=0.9
        Decay of Adam's first moment.

    beta_2 : float in [0, 1), default=0.999
        Decay of Adam's second moment and of RMSProp's mean square.

    epsilon : float, default=1e-8
        Keeps the divisions of Adam and RMSProp finite.

    n_iter_no_change : int or numpy.inf, default=10
        Iterations in a row without improvement after which a fit stops.

    max_fun : int, default=15000
        The most evaluations of the loss by ``solver="lbfgs"``.

    initializer : str, default="auto"
        How initial weights are drawn [1]_ [2]_ [3]_, one of ``"auto"``, ``"he_uniform"``,
        ``"he_normal"``, ``"glorot_uniform"``, ``"glorot_normal"``, ``"lecun_uniform"``,
        ``"lecun_normal"``, ``"standard_normal"``. ``"auto"`` takes He's uniform draw for relu and
        its kin and Glorot's for the others and for the output layer. ``"standard_normal"`` draws
        the biases too; elsewhere they start at zero.

    standardize : bool, default=True
        Whether the engine sees the columns of X with weighted mean 0 and standard deviation 1. The
        map is folded into ``coefs_`` and ``intercepts_``, which act on raw units, so prediction
        costs nothing extra. Sparse X is never centred: its mean travels in the bias. Columns that
        are constant in training have no influence on predictions.
        If all columns have mean 0 and deviation 1 already, to within 1e-6, they stay as they are,
        and X of 64 MB or more is then not copied.

    encoding : {"auto", "linear", "piecewise_linear"}, default="auto"
        What becomes of a column of numbers. ``"linear"`` is its value alone. With
        ``"piecewise_linear"`` [9]_ it is joined by its increments between `n_knots` + 1 knots, each
        from 0 to 1: hidden units can then bend, or step, at every knot. ``"auto"`` is ``"linear"``,
        but for some of the networks that `solver` and `alpha` leave open, see Notes. Categories
        have a column for each level either way. A missing value is the mean of its column, and, if
        training had missing values there, 1 in a column of its own.

    n_knots : int or "auto", default="auto"
        The most increments of a column of numbers. Knots are quantiles of the column and of its
        distinct values in turn; a column of few distinct values has a knot at each. ``"auto"`` is
        a third of the root of the sum of the weights of rows, at least 4 and at most 48.

    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Which columns are categories: by the dtypes of a DataFrame (of pandas, polars or pyarrow:
        categorical, dictionary and string columns; bool is a number), none, or their names,
        indices, or a boolean mask. A category has one column for each level, and they all share one
        prior, so that rare levels shrink towards the mean; a level that was not met in training is
        at the mean, also where :meth:`partial_fit` meets it later. Negative codes are levels like
        others, not missing values. X must be dense to have categories, or knots.

    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of classes, multiplied into `sample_weight`: ``{label: weight}``, 1 where a label is
        missing, or ``"balanced"``, which is ``sum(w) / (n_classes * sum(w in the class))``. A key
        that is no label is an error, unless each label has its weight. For
        multilabel y a list of dicts ``{0: weight, 1: weight}``, or ``"balanced"`` for each label;
        the weights of a row's labels are multiplied.

    monotonic_cst : array-like of int of shape (n_features,), dict or None, default=None
        In which columns predictions are monotonic: 1 where they never fall as the number grows, all
        others being equal, -1 where they never rise, 0 where they may do either. A dict has names
        of columns as its keys, and what it does not name is 0. Holds everywhere, not only in
        training rows: weights along every path from the column to an output are kept to signs that
        multiply to the one asked for [13]_, each step of the solver being followed by a projection.
        Such a column always has knots (see `encoding`), on which it can take any increasing form.

        It takes a stochastic solver (``"auto"`` is Adam), an activation that never falls
        (``"auto"`` is tanh; not ``"gelu"`` nor ``"silu"``), and dense X; categories have no order,
        and a missing value none with others. See Notes for the networks that are averaged. The
        evidence and the posterior know nothing of signs: weights that are held at zero count as
        if the data alone had moved them there, and of few rows too much is taken for noise.

    dtype : {"auto", "float32", "float64"} or NumPy type, default="auto"
        The precision of training. ``"auto"`` is that of X, but float32 in networks of mini-batches
        that `solver` and `alpha` leave open, and where a stochastic solver meets more than 10,000
        rows in one call of ``fit``: half the memory, twice the speed. Predictions come in the
        precision of the X they are made for.

    n_init : int, default=1
        Number of initial draws to train from; the best is kept, by validation score if there is
        one, by ``log_evidence_`` if `alpha` was chosen by it, else by loss.

    n_members : int or "auto", default="auto"
        Number of networks to average where the evidence chooses `alpha`, each the best of `n_init`
        draws. Their average is one network with the hidden units of all, and ``coefs_`` hold them
        side by side. Where `solver` is open they are of the kinds that Notes tell of, each in turn,
        and those whose weight would be below 0.05 are left out. ``"auto"`` is as many as Notes say,
        or 1 where `hidden_size` or `solver` is given.

    n_jobs : int, default=None
        Networks, restarts and held-out trials trained at the same time, by joblib; None is 1 unless
        in a ``joblib.parallel_config`` context, -1 all processors. The result does not depend on
        it.

    store_posterior : bool, default=True
        Whether to keep the covariance of the P parameters of each network, for ``"lm"`` with
        ``alpha="auto"`` P x P numbers, else Kronecker factors of it: what moderated probabilities
        need.

    moderate : bool, default=True
        Whether logits and probabilities take into account, where a posterior is kept, how uncertain
        the logits are: rows far from any seen in training then get probabilities nearer to
        chance. How much of the variance counts is chosen, with a factor on the logits, by rows held
        out, or for a single ``"lm"`` network by leaving each row out; where neither tells, it is a
        tenth, and nothing under an `alpha` that was given. Under `monotonic_cst` none of it counts,
        so that larger logits stay larger. Which class is the most probable, and so
        what ``predict`` says, is the same either way. May be changed after the fit.

    warm_start : bool, default=False
        Whether ``fit`` goes on from the earlier fit, with its weights, solver state, iteration
        count and stream of random numbers, instead of starting afresh. Of several networks that
        are averaged each goes on as itself, and their average is formed anew.

    early_stopping : bool, default=False
        Whether to stop when the validation score, rather than the loss, no longer improves.
        Without ``X_val``, a part of the rows is set aside (in the proportions of the classes);
        where that would be fewer than 10 rows none are, and the loss decides. Ignored by
        :meth:`partial_fit`.

    validation_fraction : float in (0, 1), default=0.1
        Part of the rows set aside by `early_stopping`.

    scoring : str or callable, default="loss"
        How validation rows are rated: ``"loss"``, the negated loss, or a scorer's name or a
        callable ``(estimator, X, y)`` as in scikit-learn; greater is better. A callable gets X as
        an array, in which categories are numbers.

    verbose : bool or int, default=False
        Whether to print progress, at most once a second; every iteration with 2 or more. Each line
        names the fold, trial, member or start that it tells of, and the last one says how the fit
        ended.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; for multilabel y the numbers of its columns.

    coefs_ : list of ndarray
        ``[W1, W2]`` of shapes (n_encoded_features, n_hidden) and (n_hidden, n_outputs), n_hidden
        counting the hidden units of all networks averaged, for X in raw units.

    intercepts_ : list of ndarray
        ``[b1, b2]`` of shapes (n_hidden,) and (n_outputs,); float64 even for float32 rows where a
        column lies more than a thousand of its deviations from zero. Prediction counts float32 rows
        of such columns from near their mean, which is a way of computing the same function: whoever
        edits ``coefs_``, ``intercepts_`` or ``skip_coef_`` gets just what they say.

    skip_coef_ : ndarray of shape (n_features, n_outputs) or None
        Weights of the path past the hidden layer, in raw units: raw outputs are
        ``activation(X @ W1 + b1) @ W2 + b2 + X @ skip_coef_``. None without `skip`.

    alpha_ : float, ndarray of shape (n_groups,) or None
        The `alpha` that was used; an array where the evidence chose it: prior precisions times the
        noise variance, in standardised units, or None if it diverged. A fit from there with
        ``alpha=alpha_`` stays there. Of an average it is that of the leading network.

    n_effective_parameters_ : float or None
        How many parameters of the (leading) network the data determine: MacKay's gamma, output
        biases included. None where there is no posterior: with ``store_posterior=False`` for an
        `alpha` that was given, and where training diverged.

    log_evidence_ : float or None
        Logarithm of the probability of the (standardised) targets under the prior, by Laplace's
        approximation around the (leading) network; None where there is no posterior. Compare it
        between networks fitted to the same rows, either all by ``"lm"`` or all by other solvers:
        these leave out how one layer depends on the other, and find less.

    loss_curve_ : list of float
        Loss of the (leading) network in each iteration, penalty included. For stochastic solvers
        the mean over the epoch, in which the weights moved. Where ``"lm"`` chooses `alpha`, the
        negative log evidence per row (see ``log_evidence_``) after each step: since no step aims at
        it directly, it may rise a little on its way, near the end by thousandths.

    loss_ : float
        The last entry of ``loss_curve_``; where ``"lm"`` chose `alpha`, ``-log_evidence_`` divided
        by the sum of the weights of rows.

    best_loss_ : float
        The smallest entry of ``loss_curve_``.

    validation_scores_ : list of float or None
        Validation score after each iteration, greater being better; None without validation rows.

    best_validation_score_ : float or None
        The largest of them.

    best_iter_ : int
        Iterations after which the weights that were kept were reached: the best by validation
        score, else by loss. Without such a score the evidence keeps the last, and so does
        ``partial_fit``.

    n_iter_ : int
        Iterations so far, those of earlier calls with `warm_start` or :meth:`partial_fit` included.

    t_ : int
        Rows seen in training, each as often as it was seen.

    solver_ : str
        The solver that was used. Of an average that of its leading network, the one of largest
        weight; so are all other attributes that tell of one network.

    activation_ : str or list of str
        The activation that was used; a list with that of each network where they differ.

    hidden_size_ : int
        Number of hidden units of the (leading) network. The second dimension of ``coefs_[0]``
        counts those of all networks.

    skip_ : bool
        Whether the inputs also reach the outputs of the (leading) network directly.

    members_ : list of dict
        What each of them is: its ``"solver"``, ``"encoding"``, ``"hidden_size"``, ``"activation"``
        and ``"skip"``, its ``"weight"`` in the average, and its ``"posterior"``: ``"full"`` by
        Laplace's approximation on the whole curvature, ``"kronecker"`` by the factors of its
        layers, or None.

    n_members_ : int
        Number of networks that were averaged; 1 if there is but one.

    dtype_ : str
        The precision in which the (leading) network was trained, ``"float32"`` or ``"float64"``.

    n_features_in_ : int
        Number of columns of X.

    features_used_ : ndarray of shape (`n_features_in_`,)
        Which columns of X are used, as booleans: all, or what `group_lasso` has left. With
        ``importance_getter="features_used_", threshold=0.5`` it is what
        :class:`~sklearn.feature_selection.SelectFromModel` asks for.

    n_features_used_ : int
        How many these are.

    feature_importances_ : ndarray of shape (`n_features_in_`,)
        The share of each column in the movement of the outputs, with sum 1: what
        :meth:`gradient_importances` finds in the rows that were trained on, at the end of the fit
        or, after :meth:`partial_fit`, in the last chunk. Rows count by their weights, those of
        classes included, and validation rows do not. Of more than 1,000 rows (200 of a chunk, 100
        at least in wide networks with an encoding) it is that of so many, evenly spaced, each for
        a share of the weight of all. All 0 where no output moves, 0 for columns that `group_lasso`
        has dropped.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had any.

    is_categorical_ : ndarray of shape (`n_features_in_`,) or None
        Which columns are categories; None if there are none.

    categories_ : list of ndarray
        The levels of each category met in training, sorted.

    knots_ : list of ndarray
        The knots of each column that is no category; empty where there are none.

    encoded_feature_names_ : ndarray of shape (n_encoded_features,)
        Names of the columns that ``coefs_`` act on: a number, its increments between two knots, a
        level of a category, and ``missingindicator_``, 1 where a value is missing, for columns with
        missing values in training. Categories of more than 64 levels stand last. Of an average they
        are those of the network with most of them; weights of what another does not have are 0.

    n_layers_ : int
        3: input, hidden, output.

    n_outputs_ : int
        Number of outputs of the network.

    out_activation_ : str
        ``"logistic"`` for two classes and for multilabel y, else ``"softmax"``.

    See Also
    --------
    TwoLayerRegressor : The same network for quantities.
    sklearn.neural_network.MLPClassifier : scikit-learn's network of many layers.

    Notes
    -----
    Where `solver` and `alpha` are left open, networks of several kinds are averaged:

    - three by ``"lm"``, smooth on columns as they are (one from 2,000 rows on), where a step takes
      at most 1e9 multiplications, ``n_samples * P ** 2 + P ** 3`` for P parameters (from 2,000
      rows on 3e8 for quantities, 1e8 for labels);
    - one by Adam on piecewise-linear columns, from 150 rows of dense X on (two from 10,000);
    - one by L-BFGS with relu units and an `alpha` of 1, for labels that follow a rule without
      exceptions, as long as the first are there, or rows below 10,000;
    - one by Adam on columns as they are, where a step by ``"lm"`` would take more.

    In wide tables of numbers, more than 1,000 columns and twice as many as rows in dense X, they
    are two by Adam in the space that the rows span and, below 2,000 rows, one by L-BFGS with relu
    units, whose `alpha` of 1 is that of coordinates with a mean square of one. The first takes all
    columns to be alike, the second looks for the ones that matter, by the evidence. The problem is
    that in all columns, and the cost, but for a few products, that of as many columns as rows.

    Where predictions are to be monotonic, all networks are by Adam, with knots in every column of
    numbers: three, or two from 10,000 rows on, and below 2,000 rows, if some numbers are without
    constraint, three more that have knots in the constrained ones alone. Probabilities are then
    moderated by a factor on the logits alone.

    Their weights are those of the average that predicts held-out rows best [12]_: each of five
    parts up to 1,000 rows, one of these beyond, where a kind that takes long has to earn it;
    networks of one kind divide it by their evidence. Below 20 rows all kinds count alike. With
    validation rows there is one network by Adam, and they choose its weights. A given `hidden_size`
    gives the first kind alone, one network of it.

    Written out, with sums over rows i of weight w_i, the fit minimises ::

        F = (sum_i w_i loss_i + alpha / 2 * (|W1|^2 + |W2|^2 + |W0|^2)) / sum_i w_i

    where loss_i is the log-loss, summed over labels for multilabel y, and W0 are the weights of the
    skip path, if there is one. A weight of k is the same as
    k copies of a row, a weight of zero the same as its absence; mini-batches are divided by their
    size times the mean weight of all rows, so their expected gradient is that of F. ``"lbfgs"``
    and ``"lm"`` merge equal rows (up to 10,000 rows), which makes weights and copies the same
    problem to the last bit.

    On scikit-learn 1.9 and newer there is ``set_callbacks``, for callbacks of ``sklearn.callback``,
    and :meth:`fit` tells them of nested tasks: held-out trials, networks that are averaged, their
    starts, and iterations. How many iterations are announced is an upper limit; most runs converge
    before. ``ProgressBar()`` needs ``rich``, and ``max_propagation_depth=None`` where a search is
    around a pipeline. ``ScoringMonitor`` logs scores of the training rows: in an iteration those of
    that network alone, at the end those of the model; scores of validation rows stay in
    ``validation_scores_``. A callback that returns True from ``on_fit_task_end`` ends the run: its
    best weights are kept, and no other network begins, but for those to average if it was a trial;
    in a warm start of an average each of its networks goes on, until a callback stops it, too.
    Networks are then trained one after the other, whatever `n_jobs` is, and found to be the same.
    Beyond 1,000 iterations of a run a task is a block of them; of progress bars alone a run has at
    most 25 tasks.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] K. He et al., "Delving deep into rectifiers", ICCV 2015.
    .. [3] Y. LeCun et al., "Efficient backprop", Neural Networks: Tricks of the Trade, 1998.
    .. [4] J. Nocedal, S. Wright, "Numerical Optimization", 2nd ed., chapter 7, 2006.
    .. [5] T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", Neural Networks for Machine
       Learning, 2012.
    .. [6] D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [7] K. Madsen, H. B. Nielsen, O. Tingleff, "Methods for non-linear least squares problems",
       2nd ed., 2004; curvature after N. Schraudolph, "Fast curvature matrix-vector products for
       second-order gradient descent", Neural Computation 14, 2002.
    .. [8] D. MacKay, "A practical Bayesian framework for backpropagation networks", Neural
       Computation 4, 1992; F. D. Foresee, M. Hagan, "Gauss-Newton approximation to Bayesian
       learning", ICNN 1997.
    .. [9] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular
       deep learning", NeurIPS 2022.
    .. [10] H. Ritter, A. Botev, D. Barber, "A scalable Laplace approximation for neural networks",
       ICLR 2018; A. Immer et al., "Scalable marginal likelihood estimation for model selection in
       deep learning", ICML 2021.
    .. [11] L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using
       large learning rates", 2019.
    .. [12] Y. Yao et al., "Using stacking to average Bayesian predictive distributions", Bayesian
       Analysis 13, 2018.
    .. [13] D. Runje, S. M. Shankaranarayana, "Constrained monotonic neural networks", ICML 2023.
    .. [14] H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", Journal
       of the Royal Statistical Society B 67, 2005.
    .. [15] G. Andrew, J. Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.
    .. [16] M. Yuan, Y. Lin, "Model selection and estimation in regression with grouped variables",
       Journal of the Royal Statistical Society B 68, 2006; H. Zou, "The adaptive lasso and its
       oracle properties", Journal of the American Statistical Association 101, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_twolayer import TwoLayerClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = TwoLayerClassifier(random_state=0).fit(X_train, y_train)
    >>> round(classifier.score(X_test, y_test), 2)
    0.97
    >>> classifier.predict_proba(X_test[23:25]).round(1)
    array([[1. , 0. , 0. ],
           [0. , 0.2, 0.8]])

    A table as it is, with a category and missing values, for one network alone:

    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.RandomState(0)
    >>> city = rng.choice(["Bonn", "Graz"], 300)
    >>> X = pd.DataFrame({"age": rng.uniform(20, 70, 300), "city": city})
    >>> y = (X["age"] > 45) ^ (X["city"] == "Graz")
    >>> X.loc[::9, "age"] = None
    >>> classifier = TwoLayerClassifier(n_members=1, random_state=0).fit(X, y)
    >>> classifier.predict(pd.DataFrame({"age": [30, 60, 30], "city": ["Bonn", "Bonn", "Graz"]}))
    array([False,  True,  True])
    >>> classifier.encoded_feature_names_.tolist()
    ['age', 'missingindicator_age', 'city_Graz', 'city_Bonn']
    """

    _for_collections = "sklearn_twolayer.distributed.DaskTwoLayerClassifier"

    def __init__(
        self,
        hidden_size="auto",
        *,
        activation="auto",
        skip="auto",
        solver="auto",
        alpha="auto",
        l1_ratio=0.0,
        group_lasso=False,
        batch_size="auto",
        learning_rate="auto",
        learning_rate_init="auto",
        power_t=0.5,
        decay_rate=0.5,
        decay_epochs=100.0,
        max_iter="auto",
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
        encoding="auto",
        n_knots="auto",
        categorical_features="from_dtype",
        class_weight=None,
        monotonic_cst=None,
        dtype="auto",
        n_init=1,
        n_members="auto",
        n_jobs=None,
        store_posterior=True,
        moderate=True,
        warm_start=False,
        early_stopping=False,
        validation_fraction=0.1,
        scoring="loss",
        verbose=False,
    ):
        self.hidden_size = hidden_size
        self.activation = activation
        self.skip = skip
        self.solver = solver
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.group_lasso = group_lasso
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
        self.encoding = encoding
        self.n_knots = n_knots
        self.categorical_features = categorical_features
        self.class_weight = class_weight
        self.monotonic_cst = monotonic_cst
        self.dtype = dtype
        self.n_init = n_init
        self.n_members = n_members
        self.n_jobs = n_jobs
        self.store_posterior = store_posterior
        self.moderate = moderate
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.verbose = verbose

    def fit(
        self,
        X: MatrixLike,
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train on rows X with labels y.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Training rows, in any units; NaN and the like are missing. float32 stays float32, all
            else becomes float64.

        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels; 0 and 1 in each column, dense or sparse, for multilabel y.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0; k counts as k copies, 0 as absence.

        X_val, y_val : array-like, default=None
            The caller's own validation rows. The weights that suit them best are kept; with
            ``early_stopping=True`` they also say when to stop.

        sample_weight_val : array-like, default=None
            Weights of the validation rows.

        Returns
        -------
        self : TwoLayerClassifier
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If data or a parameter are not what they may be; the estimator is then as before.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before it converged, or diverged.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(can_go_on)
    def partial_fit(
        self,
        X: MatrixLike,
        y: MatrixLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on a further chunk of rows.

        The units of X are learnt as rows arrive; the weights are expressed in them anew, so that a
        new chunk does not change what the network computes before it learns from it. All rows seen
        so far share the penalty, so the whole stream gives `alpha` the meaning it has in
        :meth:`fit`. ``"lbfgs"`` and ``"lm"`` have no such method; ``solver="auto"`` takes Adam.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows of the chunk.

        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels; 0 and 1 in each column, dense or sparse, for multilabel y.

        classes : array-like of shape (n_classes,), default=None
            All labels that may ever come, in any order. Needed in the first call, unless y is
            multilabel; may be given again, but must then be the same.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0.

        Returns
        -------
        self : TwoLayerClassifier
            The estimator.

        Raises
        ------
        ValueError, TypeError
            If data or a parameter are not what they may be; the estimator is then as before.
        """
        if classes is not None:
            classes = check_classes(classes)
            known = getattr(self, "classes_", classes)
            if set(classes.tolist()) != set(known.tolist()):
                raise ValueError(f"classes must stay what they were, {known}, got {classes}")
        return self._partial_fit(X, y, sample_weight, classes=classes)

    def __call__(self, X: MatrixLike) -> np.ndarray:
        """The same as :meth:`predict_proba`, for tools that take a model as a function of rows.

        Of X (n_samples, n_features) an array (n_samples, n_classes), or (n_samples, n_labels), and
        the errors of that method.
        """
        return self.predict_proba(X)

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Logits, from which the probabilities are made; moderated where these are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            A larger value speaks for the (second) class.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        (logits,) = self._by_blocks(X, self._logits)
        return logits[:, 0] if self._is_binary else logits

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict the most probable label, or for multilabel y all labels more probable than not.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of the type given in training.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        (labels,) = self._by_blocks(X, self._labels)
        return labels

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Probabilities of the classes, or for multilabel y of each label.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; float32 for float32 rows. Finite rows of any size
            have finite logits, up to a quarter of the largest number.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        (P,) = self._by_blocks(X, self._probabilities)
        return P

    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Logarithms of the probabilities, exact where these round to 0 or 1.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        (L,) = self._by_blocks(X, self._log_probabilities)
        return L

    def score(self, X: MatrixLike, y: MatrixLike, sample_weight: ArrayLike | None = None) -> float:
        """The fraction of rows whose labels are predicted: of multilabel y, all labels of a row.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The true labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            The accuracy, between 0 and 1.
        """
        refuse_collections(self, y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight)

    def _labels(self, raw, X):
        """Moderation changes none of them: see ``engine.with_labels_of``."""
        if self._is_multilabel:
            return (raw > 0).astype(int)
        codes = (raw[:, 0] > 0).astype(int) if self._is_binary else raw.argmax(axis=1)
        return self.classes_[codes]

    def _logits(self, raw, X):
        """Raw outputs, moderated by their own uncertainty where that is known and wanted."""
        by_softmax, logits = self._loss_at_fit.labels, raw
        if self._predictive is None or not self.moderate:
            return engine.with_labels_of(raw, logits, by_softmax)
        moderation = engine.Moderation(
            self._predictive["temperature"], self._predictive["variance_fraction"]
        )
        if moderation.variance_fraction == 0:
            # nobody asks for variances that do not count
            logits = engine.within_range(moderation.temperature * raw, raw.dtype)
        else:
            logits = np.empty_like(raw)

            def moderate(rows, covariance):
                moderated = moderation(raw[rows], covariance, by_softmax)
                logits[rows] = engine.within_range(moderated, raw.dtype)

            self._uncertainty(X, moderate)
        return engine.with_labels_of(raw, logits, by_softmax)

    def _logits_of_columns(self, raw, X):
        """One for each column of the probabilities."""
        logits = self._logits(raw, X)
        return np.column_stack([-logits, logits]) if self._is_binary else logits

    def _probabilities(self, raw, X):
        return self._loss_at_fit.inverse_link(self._logits_of_columns(raw, X))

    def _log_probabilities(self, raw, X):
        logits = self._logits_of_columns(raw, X)
        if self._loss_at_fit.out_activation == "softmax":
            return logits - engine.softmax(logits, out=np.empty_like(logits))[:, None]
        return -engine.softplus(-logits)

    def _learn_targets(self, y, classes=None, streaming=False):
        self._is_multilabel = _is_multilabel(y)
        if self._is_multilabel:
            self.classes_ = np.arange(y.shape[1])
            if classes is not None and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    "classes of multilabel y are the numbers of its columns, "
                    f"{self.classes_}, got {classes}"
                )
        elif classes is None and streaming:
            raise ValueError("classes must be given on the first call of partial_fit, got None")
        else:
            self.classes_ = np.unique(column_or_1d(y)) if classes is None else classes
        single_question = self._is_binary or self._is_multilabel
        self._loss = "binary_log_loss" if single_question else "log_loss"
        self.n_outputs_ = 1 if self._is_binary else len(self.classes_)

    def _monotonic_directions(self):
        found = super()._monotonic_directions()
        if found is not None and self.n_outputs_ > 1:
            kind = "labels" if self._is_multilabel else "classes"
            raise ValueError(
                "Only binary classification is supported with monotonic_cst, by which the second "
                "of two classes becomes more (1) or less (-1) probable as a column grows, got y "
                f"with {self.n_outputs_} {kind}: leave it at None"
            )
        return found

    def _encode(self, y):
        is_multilabel = _is_multilabel(y)
        if is_multilabel != self._is_multilabel or (
            is_multilabel and y.shape[1] != len(self.classes_)
        ):
            raise ValueError(
                f"y must be labels of the classes {self.classes_}, as when first fitted"
            )
        if is_multilabel:
            return np.asarray(y.todense() if sparse.issparse(y) else y, dtype=np.float64)
        y = column_or_1d(y, warn=True)
        codes, known = _look_up(y, self.classes_)
        if not np.all(known):
            unknown = np.unique(y[~known])
            raise ValueError(f"y has labels {unknown} that are not among classes {self.classes_}")
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
        answers = [0, 1] if self._is_multilabel else self.classes_.tolist()
        codes = Y.T.astype(int) if self._is_multilabel else [self._codes(Y)]
        of_classes = class_weights(
            self.class_weight, codes, answers, np.atleast_2d(self._class_totals)
        )
        weights = of_classes if weights is None else weights * of_classes
        total = weights.sum()
        if not np.isfinite(total) or 0 < total < SMALLEST_TOTAL:
            raise ValueError(
                "sample_weight times class_weight must have a finite sum of at least "
                f"{SMALLEST_TOTAL:.0e}, got class_weight={self.class_weight!r}"
            )
        return weights

    @property
    def _is_binary(self):
        return len(self.classes_) == 2 and not self._is_multilabel

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # monotonic constraints tell of one probability
        takes_several = not constrains(self.monotonic_cst)
        tags.classifier_tags.multi_label = tags.classifier_tags.multi_class = takes_several
        return tags


def _look_up(labels, classes):
    """The number of each label's class, and whether there is such a class."""
    try:
        codes = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        return codes, classes[codes] == labels
    except TypeError:  # strings and numbers have no order
        return np.zeros((2, len(labels)), dtype=bool)


def _is_multilabel(y):
    """Whether labels are a 0-1 matrix; ValueError or TypeError if they are no labels at all."""
    if y.ndim == 1 and y.dtype.kind in "biuUS":
        return False  # obvious without counting them
    try:
        check_classification_targets(y)
        return type_of_target(y, input_name="y") == "multilabel-indicator"
    except TypeError:
        kinds = sorted({type(label).__name__ for label in np.ravel(y)})
        raise TypeError(f"labels in y must be all strings or all numbers, got {kinds}") from None
