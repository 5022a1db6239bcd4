"""What travels with a call: the function, its arguments, where the call was made, and where it runs (sys.path, directory).

Each file has both halves: what the caller packs, and what the worker unpacks.  Must not submit or run a task.
"""
