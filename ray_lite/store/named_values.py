"""Values that the session keeps, with a name that can be read without loading the value, which may need the user's code.

Neighbour: object_store.py keeps them.
"""

from __future__ import annotations

import pickle
from typing import Any

from ray_lite import _core
from ray_lite.store.object_store import Store
from ray_lite.values.serialization import Pickled, dumps, loads


def keep_named(store: Store, value: Any, name: str, *further: Any) -> int:
    """As `Store.keep`, with a name and further plain facts that can be read like it; the index of the object."""
    body = dumps(value)
    buffers, lengths = [body.stream, *body.buffers], [len(body.stream), *body.lengths]
    return store.keep_pickled(Pickled(pickle.dumps((name, *further)), buffers, lengths, body.contained))


def load_named(store: Store, index: int) -> Any:
    """The value in an object."""
    _, _, views = _core.payload(store.region, _core.function_handle(store.region, index))
    return loads(views[0], views[1:])
