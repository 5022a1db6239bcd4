"""How a machine of random rules is run: CI takes examples from a fixed seed, RAY_LITE_MACHINE_EXAMPLES=n draws n new ones."""

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

EXAMPLES = int(os.environ.get("RAY_LITE_MACHINE_EXAMPLES", 0))
EXAMPLES_OF_CI = 60


def run(machine, steps):
    """Runs the rules of a machine, so many in each example; prints what the examples had in them."""
    machine.counts.clear()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or EXAMPLES_OF_CI,
            stateful_step_count=steps,
            derandomize=not EXAMPLES,
            database=None,
            print_blob=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(machine.counts))
