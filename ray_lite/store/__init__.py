"""The object store as one process uses it: values in and out of the region, room in a full store, spilling, the region's files.

Must not know tasks, nor wait for objects.
"""
