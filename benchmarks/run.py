"""Time everything: ``python benchmarks/run.py [--quick] [--json FILE] [--only NAME ...]``.

Each problem is done by all contenders in turns, in one process, on one BLAS thread; medians count.
Prints seconds, the ratios that matter, and the other jobs. ``--quick`` takes under a minute.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import numpy
import scipy
import sklearn
from threadpoolctl import threadpool_limits

from contenders import CONTENDERS
from jobs import JOBS, QUICK_JOBS, alternate
from problems import PROBLEMS

RATIOS = {
    "scikit-learn / ours float64": ("scikit-learn", "ours float64"),
    "scikit-learn / ours float32": ("scikit-learn", "ours float32"),
    "torch / ours float32": ("torch", "ours float32"),
    "share of products, float64": ("products float64", "ours float64"),
    "share of products, float32": ("products float32", "ours float32"),
}


def time_problem(problem, repeats):
    """Median seconds by contender."""
    X, y = problem.data()
    work = {name: factory(problem, X, y) for name, factory in CONTENDERS.items()}
    with threadpool_limits(1):
        return alternate({name: w for name, w in work.items() if w is not None}, repeats)


def ratios(seconds):
    """Ratios of medians, those that can be formed."""
    return {
        name: seconds[a] / seconds[b]
        for name, (a, b) in RATIOS.items()
        if a in seconds and b in seconds
    }


def report(name, found):
    """Print one entry of the results."""
    print(f"\n{name}")
    for key, value in found.items():
        print(
            f"    {key:32s} {value:.4g}" if isinstance(value, float) else f"    {key:32s} {value}"
        )
    sys.stdout.flush()


def machine():
    """What the figures belong to."""
    versions = {m.__name__: m.__version__ for m in (numpy, scipy, sklearn)}
    return {"python": platform.python_version(), "processor": platform.machine(), **versions}


def main(arguments=None):
    """Run what was asked for and return the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems, few repeats")
    parser.add_argument("--only", nargs="*", help="names of problems and jobs")
    parser.add_argument("--repeats", type=int, help="how often each is timed")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(arguments)
    repeats = options.repeats or (3 if options.quick else 5)
    results = {"machine": machine(), "problems": {}, "jobs": {}}
    todo = [name for name, p in PROBLEMS.items() if p.quick or not options.quick]
    todo += QUICK_JOBS if options.quick else JOBS
    todo = [name for name in todo if not options.only or name in options.only]
    for count, name in enumerate(todo, 1):
        print(f"[{count}/{len(todo)}] {name} ...", file=sys.stderr, flush=True)
        if name in PROBLEMS:
            seconds = time_problem(PROBLEMS[name], repeats)
            results["problems"][name] = {"seconds": seconds, "ratios": ratios(seconds)}
            report(name, seconds | ratios(seconds))
        else:
            results["jobs"][name] = JOBS[name](repeats)
            report(name, results["jobs"][name])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
