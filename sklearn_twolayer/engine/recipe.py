"""The recipe: which kinds of networks are averaged, and how long each is trained.

Small tables are for networks whose evidence is exact, smooth on standardised columns. From some
hundred rows on they are joined by networks that are piecewise linear in each column, large ones
are left to these. What a member counts is decided by held-out rows.
"""

from dataclasses import dataclass, replace
from typing import Literal

from .compatibility import keeping_signs
from .model.parameters import Shape
from .settings import Settings, is_auto
from .solvers.levenberg_marquardt import LARGEST

CHEAP = 1e9
"""Multiplications for a step by curvature, n P^2 + P^3, that pay: about 50 ms."""

CHEAP_TO_REPEAT = 1e8
"""The same for a fit that is repeated from several starts."""

CHEAP_BESIDE_BATCHES = {True: 3e8, False: 1e8}
"""The same where mini-batches do nearly as well: for quantities, and for classes."""

FEW_UNITS, MORE_UNITS, MANY_UNITS = 10, 20, 100
"""Hidden units under the exact evidence, the same from `ROWS_FOR_MORE` rows on, and else."""

ROWS_FOR_MORE = 3000

FEWEST_COLUMNS, COLUMNS_PER_ROW = 1001, 2
"""From here on a table is wide: its networks are trained in the space of the rows."""

SPACES = 4
"""So many are met one after the other to find the columns that matter."""

ROWS_FOR_KNOTS = 150
"""From here on a piecewise-linear network may be of use."""

ROWS_FOR_BATCHES = 2000
"""From here on mini-batches learn sooner than steps by curvature, unless these are very cheap."""

ROWS_FOR_SEVERAL = 10_000
"""From here on two piecewise-linear networks of half the steps are better than one."""

STEPS, STEPS_WITH_KNOTS, FEWEST_EPOCHS = 40, 16, 8
"""Mini-batches for each root of the number of rows."""

SMALL_BATCH, LARGE_BATCH = 64, 256
"""Rows of a mini-batch: few rows allow more steps so, many go faster in larger products."""

STEPS_ELSEWHERE = 500
"""Mini-batches of an epoch, at most, where each takes some ten milliseconds to ask for."""

HIGHEST_RATE = 0.02
"""What the rate of a cycle rises to."""

SEVERAL = 3
"""Starts of an exact evidence: each ends at a mode of its own."""

CHEAP_TO_JUDGE, JUDGED = 2e7, 2
"""A step of so many multiplications is cheap enough to judge so many starts by held-out rows."""

PRIOR_OF_EXACT = {True: 10.0, False: 3.0}
"""Rows that speak for networks whose evidence is exact before any is held out: for quantities, and
for classes, of which each row tells more."""

USUAL_ALPHA = 1.0
"""The prior's precision where nothing chooses it."""

FEWEST_TO_HOLD_OUT = 20
"""With fewer rows networks weigh alike."""

ROWS_FOR_FOLDS = 1000
"""Up to here held-out predictions come from five folds, beyond from one of five."""

Begin = Literal["noise", "signal"]
"""Where the evidence begins: with all taken for noise, or nothing."""


