"""Campaigns: many scenarios and seeds, run by several processes, resumed, spread and merged.

In the order in which a run passes through them:

    sweep       `run.py sweep`: the command line
    numbers     seeds and shards, as the command line has them
    plan        the jobs in their order; the file that says which campaign it is
    session     one start of a campaign: reads what is done, runs what is left, writes the results
    pool        several workers; the job of one that dies goes to another one
    worker      a process that runs one job after the other
    cluster     the workers of a scheduler of dask, in place of a pool
    job         one run as a process of its own -> one record
    process     a child process with bounded output and a limit of time
    reading     the results of `run.py` and of the explorer -> the fields of the record
    store       the records on the disk, one line each
    progress    how far a campaign is, and when it may end
    merge       `run.py merge`: the records of several directories as one
    tally       all records -> the counts and metrics of each scenario
    statistics  the interval around a pass rate; quantiles
    junit       the results for graders and CI systems
    summary     the results as a page; has a map of its own
"""
