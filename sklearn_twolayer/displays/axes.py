"""What all pictures share: colours, new axes, and the styles that a caller may change."""

from textwrap import fill

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by the colour-blind (Okabe and Ito 2008), one for each estimator in a picture."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One for each estimator in a picture, so that it can be read without colours, too."""


def check_matplotlib(caller):
    """ImportError, as scikit-learn words it, where matplotlib is not installed."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. You can install matplotlib with "
            "`pip install matplotlib`"
        ) from error


def new_axes(name, **options):
    """Axes of a figure of their own, for the display of that name."""
    check_matplotlib(f"{name}.plot")
    import matplotlib.pyplot as plt

    # the layout makes room for labels and numbers on all sides
    return plt.subplots(layout="constrained", **options)[1]


def style(defaults, given, artist):
    """Defaults of an artist's class, overridden by what a caller gave under any of its names."""
    from matplotlib.cbook import normalize_kwargs

    return defaults | normalize_kwargs(given or {}, artist)


def legend_above(ax, handles, labels, inside):
    """A legend above the axes, or, where the figure would not make room for it, `inside`."""
    if ax.figure.get_layout_engine() is None:
        ax.legend(handles, labels, loc=inside, framealpha=1)
        return
    # room is made for its height, not for its width
    labels = [fill(label, LETTERS_ACROSS) for label in labels]
    ncols = 2 if 2 * max(map(len, labels), default=0) <= LETTERS_ACROSS else 1
    options = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False, "ncols": ncols}
    ax.legend(handles, labels, **options)


LETTERS_ACROSS = 58
"""Letters that fit side by side above axes of the usual size."""
