"""The failure of a soak, and the words of errors that say nothing more.  Neighbours: model.py and actor_model.py judge."""

BARE = "the object store was full when the task ended"  # then the error has its class, and no facts


class Failed(AssertionError):
    """Something is not as it must be."""
