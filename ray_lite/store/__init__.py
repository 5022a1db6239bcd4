"""The object store as one process uses it: storing and loading values, room in a full store, spilling, the region's files.

Must not know tasks, nor wait for objects.
"""
