"""xDS v3 and the Tributary messages a stranger needs, encoded by hand from the public definitions.

Nothing here is generated and nothing is shared with Tributary's sources: a mistake in proto/ shows.
Decoding is strict: a field that the public API does not have, or of another wire type, is an error.
"""


class Message:
    """A message type: fields by name as (number, kind). kind: str, bytes, int, bool, a Message,
    or a list of one kind for a repeated field."""

    def __init__(self, **fields):
        self.fields = fields
        self.by_number = {number: (name, kind) for name, (number, kind) in fields.items()}

    def encode(self, **values):
        out = bytearray()
        for name, value in values.items():
            number, kind = self.fields[name]
            repeated = isinstance(kind, list)
            for one in value if repeated else [value]:
                out += field(number, kind[0] if repeated else kind, one)
        return bytes(out)

    def decode(self, data):
        out = {}
        for number, value in parse(data):
            if number not in self.by_number:
                raise ValueError(f"field {number} does not exist; there are {list(self.fields)}")
            name, kind = self.by_number[number]
            repeated = isinstance(kind, list)
            value = understood(name, kind[0] if repeated else kind, value)
            if repeated:
                out.setdefault(name, []).append(value)
            else:
                out[name] = value
        return out


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return out


def field(number, kind, value):
    if kind in (int, bool):
        return varint(number << 3) + varint(value)
    if isinstance(kind, Message):
        value = kind.encode(**value)
    elif kind is str:
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(data):
    """(number, int or bytes) of each field."""
    at, end = 0, len(data)
    while at < end:
        key, at = number_at(data, at)
        if key & 7 == 0:
            value, at = number_at(data, at)
        elif key & 7 == 2:
            size, at = number_at(data, at)
            value, at = data[at:at + size], at + size
            if at > end:
                raise ValueError("a field longer than its message")
        else:
            raise ValueError(f"wire type {key & 7} is not used by any of these messages")
        yield key >> 3, value


def number_at(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def understood(name, kind, value):
    if (kind in (int, bool)) != isinstance(value, int):
        raise ValueError(f"{name} has the wrong wire type")
    if kind is str:
        return value.decode()
    return kind.decode(value) if isinstance(kind, Message) else value


# google.protobuf, google.rpc
ANY = Message(type_url=(1, str), value=(2, bytes))
DURATION = Message(seconds=(1, int), nanos=(2, int))
TIMESTAMP = Message(seconds=(1, int), nanos=(2, int))
STATUS = Message(code=(1, int), message=(2, str), details=(3, [ANY]))
# envoy.config.core.v3; fields that no test sets are left out
NODE = Message(id=(1, str), cluster=(2, str), metadata=(3, bytes), user_agent_name=(6, str),
               client_features=(10, [str]))
CONTROL_PLANE = Message(identifier=(1, str))
# envoy.service.discovery.v3
RESOURCE_NAME = Message(name=(1, str), dynamic_parameter_constraints=(2, bytes))
RESOURCE_LOCATOR = Message(name=(1, str), dynamic_parameters=(2, [bytes]))
RESOURCE_ERROR = Message(resource_name=(1, RESOURCE_NAME), error_detail=(2, STATUS))
RESOURCE = Message(version=(1, str), resource=(2, ANY), name=(3, str), aliases=(4, [str]),
                   ttl=(6, DURATION), cache_control=(7, bytes), resource_name=(8, RESOURCE_NAME),
                   metadata=(9, bytes))
MAP_ENTRY = Message(key=(1, str), value=(2, str))
DELTA_REQUEST = Message(
    node=(1, NODE), type_url=(2, str), resource_names_subscribe=(3, [str]),
    resource_names_unsubscribe=(4, [str]), initial_resource_versions=(5, [MAP_ENTRY]),
    response_nonce=(6, str), error_detail=(7, STATUS),
    resource_locators_subscribe=(8, [RESOURCE_LOCATOR]),
    resource_locators_unsubscribe=(9, [RESOURCE_LOCATOR]))
DELTA_RESPONSE = Message(
    system_version_info=(1, str), resources=(2, [RESOURCE]), type_url=(4, str), nonce=(5, str),
    removed_resources=(6, [str]), control_plane=(7, CONTROL_PLANE),
    removed_resource_names=(8, [RESOURCE_NAME]), resource_errors=(9, [RESOURCE_ERROR]))
SOTW_REQUEST = Message(
    version_info=(1, str), node=(2, NODE), resource_names=(3, [str]), type_url=(4, str),
    response_nonce=(5, str), error_detail=(6, STATUS), resource_locators=(7, [RESOURCE_LOCATOR]))
SOTW_RESPONSE = Message(
    version_info=(1, str), resources=(2, [ANY]), canary=(3, bool), type_url=(4, str),
    nonce=(5, str), control_plane=(6, CONTROL_PLANE), resource_errors=(7, [RESOURCE_ERROR]))
# tributary.v1
ENTRY = Message(name=(1, str), value=(2, bytes), published_at=(3, TIMESTAMP),
                content_type=(4, str), expires_at=(5, TIMESTAMP))
WRITE = Message(dataset=(1, str), key=(2, bytes), put=(3, bytes), delete=(4, bool))
BATCH = Message(sequence=(1, int), writes=(2, [WRITE]))
PUBLISH_REQUEST = Message(publisher_id=(1, str), batches=(2, [BATCH]))
RESULT = Message(sequence=(1, int), revision=(2, int), code=(3, int), message=(4, str),
                 deleted=(5, int))
PUBLISH_RESPONSE = Message(epoch=(1, str), last_sequence=(2, int), results=(3, [RESULT]))
APPLY_REQUEST = Message(objects=(1, [str]), dry_run=(2, bool))

PREFIX = "type.googleapis.com/"
ENTRY_TYPE = PREFIX + "tributary.v1.Entry"
STATE_TYPE = PREFIX + "tributary.v1.DatasetState"
SUBSCRIPTION_TYPE = PREFIX + "tributary.v1.Subscription"
RESOURCE_TYPE = PREFIX + "envoy.service.discovery.v3.Resource"
