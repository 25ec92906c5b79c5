"""How intervals, predictions and targets are drawn: bars of rows, or a band along a line."""

from dataclasses import dataclass, field
from textwrap import fill
from typing import Any

import numpy as np

from .._frames import is_missing
from .axes import COLOURS, style

INTERVAL_COLOUR = COLOURS[5]
SPREAD = 0.36
"""How far the rows of a category lie to both sides of its tick."""
MISSING = "missing"


@dataclass
class Artists:
    """Draws on axes and holds what was drawn."""

    ax: Any
    labels: dict
    """What the legend calls "intervals" and "line"."""
    styles: dict = field(default_factory=dict)
    """What a caller wants otherwise, for each artist."""
    intervals: Any = None
    line: Any = None
    inside: Any = None
    outside: Any = None
    rug: Any = None

    def draw_rows(self, at, y_pred, bounds, y_true, max_rows, is_diagonal):
        """A bar for each of the rows, and its target as inside or outside of it."""
        order = np.argsort(at, kind="stable")[: np.count_nonzero(~np.isnan(at))]
        places = np.linspace(0, len(order) - 1, min(len(order), max_rows))
        shown = order[places.round().astype(np.intp)]
        self._draw_bars(at[shown], bounds[shown], 1.5)
        if is_diagonal:
            ends = np.array([y_pred[shown].min(), y_pred[shown].max()])
            self._plot("line", ends, ends, color=COLOURS[0], zorder=2.5)
        else:
            self._draw_dashes(at[shown], y_pred[shown], 6)
        if y_true is not None:
            self._draw_targets(at, y_true, bounds, shown)

    def draw_band(self, at, y_pred, bounds):
        """Intervals joined to a band along numbers."""
        from matplotlib.collections import PolyCollection

        defaults = {"facecolor": INTERVAL_COLOUR, "alpha": 0.45, "linewidth": 0}
        options = style(
            defaults | {"label": self.labels["intervals"]}, *self._given(PolyCollection)
        )
        order = np.argsort(at, kind="stable")
        self.intervals = self.ax.fill_between(at[order], *bounds[order].T, **options)
        self._plot("line", at[order], y_pred[order], color=COLOURS[0])

    def draw_categories(self, at, y_pred, bounds):
        """A broad bar for each category."""
        self._draw_bars(at, bounds, 8)
        self._draw_dashes(at, y_pred, 14)

    def draw_points(self, at, y_true):
        """Targets that have no bars of their own."""
        self._plot("inside", at, y_true, **DOTS, label=f"{len(at)} rows")

    def draw_rug(self, at):
        """Where a column has values, at the foot of the axes."""
        feet = np.zeros(len(at))
        options = {"marker": "|", "markersize": 12, "linestyle": "", "color": "black"}
        transform = self.ax.get_xaxis_transform()
        label = "values in X, of rows of all kinds"
        self._plot("rug", at, feet, **options, alpha=0.4, transform=transform, label=label)

    def _draw_bars(self, at, bounds, width):
        from matplotlib.collections import LineCollection

        defaults = {"colors": INTERVAL_COLOUR, "alpha": 0.75, "linewidth": width}
        options = style(
            defaults | {"label": self.labels["intervals"]}, *self._given(LineCollection)
        )
        self.intervals = self.ax.vlines(at, *bounds.T, **options)

    def _draw_dashes(self, at, y_pred, size):
        options = {"marker": "_", "linestyle": "", "markersize": size, "markeredgewidth": 2}
        self._plot("line", at, y_pred, color=COLOURS[0], **options)

    def _draw_targets(self, at, y_true, bounds, shown):
        is_inside = (bounds[:, 0] <= y_true) & (y_true <= bounds[:, 1])
        share, n = is_inside.mean(), len(y_true)
        for name, is_one, part, look in (
            ("inside", is_inside, share, DOTS),
            ("outside", ~is_inside, 1 - share, CROSSES),
        ):
            rows = shown[is_one[shown]]
            label = f"{name}: {100 * part:.0f} % of {n} rows"
            self._plot(name, at[rows], y_true[rows], **look, label=label)

    def _plot(self, name, x, y, **defaults):
        from matplotlib.lines import Line2D

        defaults = {"label": self.labels.get(name)} | defaults
        options = style(defaults, self.styles.get(name), Line2D)
        (line,) = self.ax.plot(x, y, **options)
        setattr(self, name, line)

    def _given(self, artist):
        return self.styles.get("intervals"), artist


DOTS = {"color": "black", "marker": "o", "linestyle": "", "markersize": 3, "zorder": 3}
CROSSES = {"color": COLOURS[1], "marker": "x", "linestyle": "", "markersize": 6, "zorder": 3}
CROSSES |= {"markeredgewidth": 1.8}


class Scale:
    """Where the values of a column lie on an axis: numbers as they are, categories in a row."""

    def __init__(self, *columns):
        present = [value for column in columns for value in np.ravel(column).tolist()]
        self.is_category = any(isinstance(value, str) for value in present) or any(
            np.asarray(column).dtype == object for column in columns
        )
        if self.is_category:
            names = {MISSING if is_missing(value) else value for value in present}
            self.names = sorted(names, key=lambda name: (name == MISSING, str(name)))

    def places(self, column, order=None):
        """A number for each value; the rows of a category are spread in the given order."""
        if not self.is_category:
            return np.asarray(column, dtype=np.float64)
        number = {name: k for k, name in enumerate(self.names)}
        values = np.ravel(column).tolist()
        at = np.array([number[MISSING if is_missing(v) else v] for v in values], dtype=np.float64)
        if order is None:
            return at
        spread = at.copy()
        for k in range(len(self.names)):
            rows = np.flatnonzero(at == k)
            ranks = np.argsort(np.argsort(order[rows], kind="stable"))
            spread[rows] += SPREAD * (2 * (ranks + 0.5) / len(rows) - 1)
        return spread

    def set_ticks(self, ax):
        """The names of categories, turned where they would run into each other."""
        if self.is_category:
            names = [fill(str(name), LETTERS_OF_TICK) for name in self.names]
            is_long = sum(map(len, names)) > LETTERS_ACROSS
            turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if is_long else {}
            ax.set_xticks(np.arange(len(names)), names, **turned)
            ax.set_xlim(-0.5, len(names) - 0.5)


LETTERS_ACROSS, LETTERS_OF_TICK = 60, 24
"""Letters that the names of all ticks may have side by side, and those of one in a line."""
