"""The driver's side of a session: from `init`'s arguments to running processes, and back to nothing at the end.

Must not run tasks, nor decide anything after the start: the node does.
"""
