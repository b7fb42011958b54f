#!/usr/bin/python3
"""Holds the hot paths to instruction counts: a guard against slow creep that no timing can disturb.

  count.py PROGRAM        PROGRAM is hot_paths; exit 1 if a path costs more than its bound

The counts are those of one build; bounds leave room for another minor version of the compiler. A
path that became cheaper by a third is reported too: lower its bound then. If a change makes a path
dearer for a good reason, raise the bound in that change and say why.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# Instructions for each time, at most: about an eighth above what was counted (g++ 12, -O2).
BOUNDS = {
    "get": 2250,  # parse, look up by the index, reply; of a pipeline of 64
    "get_by_tree": 4400,  # the same without an index
    "take_entry": 2120,  # out of a response, until it is held for the cache
    "load_entry": 2280,  # into a new generation, in key order
    "apply_entry": 7600,  # of a cut of 100 to a copy that serves, with its share of the commit
    "splice_entry": 820,  # into a response, from the store
}


def counts(program):
    with tempfile.TemporaryDirectory(prefix="cost.") as directory:
        out = pathlib.Path(directory) / "out"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, directory],
            capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"count: {program} failed:\n{run.stderr}{run.stdout}")
        lines = (line.split() for line in run.stdout.splitlines())
        times = {name: int(count) for name, count in lines}
        result = {}
        for dump in pathlib.Path(directory).glob("out.*"):
            text = dump.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (\S+)$", text, re.MULTILINE)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
            if name and total:
                result[name.group(1)] = int(total.group(1)) / times[name.group(1)]
        return result


def main():
    found = counts(sys.argv[1])
    failed = False
    for name, bound in BOUNDS.items():
        if name not in found:
            sys.exit(f"count: {name} was not measured")
        verdict = "ok"
        if found[name] > bound:
            verdict, failed = "TOO MANY", True
        elif found[name] < bound * 2 / 3:
            verdict = "ok, and far below: lower the bound"
        print(f"{name:14} {found[name]:9.0f} instructions, at most {bound:6}: {verdict}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
