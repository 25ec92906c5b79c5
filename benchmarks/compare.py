"""Compare two results: ``python benchmarks/compare.py BEFORE.json AFTER.json``.

A case counts as slower only if it is so by more than a factor *and* by more than a few
milliseconds: small fits are noisy in one sense, long ones in the other. Exits with 1 then.
"""

import argparse
import json
from pathlib import Path

FACTOR = 1.10
SECONDS = 0.005


def slower(before, after, factor=FACTOR, seconds=SECONDS):
    """Rows (problem, contender, seconds before, seconds after) past both thresholds."""
    found = []
    for problem, result in after["problems"].items():
        earlier = before["problems"].get(problem, {"seconds": {}})["seconds"]
        for contender, now in result["seconds"].items():
            then = earlier.get(contender)
            if then is not None and now > then * factor and now > then + seconds:
                found.append((problem, contender, then, now))
    return found


def main(arguments=None):
    """Print what became slower; return whether anything of ours did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    before, after = (json.loads(path.read_text()) for path in (options.before, options.after))
    rows = slower(before, after)
    for problem, contender, then, now in rows:
        print(f"{problem:16s} {contender:18s} {then:9.4f} s -> {now:9.4f} s ({now / then:.2f}x)")
    ours = [row for row in rows if row[1].startswith("ours")]
    print(f"{len(rows)} cases slower, {len(ours)} of them ours")
    return bool(ours)


if __name__ == "__main__":
    raise SystemExit(main())
