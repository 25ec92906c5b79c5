"""Draw the README's picture: ``python benchmarks/plot.py RESULTS.json PICTURE.png``."""

import argparse
import json
from pathlib import Path

BARS = ("scikit-learn / ours float64", "scikit-learn / ours float32", "torch / ours float32")


def main(arguments=None):
    """Draw how many times longer the others take, by problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args(arguments)
    problems = json.loads(options.results.read_text())["problems"]
    figure, ax = plt.subplots(figsize=(9.5, 4), layout="constrained")
    for number, bar in enumerate(BARS):
        heights = [problem["ratios"].get(bar, 0) for problem in problems.values()]
        places = [place + 0.27 * (number - 1) for place in range(len(heights))]
        ax.bar(places, heights, width=0.25, label=bar)
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set_xticks(range(len(problems)), [name.replace(" 20k x 50k", "") for name in problems])
    ax.set_ylabel("times our seconds")
    ax.set_title("The same epochs of Adam on the same mini-batches, one thread")
    ax.legend(ncols=len(BARS), loc="upper right")
    ax.set_ylim(top=1.15 * ax.get_ylim()[1])
    figure.savefig(options.picture, dpi=120)


if __name__ == "__main__":
    main()
