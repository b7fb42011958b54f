"""Delta server, scenarios 23–28 and 40: initial resource versions, several types on a stream."""
import pytest

import xds
from delta import Delta
from world import STATES

LOAD = 20_000


def versions(world, *keys):
    """The versions of these keys, by a stream that is gone again."""
    client = world.client(Delta)
    client.send(sub=["*"])
    wanted = set(map(world.name, keys))
    while not wanted <= client.held.keys():
        client.ack(client.receive())
    client.close()
    return {key: client.held[world.name(key)][0] for key in keys}


def resumed(world, irv, *sub):
    client = world.client(Delta)
    client.send(sub=sub or ["*"], irv=irv)
    return client


def test_s23_what_is_current_is_not_sent_again(world):
    client = resumed(world, versions(world, "A", "B", "C"))
    client.one()
    client.quiet()
    world.put(A="v2")
    client.one({"A": "v2"})


def test_s24_what_differs_is_sent(world):
    held = versions(world, "A", "B")
    world.put(B="v2")
    resumed(world, held).expect({"B": "v2", "C": "v1"})


def test_s25_what_is_gone_is_removed(world):
    client = resumed(world, {**versions(world, "A", "B", "C"), "OLD": "v9"})
    client.expect(rem=["OLD"])
    client.quiet()


def test_s26_versions_of_explicit_names(world):
    world.put(Z="v1")
    held = versions(world, "A", "Z")
    world.delete("Z")
    client = resumed(world, held, "A", "Z")
    client.one(rem=["Z"])
    client.quiet()


def test_s27_versions_in_a_later_request_do_not_count(world):
    client = resumed(world, {}, "A")
    first = client.one({"A": "v1"})
    client.send(sub=["B"], irv={"A": first.versions[world.name("A")], "B": "v9", "C": "v9"})
    client.one({"B": "v1"})
    world.put(B="v2")
    client.one({"B": "v2"})
    client.quiet()


def test_s28_each_type_has_versions_of_its_own(world):
    state = STATES + world.dataset
    first = world.client(Delta)
    first.send(sub=[state], type_url=xds.STATE_TYPE)
    known = first.receive().versions
    first.close()
    client = resumed(world, versions(world, "A", "B", "C"))
    client.one()
    client.send(sub=[state], irv=known, type_url=xds.STATE_TYPE)  # no node in this one
    client.quiet()
    world.put(A="v2")
    answers = {client.receive().type: None for _ in range(2)}
    assert set(answers) == {xds.ENTRY_TYPE, xds.STATE_TYPE}


def values_of(client):
    return {name: value for name, (_, value) in client.held.items()}


def test_s40_a_killed_load_is_resumed_exactly(empty):
    keys = [f"k{i:05}" for i in range(LOAD)]
    empty.put({key: key + "." * 200 for key in keys})
    client = empty.client(Delta)
    client.send(sub=[empty.glob])
    for _ in range(2):
        client.ack(client.receive())
    client.close()
    assert 0 < len(client.held) < LOAD
    empty.put({keys[3]: "changed", keys[-3]: "changed", "new": "new"})
    empty.delete(keys[1], keys[-1])
    again = empty.client(Delta)
    again.held = dict(client.held)
    again.send(sub=[empty.glob], irv={name: version for name, (version, _) in client.held.items()})
    truth = {empty.name(key): key + "." * 200 for key in keys}
    truth |= {empty.name(keys[3]): "changed", empty.name(keys[-3]): "changed",
              empty.name("new"): "new"}
    del truth[empty.name(keys[1])], truth[empty.name(keys[-1])]
    resent = 0
    while values_of(again) != truth:
        response = again.receive()
        resent += len(client.held.keys() & response.versions.keys())
        again.ack(response)
    again.quiet()
    assert resent == 1  # keys[3] alone


def test_s40_a_first_request_of_five_mebibytes_is_accepted(world):
    gone = {f"gone{i:06}": "0000000000aa.123456789" for i in range(60_000)}
    irv = {**versions(world, "A", "B"), **gone}
    client = world.client(Delta)
    client.send(sub=["*"], irv=irv)
    removed, sent = set(), {}
    while len(removed) < len(gone) or not sent:
        response = client.receive()
        removed |= set(response.removed)
        sent |= response.values
        client.ack(response)
    assert removed == set(map(world.name, gone)) and sent == {world.name("C"): "v1"}
    client.quiet()


@pytest.mark.parametrize("faulty", ["", "c1.", "c1.0.0", "b1.000000000000.1", "\x7f", "9" * 1000])
def test_versions_that_mean_nothing_are_only_different(world, faulty):
    client = resumed(world, {"A": faulty, "Z": faulty})
    client.expect({"A": "v1", "B": "v1", "C": "v1"}, rem=["Z"])
    client.quiet()
