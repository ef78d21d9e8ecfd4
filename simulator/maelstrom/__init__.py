"""A small Maelstrom: runs any program that speaks its protocol, and judges the workload lin-kv.

    cli        the command line of `./run.py maelstrom`; exit codes
    settings   the parameters of a run
    loop       starts the nodes, then lets time pass: messages, cuts, operations, time-outs
    node       one process: lines on its stdin, stdout and stderr
    message    a line -> a checked message, or the rule that it breaks
    network    messages on their way: delays, cuts, counts
    cuts       who cannot hear whom, in each of Maelstrom's ways
    workload   the random choices: keys, values, kinds of operations
    clients    operations and answers; what an error code says of an operation
    history    operations -> one JSON line each, for the checker
    report     counts and verdict -> text and JSON

`network`, `cuts`, `workload` and `clients` do no input or output, and take the time as an argument.
"""
