"""Is a history of reads and writes of one key linearizable?

For a register whose writes have different values this is decided by zones (Gibbons and Korach,
"Testing shared memories", 1997): the operations of one value form a cluster; from its earliest end
to its latest start it must have been the value of the register ("forward zone"), or, if those
overlap, it may have been so at some instant in between ("backward zone").
"""
from dataclasses import dataclass

START, END = float("-inf"), float("inf")


@dataclass
class Operation:
    value: object  # written, or read; None: there was no entry
    is_write: bool
    begin: float
    end: float  # END: nobody knows whether it took place


def violations(operations):
    """What is wrong, as sentences; none: it is linearizable. It begins without an entry."""
    clusters = {}
    for operation in operations:
        clusters.setdefault(operation.value, []).append(operation)
    clusters.setdefault(None, []).append(Operation(None, True, START, START))
    found, forward, backward = [], [], []
    for value, cluster in clusters.items():
        writes = [o for o in cluster if o.is_write]
        reads = [o for o in cluster if not o.is_write]
        if not writes:
            found.append(f"{value!r} was read and never written")
            continue
        assert len(writes) == 1, f"{value!r} was written twice: the test is wrong"
        if not reads and writes[0].end == END:
            continue  # perhaps it never took place
        if any(read.end < writes[0].begin for read in reads):
            found.append(f"{value!r} was read before it was written")
        first_end = min(o.end for o in cluster)
        last_begin = max(o.begin for o in cluster)
        if first_end < last_begin:
            forward.append((first_end, last_begin, value))
        else:
            backward.append((last_begin, first_end, value))
    forward.sort(key=lambda zone: zone[:2])
    for one, other in zip(forward, forward[1:]):
        if other[0] < one[1]:
            found.append(f"{one[2]!r} and {other[2]!r} alternate")
    found += [f"{value!r} can only have been there while {other!r} was"
              for begin, end, value in backward
              for low, high, other in around(forward, begin) if low < begin and end < high]
    return found


def around(forward, begin):
    """The one zone that may hold an instant: they do not overlap, or that was said already."""
    low, high = 0, len(forward)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if forward[middle][0] < begin else (low, middle)
    return forward[low - 1:low] if low else []
