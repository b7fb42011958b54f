"""Pairs, medians, goals, and the table that tells them."""
import operator
import statistics
from typing import NamedTuple, Optional

HOLDS = {">=": operator.ge, "<=": operator.le}


class Figure(NamedTuple):
    row: str
    figure: str
    unit: str
    peer: Optional[float]   # None: the goal is an absolute one
    ours: float
    ratio: Optional[float]  # the median of ours / peer of each pair
    low: Optional[float]
    high: Optional[float]
    goal: str               # "<= 0.35 x", "<= 30 ms"; "": told for comparison
    met: Optional[bool]
    note: str


def judge(value, goal):
    if not goal:
        return None
    sign, number = goal.split()[:2]
    return HOLDS[sign](value, float(number))


def compare(row, figure, unit, pairs, goal="", note=""):
    """Of pairs (ours, peer)."""
    ratios = [ours / peer for ours, peer in pairs if peer]
    ratio = statistics.median(ratios)
    return Figure(row, figure, unit, statistics.median(peer for _, peer in pairs),
                  statistics.median(ours for ours, _ in pairs), ratio, min(ratios), max(ratios),
                  goal, judge(ratio, goal), note)


def absolute(row, figure, unit, values, goal="", note=""):
    value = statistics.median(values)
    return Figure(row, figure, unit, None, value, None, None, None, goal, judge(value, goal), note)


def in_pairs(count, ours, peer):
    """A B B A …: [(ours(), peer()), …]"""
    pairs = []
    for i in range(count):
        if i % 2 == 0:
            a = ours()
            pairs.append((a, peer()))
        else:
            b = peer()
            pairs.append((ours(), b))
    return pairs


def pick(pairs, name):
    return [(ours[name], peer[name]) for ours, peer in pairs]


def busy_note(pairs):
    """The load generator's share of a core; above 90 % it is what was measured."""
    ours, peer = (statistics.median(pair[side]["cpu"] for pair in pairs) for side in (0, 1))
    bound = "; client-bound" if max(ours, peer) > 0.9 else ""
    return f"load used {ours:.0%} / {peer:.0%} of a core{bound}"


def number(value):
    if value is None:
        return "–"
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.0f}k"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


HEAD = ("row", "figure", "peer", "ours", "ratio (min–max)", "goal", "", "notes")


def cells(f):
    ratio = "–" if f.ratio is None else f"{f.ratio:.2f} ({f.low:.2f}–{f.high:.2f})"
    verdict = {None: "", True: "met", False: "missed"}[f.met]
    return (f.row, f.figure, number(f.peer), f"{number(f.ours)} {f.unit}", ratio, f.goal or "–",
            verdict, f.note)


def text_table(figures):
    rows = [HEAD[:-1]] + [cells(f)[:-1] for f in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows)


def markdown_table(figures):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(cells(f)) + " |" for f in figures]
    return "\n".join(lines)
