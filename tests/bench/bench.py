#!/usr/bin/python3
"""Side by side with the peers, in one run: ratios, not absolute times.

  bench.py [ROW …] [--entries 1000000] [--pairs 5] [--bin build/release/bin] [--json FILE]
           [--markdown docs/benchmarks.md] [--charts docs/charts] [--agent-threads 1] [--tiny]

Rows: r1 … r5 (reads), b1 (bootstrap), p1 (propagation), f1 f2 (fan-out), m1 (memory),
s1 (restart), c1 (resume), w1 (durable writes), d1 (on demand), h1 (reconnect storm), h2 (paused
consumer); none: all. Each starts both sides on the same data, compares their replies byte for byte
before reads are timed, runs A B B A … and tells the median ratio ours / peer with its smallest and
greatest. --tiny runs everything once with little data, so that it cannot rot.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

import charts
import figures
import rows_demand
import rows_herd
import rows_read
import rows_spread
import rows_state
from sides import Sides

ROWS = {"r1": rows_read.r1, "r2": rows_read.r2, "r3": rows_read.r3, "r4": rows_read.r4,
        "r5": rows_read.r5, "b1": rows_state.b1, "m1": rows_state.m1, "s1": rows_state.s1,
        "c1": rows_state.c1, "p1": rows_spread.p1, "w1": rows_spread.w1, "f1": rows_spread.f1,
        "f2": rows_spread.f2, "d1": rows_demand.d1, "h1": rows_herd.h1, "h2": rows_herd.h2}
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", type=str.lower)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each timed run")
    parser.add_argument("--rounds", type=int, default=500, help="of each latency run")
    parser.add_argument("--requests", type=int, default=300_000, help="of redis-benchmark")
    parser.add_argument("--checks", type=int, default=100_000, help="replies compared first")
    parser.add_argument("--large", type=int, default=4, help="entries of 256 KiB beside the others")
    parser.add_argument("--agent-threads", type=int, default=1, help="--threads of our agents")
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--dir", help="where all data lies; one file system for both sides")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--markdown", help="put the table into this page")
    parser.add_argument("--charts", help="measure cost as work grows; SVGs into this directory")
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    if args.tiny:
        args.entries, args.pairs, args.seconds, args.rounds = 5000, 1, 0.1, 20
        args.requests, args.checks, args.large = 2000, 2000, 2
    unknown = [row for row in args.rows if row not in ROWS]
    if unknown:
        parser.error(f"no such row: {' '.join(unknown)}; there are {' '.join(ROWS)}")
    return args


def check_peers():
    missing = [name for name in ("redis-server", "redis-benchmark", "etcd") if not shutil.which(name)]
    if missing:
        raise SystemExit(f"bench: not installed: {' '.join(missing)}; "
                         "tests/install-packages.sh redis-server etcd-server installs them")


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    first = lambda *argv: subprocess.run(argv, capture_output=True, text=True).stdout.split("\n")[0]
    return (f"{os.cpu_count()} cores ({model}), Linux {platform.release()}; "
            f"{first('redis-server', '--version').split(' sha')[0]}; "
            f"{first('etcd', '--version')}; {time.strftime('%Y-%m-%d %H:%M')}, "
            f"load average {os.getloadavg()[0]:.1f} at the begin")


def write_page(path, about, table):
    page = pathlib.Path(path)
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{about}\n\n{table}\n{END}{rest.split(END)[1]}")


def run_rows(args, sides):
    found, seconds = [], {}
    for row in args.rows or ROWS:
        start = time.monotonic()
        new = ROWS[row](sides)
        seconds[row] = time.monotonic() - start
        found += new
        print(figures.text_table(new).split("\n", 1)[1], flush=True)
        print(f"   ({seconds[row]:.0f} s)", flush=True)
    return found


def main():
    args = arguments()
    check_peers()
    about = machine()
    if args.agent_threads != 1:
        about += f"; agents with --threads {args.agent_threads}"
    print(about, flush=True)
    sides = Sides(args)
    found = []
    try:
        if args.rows or not args.charts:
            found = run_rows(args, sides)
        if args.charts:
            charts.draw_all(sides, pathlib.Path(args.charts))
    finally:
        sides.close()
    print("\n" + figures.text_table(found))
    if args.json:
        facts = {"about": about, "entries": args.entries, "pairs": args.pairs,
                 "figures": [f._asdict() for f in found]}
        pathlib.Path(args.json).write_text(json.dumps(facts, indent=2) + "\n")
    if args.markdown:
        write_page(args.markdown, about, figures.markdown_table(found))


if __name__ == "__main__":
    sys.exit(main())
