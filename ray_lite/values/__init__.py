"""Values and failures as bytes: pickling and unpickling, and exceptions that travel from a task to `get`.

Must not store anything, nor know a session: that is store/.
"""
