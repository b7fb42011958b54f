"""Delta server, scenarios 1–22: names, the wildcard, who is subscribed to what."""
import xds
from delta import Delta
from world import NAMES, World

PERMISSION_DENIED = 7


def subscribed(world, *names):
    """A client that asked for these and has been told of them."""
    client = world.client(Delta)
    client.send(sub=names)
    return client


def test_s01_a_name_is_answered(world):
    client = subscribed(world, "A")
    response = client.one({"A": "v1"})
    assert response.type == xds.ENTRY_TYPE and response.nonce


def test_s02_an_ack_is_not_answered(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    client.quiet()


def test_s03_a_missing_name_is_removed(world):
    subscribed(world, "A", "Z").expect({"A": "v1"}, rem=["Z"])


def test_s04_a_missing_name_is_sent_once_it_exists(world):
    client = subscribed(world, "A", "Z")
    client.expect({"A": "v1"}, rem=["Z"])
    world.put(Z="v1")
    client.one({"Z": "v1"})


def test_s05_subscribing_again_is_answered_again(world):
    client = subscribed(world, "A")
    first = client.one({"A": "v1"})
    client.send(sub=["A"])
    assert client.one({"A": "v1"}).versions == first.versions


def test_s06_subscribing_before_the_ack(world):
    client = subscribed(world, "A")
    first = client.one({"A": "v1"}, ack=False)
    client.send(sub=["B"])
    client.one({"B": "v1"}, ack=False)
    client.ack(first)
    client.quiet()


def test_s07_an_unsubscribed_name_is_quiet(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    client.send(unsub=["A"])
    client.quiet()
    world.put(A="v2")
    client.quiet()


def test_s08_unsubscribing_an_unknown_name_does_nothing(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    client.send(unsub=["Q"])
    client.quiet()
    world.put(A="v2")
    client.one({"A": "v2"})


def test_s09_unsubscribe_then_subscribe_sends_it_unchanged(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    client.send(unsub=["A"])
    client.send(sub=["A"])
    client.one({"A": "v1"})


def test_s10_only_what_changed_is_sent(world):
    client = subscribed(world, "A", "B", "C")
    client.expect({"A": "v1", "B": "v1", "C": "v1"})
    world.put(A="v2")
    client.one({"A": "v2"})  # with a new nonce: the client checks each
    client.quiet()


def test_s11_a_deleted_name_stays_subscribed(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    world.delete("A")
    client.one(rem=["A"])
    world.put(A="v2")
    client.one({"A": "v2"})


def legacy_wildcard(world):
    client = world.client(Delta)
    client.send()
    client.expect({"A": "v1", "B": "v1", "C": "v1"})
    return client


def test_s12_an_empty_first_request_is_the_wildcard(world):
    legacy_wildcard(world)


def test_s13_the_wildcard_by_its_name(world):
    subscribed(world, "*").expect({"A": "v1", "B": "v1", "C": "v1"})


def test_s14_an_ack_of_the_wildcard_is_not_answered(world):
    legacy_wildcard(world).quiet()


def named_beside_the_wildcard(world):
    client = legacy_wildcard(world)
    client.send(sub=["A"])
    client.one({"A": "v1"})
    world.put(B="v2")
    client.one({"B": "v2"})
    return client


def test_s15_naming_one_keeps_the_wildcard(world):
    named_beside_the_wildcard(world).quiet()


def only_the_name_left(world):
    client = named_beside_the_wildcard(world)
    client.send(unsub=["*"])
    client.quiet()
    world.put(B="v3")
    client.quiet()
    world.put(A="v2")
    client.one({"A": "v2"})
    return client


def test_s16_dropping_the_wildcard_keeps_the_name(world):
    only_the_name_left(world)


def test_s17_nothing_left_is_not_the_wildcard(world):
    client = only_the_name_left(world)
    client.send(unsub=["A"])
    client.quiet()
    client.send()
    client.quiet()
    world.put(B="v4")
    client.quiet()


def test_s18_unsubscribing_under_the_wildcard_sends_the_resource(world):
    client = subscribed(world, "*", "A")
    client.expect({"A": "v1", "B": "v1", "C": "v1"})
    client.send(unsub=["A"])
    client.one({"A": "v1"})
    world.put(A="v2")
    client.one({"A": "v2"})


def test_s19_unsubscribing_what_the_wildcard_lacks_removes_it(world):
    hidden = World(world.server, keys=["X"])
    x = hidden.name("X")
    client = subscribed(world, "*", x)
    client.expect({"A": "v1", "B": "v1", "C": "v1"}, rem=[x], err={x: PERMISSION_DENIED})
    client.send(unsub=[x])
    client.one(rem=[x])
    world.server.declare(hidden.dataset, [world.service])  # now the wildcard has it
    client.one({x: "v1"})
    client.send(sub=[x])
    client.one({x: "v1"})
    client.send(unsub=[x])
    client.one({x: "v1"})


def test_s20_the_wildcard_follows_creation_and_deletion(world):
    client = subscribed(world, "*")
    client.expect({"A": "v1", "B": "v1", "C": "v1"})
    world.put(D="v1")
    client.one({"D": "v1"})
    world.delete("D")
    client.one(rem=["D"])


def test_s21_a_wildcard_taken_back_in_the_same_request(world):
    client = world.client(Delta)
    client.send(sub=["*"], unsub=["*"])
    client.quiet()
    client.send(sub=["A"])
    client.one({"A": "v1"})
    world.put(C="v2")
    client.quiet()


def test_s22_a_wildcard_over_nothing_is_answered_once(empty):
    client = empty.client(Delta)
    client.send(sub=["*"])
    client.one()
    client.quiet()
    stranger = empty.client(Delta)
    stranger.node["id"] = "nobody"  # may consume no dataset at all
    stranger.send()
    stranger.one()
    stranger.quiet()


def test_names_are_percent_encoded_and_have_one_spelling(world):
    world.put({"a b/ä": "v1"})
    client = subscribed(world, "a b/ä")
    client.one({"a b/ä": "v1"})
    for wrong in ("a b", "%41", "", "A/B"):
        name = f"{NAMES}{world.dataset}/{wrong}"
        client.send(sub=[name])
        client.one(rem=[name], err={name: 3})
