"""The fresh process that yields one set of values: python measure.py MODULE FUNCTION full|quick.

It imports next to nothing itself, so that start and import times measured in it are those of a small script.
"""

import sys
from importlib import import_module

if __name__ == "__main__":
    module, function, size = sys.argv[1:]
    values = getattr(import_module(module), function)(quick=size == "quick")
    print(*(f"{figure}={value!r}" for figure, value in values.items()))
