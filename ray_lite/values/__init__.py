"""Values and failures as bytes: pickling, unpickling, and exceptions on their way from a task to `get`.

Must not store anything, nor know a session: store/ does.
"""
