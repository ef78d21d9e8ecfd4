"""The network simulator: runs replica processes, carries and spoils their messages, plays the clients.

A run, in the order in which its files matter:

    cli          what was asked for; exit codes
    config       the scenario file -> Scenario, or a refusal
    workload     Scenario + seed -> what each request will want, and when
    loop         the event loop; lets time pass for one cluster, or for two side by side
    simulation   one cluster and its clients; owns the processes
    replica      one process: start, output, end
    transport    the three dialects: bytes to and from a replica
    messages     bytes -> a message with its common fields checked
    network      counts, drops, partitions; follows the leader
    clients      requests, answers, retries; judges every answer
    client       what one client knows of its own keys
    causes       which messages of whom a packet storm or a circle is made of
    chronicle    what happened to the cluster, and when
    events       kills and partitions
    figures      all counts of a run in one record
    checks       figures and the verdict on the history -> correct or not
    tiers        figures -> performance tiers
    result       all of these together, also as JSON
    report       a result -> the blocks of text
    history      the requests -> one JSON line each
    judge        the history -> linearizable or not, as our checker says
    contradiction  what surrounded answers that cannot be right
    diagnosis    which dialect a replica speaks that did not join
    suite        `all`

`network`, `clients`, `workload`, `checks` and `tiers` do no input or output: every rule of the protocol
can be tested there without a process. Beside them stand `console`, `output`, `signals`, `workspace`, `guard`,
`build` and `environment`, which each keep one trouble of the outside world in one place.
"""
