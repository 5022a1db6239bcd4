"""Decisions as pure logic: what a worker's death means, how many workers there are, what a call demands.

Must not do I/O, read a clock, or import the core: the caller passes the time and the facts.
"""
