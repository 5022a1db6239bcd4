"""The node process: one single-threaded supervisor a session, which forks workers, watches for deaths and repairs after them.

It is never on the path of a task.  Must not import numpy, psutil or user code, nor block on a socket.
"""
