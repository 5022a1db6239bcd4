"""Implementations of abc.Backend: a session on this machine (local.py), and everything inline for debugging (serial.py).

Must not start or end processes: driver/ and node/ do.
"""
