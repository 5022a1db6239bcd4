"""The machine and its processes: CPUs, memory and GPUs, namespaces, waiting for descriptors, session directories.

Reads /proc, /sys and the environment.  Must not know objects or tasks, nor import the core.
"""
