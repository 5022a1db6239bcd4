"""The control process: the node's restartable child, which shows workers' output and failures that no `get` raises.

It can be killed at any time, so it must not hold anything that a task needs.
"""
