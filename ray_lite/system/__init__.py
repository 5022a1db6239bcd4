"""The machine and its processes: CPUs, memory and GPUs, live processes, waiting for descriptors, session directories.

Reads /proc, /sys and the environment.  Must not know objects or tasks, nor import the core.
"""
