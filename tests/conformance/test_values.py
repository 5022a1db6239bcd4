"""Values: everything that pickle and cloudpickle take comes back equal, through `put`, as an argument and
as a result.
"""

import collections
import datetime
import decimal
import fractions
import math
import pathlib
import re
import uuid

import pytest
from shapes import Colour, Point, Record, Renamed

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


def nested(depth):
    value = ["bottom"]
    for _ in range(depth):
        value = [value]
    return value


PRIMITIVES = [
    0,
    1,
    -1,
    255,
    256,
    1 << 31,
    1 << 63,
    -(1 << 63),
    1 << 64,
    1 << 999,
    -(1 << 999),
    True,
    False,
    None,
    0.0,
    -0.0,
    1.5,
    1e308,
    5e-324,
    math.inf,
    -math.inf,
    1j,
    -2.5 + 0j,
    b"",
    b"\0",
    b"x" * 100_000,
    "",
    "a\0b",
    "日本語",
    "\U0001f600",
    "\udc80",
    "é" * 60_000,
    bytearray(b"ab" * 40_000),
]
CONTAINERS = [
    [],
    (),
    {},
    set(),
    frozenset(),
    [[]],
    ((),),
    {"k": {}},
    [1, [2, (3, {4: {5}})]],
    {1: "a", "b": 2, None: 3, (1, 2): 4},
    set(range(1000)),
    frozenset("abc"),
    list(range(100_000)),
    {i: str(i) for i in range(5000)},
    tuple(range(300)),
    nested(100),
    collections.OrderedDict([("b", 1), ("a", 2)]),
    collections.deque([1, 2, 3], maxlen=5),
    collections.Counter("hello"),
    range(5),
    slice(1, None, 2),
]
LIBRARY = [
    Point(1, [2]),
    Renamed("r"),
    Record("n", [1, 2]),
    Colour.RED,
    Colour.BLUE,
    int,
    float,
    str,
    type(None),
    Ellipsis,
    NotImplemented,
    len,
    math.sqrt,
    math,
    re.compile(r"a+b", re.I),
    datetime.datetime(2018, 4, 1, tzinfo=datetime.timezone.utc),
    datetime.timedelta(1),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    pathlib.PurePosixPath("/a/b"),
    uuid.UUID(int=5),
]


def ways(value):
    """The value after each way through the store: put, task result, argument and closure."""
    yield "put", ray.get(ray.put(value))
    yield "echo", ray.get(ray.remote(lambda x: x).remote(value))
    yield "closure", ray.get(ray.remote(lambda: value).remote())
    yield "in a list", ray.get(ray.put([value]))[0]
    yield "as a dict value", ray.get(ray.put({"k": (value,)}))["k"][0]


@pytest.mark.parametrize(
    "values", [PRIMITIVES, CONTAINERS, LIBRARY], ids=["primitives", "containers", "library"]
)
def test_round_trips(values):
    for value in values:
        for way, got in ways(value):
            assert got == value, way
            assert type(got) is type(value), f"{way}: {value!r}"
            if not isinstance(value, (set, frozenset)):  # whose order may differ between processes
                assert repr(got) == repr(value), way  # tells 0.0 from -0.0


def test_nan():
    for way, got in ways(math.nan):
        assert math.isnan(got), way


def test_hashable_values_as_keys():
    keys = [
        key for key in [*PRIMITIVES, Point(1, 2), frozenset([1]), (1, "a")] if not isinstance(key, bytearray)
    ]
    for key in keys:
        assert ray.get(ray.put({key: 1})) == {key: 1}


def test_cycles():
    values = [1]
    values.append(values)
    got = ray.get(ray.put(values))
    assert got[0] == 1 and got[1] is got
    mapping = {}
    mapping["me"] = [mapping]
    got = ray.get(ray.remote(lambda x: x).remote(mapping))
    assert got["me"][0] is got

    class Node:
        pass

    one, two = Node(), Node()
    one.other, two.other = two, one
    got = ray.get(ray.put(one))
    assert got.other.other is got and got.other is not got


def test_shared_parts_stay_shared():
    part = [1]
    got = ray.get(ray.put([part, part, {"k": part}]))
    assert got[0] is got[1] is got[2]["k"]


