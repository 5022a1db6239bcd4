"""Resources: what a session has (CPUs, GPUs with their ids, custom resources) and what a call demands of them.

Neighbours: driver/plan.py says what there is, options.py what a call wants; the core counts.  Must not look at the machine.
"""

from __future__ import annotations

from typing import NamedTuple

from ray_lite.config import CPU_UNIT
from ray_lite.options import Options


class Demand(NamedTuple):
    """Resources that each task of a shape takes, in ten-thousandths; custom ones as (number, amount)."""

    cpus: int
    gpus: int
    custom: tuple[tuple[int, int], ...]


class Resources(NamedTuple):
    """Resources of a session.

    Args:
        cpus: number of CPUs; fractions allowed.
        gpu_ids: ids of the GPUs, as the variable names them.
        gpu_variable: the environment variable that shows GPUs to a program.
        custom: amounts of custom resources by name; the order gives each its number.
    """

    cpus: float = 0
    gpu_ids: tuple[str, ...] = ()
    gpu_variable: str = "CUDA_VISIBLE_DEVICES"
    custom: dict[str, float] = {}

    @property
    def units(self) -> list[int]:
        """Amounts of the custom resources, in ten-thousandths."""
        return [_units(amount) for amount in self.custom.values()]

    def demand(self, name: str, options: Options) -> Demand:
        """The demand of a call with these options.

        Args:
            name: name of the function, for the error.

        Raises:
            ValueError: the session can never meet the demand; the message says what the session has.
        """
        wanted = {"num_cpus": (options.num_cpus, self.cpus), "num_gpus": (options.num_gpus, len(self.gpu_ids))}
        for what, (amount, there) in wanted.items():
            if _units(amount) > _units(there):
                raise ValueError(f"{name} needs {what}={amount:g}, but this session has {there:g} in all; "
                                 f"give init() a larger {what}")
        for resource, amount in options.resources:
            if _units(amount) > _units(self.custom.get(resource, 0)):
                raise ValueError(f"{name} needs {amount:g} of resource {resource!r}, but this session has "
                                 f"{self._there(resource)}; give it to init() in resources=")
        numbers = self.numbered()
        custom = sorted((numbers[resource], _units(amount)) for resource, amount in options.resources if amount)
        return Demand(_units(options.num_cpus), _units(options.num_gpus), tuple(custom))

    def _there(self, resource: str) -> str:
        if resource in self.custom:
            return f"{self.custom[resource]:g} in all"
        few = ", ".join(map(repr, list(self.custom)[:8])) + (", ..." if len(self.custom) > 8 else "")
        return f"only {few}" if self.custom else "no custom resources"

    def named(self, amounts: list[tuple[int, int]]) -> dict[str, tuple[float, float]]:
        """(all, free) by name, from the core's counts in ten-thousandths, CPU and GPU first; whole numbers as ints."""
        names = ["CPU", "GPU", *self.custom]
        plain = [tuple(_plain(one) for one in pair) for pair in amounts]
        return {name: (pair[0], pair[1]) for name, pair in zip(names, plain, strict=True) if name != "GPU" or pair[0]}

    def name_of(self, resource: int) -> str:
        """The name of a resource by the core's number: 1 is CPU."""
        return ("", "CPU", "GPU", *self.custom)[resource]

    def numbered(self) -> dict[str, int]:
        """Numbers of the custom resources by name."""
        return {name: number for number, name in enumerate(self.custom)}


def _units(amount: float) -> int:
    """An amount in ten-thousandths, as the core counts it, so that 0.1 + 0.2 is 0.3."""
    return round(amount * CPU_UNIT)


def _plain(units: int) -> float:
    return units // CPU_UNIT if units % CPU_UNIT == 0 else units / CPU_UNIT


def gpu_numbers(ids: list[str]) -> list[int | str]:
    """GPU ids as `get_gpu_ids` returns them: whole numbers as ints, UUIDs and MIG names as text."""
    return [int(name) if name.isdecimal() else name for name in ids]
