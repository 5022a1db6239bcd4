"""The command line: `ray-lite X`, which is `python -m ray_lite X`, asks running sessions and shows their answers.

It must not map a session's memory, nor start anything: a session that runs for hours is not disturbed by a look.
"""
