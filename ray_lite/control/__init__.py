"""The control process: the node's one restartable child, which shows what workers write and failures that nobody fetches.

Nothing that a task needs may depend on it: it can be killed at any time.
"""
