"""The trace of a run: all messages, events, requests and lines of output, in a file.

`docs/trace.md` has the format.

    sink        bytes to a file; survives a full disk
    recorder    the records of a run in progress
    outline     the first line, and the last one with the result
    reader      a file -> its records, up to the first damage
    evidence    records -> the requests, events and counts of the run
    told        the last line -> the figures of the run
    replay      the evidence -> a result like that of the run
    explored    the trace of the explorer -> its verdict, and one on its history
    cli         `run.py replay`
"""
