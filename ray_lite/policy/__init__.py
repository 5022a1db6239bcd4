"""Decisions as pure logic: events in, instructions out.  What a death means, how many workers there are, what a call demands.

Must not do I/O, look at a clock, or import the core: whoever calls says what time it is and what is so.
"""
