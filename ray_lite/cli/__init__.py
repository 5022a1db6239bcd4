"""The command line: `ray-lite X`, which is `python -m ray_lite X`, starts, stops and shows sessions, and the machine.

It must not map the memory of a running session: one that runs for hours is not disturbed by a look.
"""
