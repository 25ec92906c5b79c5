"""What the pictures share: colours that the colour-blind tell apart, sizes, and where to write."""

import sys

import matplotlib.pyplot as plt

BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
plt.rcParams |= {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=[BLUE, RED, GREEN, PINK, ORANGE, SKY]),
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "legend.frameon": False,
    "svg.hashsalt": "sklearn-twolayer",
}


def panels(n_columns=2, height=2.9, **options):
    """A figure as wide as a page, and its axes."""
    return plt.subplots(1, n_columns, figsize=(6.6, height), **options)


def save(figure):
    """Write it where the command line says."""
    figure.savefig(sys.argv[1], metadata={"Date": None})
