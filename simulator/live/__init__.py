"""The live view: a table of the replicas below the output of a run, on a terminal.

A picture of the table takes milliseconds, in which no message would pass. So a process of its own
draws it, and the run only hands over its counters, five times per second. That process owns the
terminal meanwhile, and puts it in order at its end, also if the run was killed.

    wanted     whether there is a view: the terminal, the option, the library
    snapshot   one cluster -> its counters at a moment
    console    the console of a run with a view
    link       the pipe to the process that draws; never waits for a picture
    screen     that process
    rows       two snapshots -> the cells of the table, with rates
    view       the cells -> a table of the library `rich`
"""
