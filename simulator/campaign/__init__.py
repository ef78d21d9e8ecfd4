"""Campaigns: many scenarios and seeds, run by several processes, resumed, spread and merged.

In the order in which a run passes through them:

    job       one run as a process of its own -> one record
    process   a child process with bounded output and a limit of time
    reading   the results of `run.py` and of the explorer -> the fields of the record
"""
