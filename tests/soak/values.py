"""Values that are known by a few words: (kind, size, salt) tells every byte, so a value can be checked wherever it turns up.

The sizes lie in each of the store's classes: inside the object's entry, in slabs, in runs of pages, and large.  From a page on,
each takes as many bytes in the store as whole pages in the file of spilled objects, so that it costs the same wherever it is.
Neighbours: tasks (deeds.py) and drivers (driver.py) make and digest values, the model (model.py) knows what the digest must be.
Workers import this file: numpy only where an array is made.
"""

import random
import zlib

STRIDE = 9_973  # bytes between two that are written: some pages of an array are, some are not
BLOCK = 65_543  # bytes until a content repeats: prime to all page and cell sizes, so a shifted byte shows
ARRAYS = ("array", "strided")
RECIPES = (
    ("bytes", 0), ("bytes", 12), ("bytes", 33), ("bytes", 45), ("bytes", 150), ("text", 700), ("bytes", 4000), ("tree", 9000),
    ("text", 32_700), ("bytes", 33_500), ("tree", 70_000), ("array", 24_000), ("array", 120_000), ("strided", 90_000),
    ("bytes", 400_000), ("array", 3_000_000), ("strided", 1_500_000),
)
HUGE = (("array", 24_000_000), ("bytes", 12_000_000))
DROPLETS = tuple(recipe for recipe in RECIPES if recipe[1] < 5000)
LARGE = (("array", 120_000), ("bytes", 400_000), ("array", 1_100_000), ("strided", 700_000))  # of what is spilled
BOXES = (("bytes", 1100), ("text", 2200), ("bytes", 7500))  # of what stands beside ids: far from the edge of a size class


def mix(*facts):
    """A salt of some facts; the same in every process."""
    return zlib.crc32(repr(facts).encode())


def content(size, salt):
    """So many bytes that nobody else has."""
    block = random.Random(salt).randbytes(min(size, BLOCK))
    return block if size <= BLOCK else (block * (size // BLOCK + 1))[:size]


def build(kind, size, salt):
    """The value."""
    data = content(size, salt)
    if kind == "bytes":
        return data
    if kind == "text":
        return data[: size // 2].hex()
    if kind == "tree":
        third = size // 3
        return {"parts": [data[:third], data[third : 2 * third]], "rest": (data[2 * third :], None, 1.5)}
    import numpy

    array = numpy.frombuffer(data, "u1")
    return array.copy() if kind == "array" else numpy.repeat(array, 2)[::2]


def scribble(array, salt):
    """Writes to an array, here and there."""
    import numpy

    written = array[::STRIDE]
    written[:] = numpy.frombuffer(content(len(written), salt), "u1")


def digest(value, read=None):
    """What two equal values have in common, down to the last byte and the type.

    Args:
        read: gives the value of an ObjectID that is met.
    """
    if isinstance(value, bytes):
        return zlib.crc32(value, 1)
    if isinstance(value, str):
        return zlib.crc32(value.encode(), 2)
    if isinstance(value, dict):
        return mix(3, [(key, digest(item, read)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return mix(type(value).__name__, [digest(item, read) for item in value])
    if type(value).__name__ == "ndarray":
        assert value.dtype == "u1" and value.ndim == 1
        return zlib.crc32(value.tobytes() if value.strides != (1,) else value, 5)
    if type(value).__name__ == "ObjectID":
        return digest(read(value), read)
    return mix(6, value)
