"""The machine and its processes: what it gives (CPUs, memory, GPUs), who is alive, descriptors to wait for, directories.

Reads /proc, /sys and the environment.  Must not know sessions, objects or tasks, nor import the core.
"""