@dataclass(frozen=True)
class Kind:
    """A kind of network: settings of its own, where its evidence begins, and how many starts.

    Before any row is held out it is believed as if `prior` rows had spoken for it. With
    `has_constant_noise` it is one for squared errors, beside others whose noise varies. In a wide
    table it is trained in `n_spaces` spaces of the rows, one after the other.
    """

    settings: Settings
    begin: Begin = "noise"
    n_members: int = 1
    prior: float = 1.0
    has_constant_noise: bool = False
    n_spaces: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the exact evidence begins as if there were no noise."""
        return self.settings.solver == "lm" and self.begin == "signal"


@dataclass(frozen=True)
class Table:
    """What the recipe goes by: `n_encoded` counts columns encoded, but without knots."""

    n_rows: int
    n_encoded: int
    n_outputs: int
    is_dense: bool
    has_validation: bool
    has_curvature: bool
    has_noise: bool
    is_monotonic: bool = False
    has_free_numbers: bool = True
    knows_variance: bool = False
    beside_constant: bool = False
    has_levels: bool = False
    is_elsewhere: bool = False


def kinds(asked: Settings, table: Table) -> list[Kind]:
    """The kinds of networks to average, the first being the one to take alone.

    Where noise varies none begins as if there were none, and it may be averaged with the kinds
    that are usual for a constant noise.
    """
    found = _kinds(asked, table)
    if not table.knows_variance:
        return found
    varying = [kind for kind in found if kind is found[0] or not kind.is_clean]
    if not table.beside_constant:
        return varying
    return [replace(kind, has_constant_noise=True) for kind in found] + varying


def _kinds(asked: Settings, table: Table) -> list[Kind]:
    free = is_auto(asked.solver) and is_auto(asked.alpha) and table.has_curvature
    if not free:
        asked = keeping_signs(asked) if table.is_monotonic else asked
        begin: Begin = "noise" if asked.solver == "lm" else "signal"
        # a given prior leaves nothing to tell networks apart by
        alone = not is_auto(asked.alpha) or is_auto(asked.n_members)
        return [Kind(asked, begin, 1 if alone else int(asked.n_members))]
    if table.is_monotonic:
        found = _monotonic_kinds(asked, table)
    elif table.has_validation:
        encoding = "piecewise_linear" if _has_knots(asked, table) else "linear"
        found = [_by_evidence(asked, "adam", encoding, "signal")]
    else:
        found = _usual_kinds(asked, table)
    if not is_auto(asked.n_members):
        return _cycled(found, int(asked.n_members))
    # whoever asks for a number of hidden units wants that many, not three times as many
    return found if is_auto(asked.hidden_size) else [replace(found[0], n_members=1)]


def _monotonic_kinds(asked: Settings, table: Table) -> list[Kind]:
    """Networks with knots where predictions are to be monotonic, and elsewhere.

    The fewer rows there are, the better it may be that no other column has any.
    """
    several = 1 if table.has_validation else SEVERAL
    if table.n_rows >= ROWS_FOR_SEVERAL:
        several = min(several, 2)
    settings = keeping_signs(asked)
    encodings = [settings.encoding]
    if is_auto(asked.encoding) and table.has_free_numbers and table.n_rows < ROWS_FOR_BATCHES:
        encodings = encodings if table.has_validation else [*encodings, "linear"]
    return [_by_evidence(settings, "adam", encoding, "signal", several) for encoding in encodings]


def n_epochs(n_rows: int, batch_size: int, has_knots: bool) -> int:
    """As many as make steps grow with the root of the rows: of more rows each is met less often."""
    per_root = STEPS_WITH_KNOTS if has_knots else STEPS
    n_steps = per_root * n_rows**0.5
    return max(FEWEST_EPOCHS, round(n_steps * min(batch_size, n_rows) / n_rows))


def usual_batch_size(n_rows: int, is_elsewhere: bool = False) -> int:
    """Rows of a mini-batch: more where each is a round trip to where rows live."""
    size = SMALL_BATCH if n_rows < ROWS_FOR_BATCHES else LARGE_BATCH
    return max(size, -(-n_rows // STEPS_ELSEWHERE)) if is_elsewhere else size


def usual_units(solver: str, n_rows: int) -> int:
    """Hidden units of a network."""
    if solver != "lm":
        return MANY_UNITS
    return FEW_UNITS if n_rows < ROWS_FOR_MORE else MORE_UNITS


def _usual_kinds(asked: Settings, table: Table) -> list[Kind]:
    """The kinds that suit the table, the first being the one to take alone."""
    smooth = asked.encoding in ("auto", "linear")
    if smooth and is_wide(asked, table):
        return _wide_kinds(asked, table)
    found = _smooth_kinds(asked, table) if smooth else []
    if _has_knots(asked, table):
        several = 2 if table.n_rows >= ROWS_FOR_SEVERAL else 1
        piecewise = _by_evidence(asked, "adam", "piecewise_linear", "signal", several)
        found = [piecewise, *found] if several > 1 else [*found, piecewise]
    return found


def _wide_kinds(asked: Settings, table: Table) -> list[Kind]:
    """Networks in the row space: of columns that are all alike, or of which few matter."""
    alike = replace(_by_evidence(asked, "adam", "linear", "signal"), n_spaces=1)
    found = [alike, replace(alike, n_spaces=SPACES)]
    confident = not table.has_noise and table.n_rows < ROWS_FOR_BATCHES
    return [*found, replace(_confident(asked), n_spaces=1)] if confident else found


def is_wide(asked: Settings, table: Table) -> bool:
    """Whether columns are so many more than rows that networks are trained in the row space."""
    # levels of categories stay sparse, and a skip path has a prior of its own
    can = table.is_dense and not (table.has_levels or table.has_validation or table.is_elsewhere)
    can = can and asked.skip is not True
    return can and table.n_encoded >= max(FEWEST_COLUMNS, COLUMNS_PER_ROW * table.n_rows)


def _smooth_kinds(asked: Settings, table: Table) -> list[Kind]:
    """Networks on standardised columns."""
    few, exact = table.n_rows < ROWS_FOR_BATCHES, exact_pays(asked, table)
    stochastic = _by_evidence(asked, "adam", "linear", "signal")
    if not exact:
        return [stochastic] if table.has_noise or not few else [stochastic, _confident(asked)]
    cheap = cost_of_exact(asked, table) <= CHEAP_TO_REPEAT
    smooth = _by_evidence(asked, "lm", "linear", "noise", SEVERAL if few and cheap else 1)
    smooth = replace(smooth, prior=PRIOR_OF_EXACT[table.has_noise])
    if not table.has_noise:
        return [smooth, _confident(asked)] if few else [smooth]
    if table.n_rows >= ROWS_FOR_KNOTS:
        return [smooth]
    # without noise few points tell all: where the evidence begins decides whether it sees that
    return [smooth, _by_evidence(asked, "lm", "linear", "signal", SEVERAL)]


def _confident(asked: Settings) -> Kind:
    """Relu units under a weak prior: of rules without exceptions the evidence learns too little."""
    activation = "relu" if is_auto(asked.activation) else asked.activation
    settings = replace(asked, solver="lbfgs", encoding="linear", activation=activation)
    return Kind(replace(settings, alpha=USUAL_ALPHA))


def _by_evidence(asked: Settings, solver: str, encoding: str, begin: Begin, n: int = 1) -> Kind:
    # rounding matters less than the choice of mini-batches, and products take half the time
    in_single = solver == "adam" and is_auto(asked.dtype)
    dtype = "float32" if in_single else asked.dtype
    return Kind(replace(asked, solver=solver, encoding=encoding, dtype=dtype), begin, n)


def _has_knots(asked: Settings, table: Table) -> bool:
    """Whether some network is to be piecewise linear; sparse rows that are asked to are refused."""
    if is_auto(asked.encoding):
        return table.is_dense and table.n_rows >= ROWS_FOR_KNOTS
    return bool(asked.encoding == "piecewise_linear")


def _cycled(found: list[Kind], n: int) -> list[Kind]:
    """So many networks, of each kind in turn."""
    single = [replace(kind, n_members=0) for kind in found]
    for i in range(n):
        kind = single[i % len(single)]
        single[i % len(single)] = replace(kind, n_members=kind.n_members + 1)
    return [kind for kind in single if kind.n_members]


def exact_pays(asked: Settings, table: Table) -> bool:
    """Whether steps by curvature, and so the exact evidence, take not too long."""
    most = CHEAP if table.n_rows < ROWS_FOR_BATCHES else CHEAP_BESIDE_BATCHES[table.has_noise]
    return _size_of_exact(asked, table) <= LARGEST and cost_of_exact(asked, table) <= most


def cost_of_exact(asked: Settings, table: Table) -> float:
    """Multiplications of a step by curvature."""
    return cost_of_curvature(table.n_rows, _size_of_exact(asked, table))


def _size_of_exact(asked: Settings, table: Table) -> int:
    n_hidden = asked.hidden_size
    if is_auto(n_hidden):
        n_hidden = usual_units("lm", table.n_rows)
    skip = table.n_outputs == 1 if is_auto(asked.skip) else bool(asked.skip)
    return Shape(table.n_encoded, int(n_hidden), table.n_outputs, skip).size


STEPS_OF_EVIDENCE, STEPS_OF_LBFGS = 40, 150
"""Steps by curvature that the exact evidence takes, and those of L-BFGS, about."""


def cost_of_curvature(n_rows: int, n_parameters: int) -> float:
    """Multiplications of such a step."""
    return float(n_rows * n_parameters**2 + n_parameters**3)


def n_folds(n_rows: int) -> int:
    """How often rows are held out: of few rows one part tells nothing."""
    if n_rows < FEWEST_TO_HOLD_OUT:
        return 0
    return 5 if n_rows <= ROWS_FOR_FOLDS else 1
