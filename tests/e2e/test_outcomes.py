"""What the control plane says of rejected responses, publishers and deletes."""
from harness import dataset, eventually
from wire import DeltaClient, Stream, message, parse


def test_a_rejected_response_is_logged_by_the_control_plane(shop):
    entry = "type.googleapis.com/tributary.v1.Entry"
    shop.owner.redis().set("prices/a", "1")
    client = DeltaClient(shop.cp.address, "web")
    client.request(entry, ["xdstp:///tributary.v1.Entry/prices/*"])
    nonce = client.receive()[5][0].decode()
    client.request(entry, nonce=nonce, error="value is 42\nnot 43")

    def logged():
        return [line for line in shop.cp.tail(10000).splitlines()
                if "rejected by a client" in line and "service=web" in line and entry in line
                and "value is 42" in line]

    eventually(logged)
    client.close()


def test_a_publisher_id_of_another_service_is_another_publisher(shop):
    shop.cp.declare(dataset("prices", "shop", ["web"]), dataset("pages", "web", ["shop"]))

    def publish(service, of, key):
        stream = Stream(shop.cp.address, "/tributary.v1.Publisher/Publish",
                        [("tributary-service", service)])
        write = message((1, of), (2, key), (3, "1"))
        stream.send(message((1, "the-same-id"), (2, message((1, 1), (2, write)))))
        answer = stream.receive()
        stream.close()
        result = parse(answer[3][0])
        return answer.get(2, [0])[0], result.get(3, [0])[0], result.get(2, [0])[0]

    last, code, revision = eventually(lambda: [publish("shop", "prices", "a")])[0]
    assert (last, code) == (1, 0) and revision > 0
    eventually(lambda: shop.cp.ctl("get", "datasets").count("pages"))
    last, code, other = publish("web", "pages", "b")
    assert (last, code) == (1, 0) and other > revision  # a commit of its own
    assert shop.cp.ctl("read", "pages", "b", service="web").strip() == "1"
    assert publish("shop", "prices", "other") == (1, 0, revision)  # a retry is one still


def test_deletes_of_one_transaction_count_their_own(shop):
    client = shop.owner.redis()
    client.mset({"prices/a": "1", "prices/b": "1"})
    batch = client.pipeline(transaction=True)
    batch.delete("prices/none", "prices/a").set("prices/c", "1").delete("prices/gone")
    batch.delete("prices/b", "prices/c", "prices/b")
    assert batch.execute() == [1, True, 0, 2]
