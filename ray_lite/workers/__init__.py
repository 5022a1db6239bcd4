"""A worker process: its loop, running a task, running tasks inline while it waits, cancellation, and isolation of tasks.

Must not decide retries after deaths, nor how many workers there are: the node and policy/ do.
"""
