"""Implementations of abc.Backend: a session on this machine (local.py), and calls run at once in the driver (serial.py).

Must not start or end processes: driver/ and node/ do.
"""
