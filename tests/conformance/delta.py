"""A delta-xDS client of no particular make. It checks what every response must be."""
from urllib.parse import quote

import grpc

import xds
from stream import SECONDS, Stream
from world import NAMES, nothing

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
FENCE_TYPE = xds.PREFIX + "fence.v1.Fence"
QUIET = 0.15  # seconds after a fence; see Delta.quiet
BYTES_MAX = 2 * 1024 * 1024


class Response:
    def __init__(self, data):
        fields = xds.DELTA_RESPONSE.decode(data)
        self.bytes = len(data)
        self.type, self.nonce = fields.get("type_url"), fields.get("nonce")
        self.control_plane = fields.get("control_plane", {}).get("identifier")
        self.resources = fields.get("resources", [])
        self.removed = fields.get("removed_resources", [])
        self.errors = {e["resource_name"]["name"]: e["error_detail"]["code"]
                       for e in fields.get("resource_errors", [])}
        self.versions = {r["name"]: r["version"] for r in self.resources}
        self.values = {r["name"]: value_of(r) for r in self.resources}

    def check(self):
        assert self.type and self.nonce and self.control_plane
        names = [r["name"] for r in self.resources] + self.removed
        assert len(names) == len(set(names)), f"a name twice in one response: {names}"
        assert not set(self.errors) & set(self.versions)
        assert self.bytes <= BYTES_MAX
        for resource in self.resources:
            assert resource["resource"]["type_url"] == self.type
            assert resource["version"] and resource["version"].isascii()
            assert set(resource) == {"version", "resource", "name"}, "neither TTL nor aliases"
            assert "*" not in resource["name"] and "#" not in resource["name"], "a marker"


def value_of(resource):
    payload = resource["resource"].get("value", b"")
    if resource["resource"]["type_url"] != xds.ENTRY_TYPE:
        return payload
    return xds.ENTRY.decode(payload).get("value", b"").decode()


class Delta(Stream):
    """`held` is what a client would have after all it accepted: {name: (version, value)}."""

    def __init__(self, address, service, features=(), **options):
        super().__init__(address, METHOD, **options)
        self.service = service
        self.node = dict(id=service, client_features=list(features))
        self.held, self.nonces, self.fences = {}, set(), 0

    def name(self, key):
        special = key == "*" or key.startswith("xdstp:")
        return key if special else f"{NAMES}{self.service}/{quote(key, safe='')}"

    def send(self, sub=(), unsub=(), irv=None, nonce=None, err=None, type_url=xds.ENTRY_TYPE):
        fields = dict(node=self.node) if self.node else {}
        fields |= dict(type_url=type_url, resource_names_subscribe=list(map(self.name, sub)),
                       resource_names_unsubscribe=list(map(self.name, unsub)),
                       initial_resource_versions=[dict(key=self.name(key), value=value)
                                                  for key, value in (irv or {}).items()])
        fields |= dict(response_nonce=nonce) if nonce is not None else {}
        fields |= dict(error_detail=dict(code=3, message=err)) if err is not None else {}
        self.node = None
        self.write(xds.DELTA_REQUEST.encode(**fields))

    def ack(self, response, **more):
        for name in response.removed:
            self.held.pop(name, None)
        for name, value in response.values.items():
            self.held[name] = (response.versions[name], value)
        self.send(nonce=response.nonce, type_url=response.type, **more)

    def nack(self, response, **more):
        self.send(nonce=response.nonce, type_url=response.type, err="does not suit me", **more)

    def receive(self, seconds=SECONDS):
        response = Response(self.read(seconds))
        response.check()
        assert response.nonce not in self.nonces, "a nonce used twice"
        self.nonces.add(response.nonce)
        return response

    def one(self, res=None, rem=(), err=None, ack=True):
        """The next response, which must hold exactly this: {key: value}, keys, {key: code}."""
        response = self.receive()
        assert response.values == {self.name(k): v for k, v in (res or {}).items()}
        assert set(response.removed) == set(map(self.name, rem))
        assert response.errors == {self.name(k): v for k, v in (err or {}).items()}
        if ack:
            self.ack(response)
        return response

    def expect(self, res=None, rem=(), err=None):
        """Exactly this, in any number of responses; the responses."""
        res = {self.name(k): v for k, v in (res or {}).items()}
        rem, err = set(map(self.name, rem)), {self.name(k): v for k, v in (err or {}).items()}
        got, values, removed, errors = [], {}, set(), {}
        while not got or (values, removed, errors) != (res, rem, err):
            response = self.receive()
            got.append(response)
            values |= response.values
            removed |= set(response.removed)
            errors |= response.errors
            unwanted = values.items() - res.items() or removed - rem or errors.items() - err.items()
            assert not unwanted, f"unexpected {unwanted}, wanted {res} {rem} {err}"
            self.ack(response)
        return got

    def quiet(self):
        """Nothing is sent of the type under test. A question of another, unknown type is asked and
        answered, so all that was said before has been dealt with; then a short while more."""
        self.fences += 1
        name = f"xdstp:///fence.v1.Fence/{self.fences}"
        self.send(sub=[name], type_url=FENCE_TYPE)
        response = self.receive()
        assert (response.type, response.removed) == (FENCE_TYPE, [name]), vars(response)
        self.ack(response)
        nothing(self, QUIET)

    def refused(self):
        """The code with which the server ends this stream; it must say why."""
        code, details = self.ended()
        assert code != grpc.StatusCode.OK and details
        return code


