"""Tracing: what the processes of a session have done, and when.

The core writes records into a ring of each process (_core.src/region/traces.h); here they are collected, taken apart, and
turned into tables and files.  Must not touch how a task is scheduled or run.
"""
