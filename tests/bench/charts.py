"""Cost as work grows, one SVG each: reads, bootstrap and memory against entries, propagation
against subscribers. Few repetitions: the shape is what counts."""
import copy
import statistics

import rows_read
import rows_spread
import rows_state
from sides import Sides, anonymous_bytes
from svg import line_chart

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
SUBSCRIBERS = (1, 10, 100, 1000, 5000)
DELIVERIES = 100_000  # of one point of the propagation chart, so that it takes a minute at most


def at_size(args, entries):
    """{series: value} with this many entries."""
    args = copy.copy(args)
    args.entries, args.large, args.pairs = entries, 0, 2
    sides = Sides(args)
    try:
        out = {}
        for pipeline in (1, 16):
            pairs = rows_read.pairs_of(sides, ["--pipeline", pipeline])
            for i, who in enumerate(("agent", "Redis")):
                out[f"{who}, pipeline {pipeline}"] = statistics.mean(p[i]["rate"] for p in pairs)
        replica, port = rows_state.replica_of(sides), sides.redis()[3]
        out["copy agent"] = min(rows_state.new_copy(sides) for _ in range(2))
        out["copy Redis"] = min(rows_state.resync(sides, replica, port) for _ in range(2))
        out["memory agent"] = anonymous_bytes(sides.agent()[0])[0] / 1e6
        out["memory Redis"] = anonymous_bytes(replica[0])[0] / 1e6
        return out
    finally:
        sides.close()


def draw_entries(args, directory):
    sizes = (1000, 2000) if args.tiny else SIZES
    found = {size: at_size(args, size) for size in sizes}
    series = lambda names: {label: [(size, found[size][name]) for size in sizes]
                            for name, label in names.items()}
    names = [f"{who}, pipeline {p}" for p in (1, 16) for who in ("agent", "Redis")]
    for file, title, unit, picked in (
            ("get-rate", "GET rate against entries (one core each)", "requests/s",
             {name: name for name in names}),
            ("bootstrap", "A new copy against entries", "seconds",
             {"copy agent": "agent, from its start", "copy Redis": "Redis replica"}),
            ("memory", "Anonymous memory of a copy", "MB",
             {"memory agent": "agent", "memory Redis": "Redis replica"})):
        (directory / f"{file}.svg").write_text(
            line_chart(title, "entries of 100 B", unit, series(picked)))


def draw_propagation(sides, directory):
    counts = (1, 5) if sides.args.tiny else SUBSCRIBERS
    address, agent = sides.small_control_plane()[1], rows_spread.small_agent(sides)
    most = sides.args.rounds
    rounds = {n: min(most, max(DELIVERIES // n, most // 10)) for n in counts}
    found = {n: rows_spread.latency(sides, "--address", address, "--reader", agent[1],
                                    "--subscribers", n, rounds=rounds[n]) for n in counts}
    series = {}
    for name, field in (("readable, p50", "p50_us"), ("readable, p99", "p99_us"),
                        ("at the last stream, p50", "delivered_p50_us"),
                        ("at the last stream, p99", "delivered_p99_us")):
        series[name] = [(n, found[n][field]) for n in counts]
    (directory / "propagation.svg").write_text(line_chart(
        "One put at a time: until readable", "subscribers", "µs", series))


def draw_all(sides, directory):
    directory.mkdir(parents=True, exist_ok=True)
    draw_propagation(sides, directory)
    draw_entries(sides.args, directory)