def test_lambdas_closures_and_local_functions():
    base = 10

    def outer(x):
        def inner(y):
            return base + x + y

        return inner

    assert ray.get(ray.put(lambda x: x + base))(1) == 11
    assert ray.get(ray.put(outer))(1)(2) == 13
    assert ray.get(ray.put(outer(1)))(2) == 13
    assert ray.get(ray.remote(lambda function: function(5)).remote(outer(1))) == 16
    assert ray.get(ray.remote(lambda: lambda x: x * 2).remote())(4) == 8


def test_generators_functions_with_state():
    def count(limit):
        yield from range(limit)

    def flagged():
        return flagged.attribute

    flagged.attribute = "kept"
    assert list(ray.get(ray.put(count))(3)) == [0, 1, 2]
    assert ray.get(ray.put(flagged))() == "kept"


def test_local_classes_and_their_instances():
    class Base:
        registry = {"a": 1}

        def __init__(self, x):
            self.x = x

        @property
        def double(self):
            return 2 * self.x

        @staticmethod
        def static():
            return "static"

        @classmethod
        def make(cls, x):
            return cls(x)

    class Derived(Base):
        __slots__ = ("y",)

        def __init__(self, x, y):
            super().__init__(x)
            self.y = y

    for way, got in ways(Derived(1, [2])):
        assert (got.x, got.y, got.double, got.static(), got.registry) == (1, [2], 2, "static", {"a": 1}), way
    cls = ray.get(ray.put(Derived))
    assert cls(3, 4).double == 6 and cls.__mro__[1].__name__ == "Base"
    made = ray.get(ray.remote(lambda: Base.make(8)).remote())
    assert made.double == 16


def test_pickle_protocol_of_a_class_is_used():
    class Careful:
        def __init__(self, x):
            self.x, self.handle = x, object()

        def __getstate__(self):
            return {"x": self.x}

        def __setstate__(self, state):
            self.x, self.handle = state["x"], "reopened"

    got = ray.get(ray.put(Careful(5)))
    assert (got.x, got.handle) == (5, "reopened")


def test_custom_equality_and_hash():
    class Key:
        def __init__(self, n):
            self.n = n

        def __eq__(self, other):
            return self.n == other.n

        def __hash__(self):
            return hash(self.n)

    got = ray.get(ray.remote(lambda x: x).remote({Key(1): "one"}))
    assert [(key.n, value) for key, value in got.items()] == [(1, "one")]


def test_exceptions_are_values_too():
    error = ValueError("a value, not a failure", 3)
    got = ray.get(ray.put(error))
    assert type(got) is ValueError and got.args == error.args
    assert ray.get(ray.remote(lambda: KeyError("returned")).remote()).args == ("returned",)


def test_several_classes_of_one_name():
    def make(n):
        class Same:
            value = n

        return Same()

    assert [x.value for x in ray.get([ray.put(make(n)) for n in range(10)])] == list(range(10))


def test_defaultdict_with_a_lambda():
    table = collections.defaultdict(lambda: 7, a=1)
    got = ray.get(ray.put(table))
    assert got["a"] == 1 and got["missing"] == 7


MAIN = """
import collections, dataclasses, enum
import ray_lite as ray

class Node:
    def __init__(self, children):
        self.children = children
    def depth(self):
        return 1 + max((child.depth() for child in self.children), default=0)

@dataclasses.dataclass(frozen=True)
class Row:
    a: int
    b: str = "b"

class Level(enum.IntEnum):
    LOW = 1

Pair = collections.namedtuple("Pair", "l r")
ray.init(num_cpus=2)

@ray.remote
def through(x):
    assert isinstance(x, (Node, Row, Level, Pair))
    return x

@ray.remote
def make(depth):
    return Node([make_plain(depth)])

def make_plain(depth):
    return Node([make_plain(depth - 1)] if depth else [])

print(ray.get(through.remote(Node([Node([]), Node([])]))).depth())
print(ray.get(make.remote(3)).depth())
for value in (Row(1), Level.LOW, Pair(1, 2)):
    got = ray.get(through.remote(value))
    print(got == value, type(got) is type(value))
print(isinstance(ray.get(ray.put(Node([]))), Node))
"""


def test_classes_of_main(output_of):
    assert output_of(MAIN).split() == "2 5 True True True True True True True".split()


def test_a_value_of_many_parts():
    value = [{"id": i, "tags": ("t", str(i)), "more": {"x": [i] * 3}} for i in range(20_000)]
    assert ray.get(ray.put(value)) == value
