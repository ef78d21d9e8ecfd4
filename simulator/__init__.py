"""The network simulator: runs replicas, carries and spoils their messages, plays the clients.

A run, in the order in which its files matter:

    cli            the command line; exit codes; one run, or all scenarios
    options        the arguments of a run, declared and checked before it starts
    setup          the programs of a run, found or built
    runner         one run of a scenario: its places, its trace, its files
    repeat         one scenario with seed after seed
    kept           the directory of a run that is kept, and the place of failed ones
    logs           a trace -> the output of each replica in a file
    commands       the commands beside a run: a name -> its module
    arguments      those that several commands share; refuses files that cannot be written
    schedule       the types of events and conditions; refuses events that contradict each other
    delays         the delay of a message: its distribution, and that of each link
    config         the scenario file -> Scenario, or a refusal; has a map of its own
    workload       Scenario + seed -> the time and the random choices of each request
    operations     the requests beside get and put: their choice, their answers
    loop           the event loop; lets time pass for one cluster, or for two side by side
    simulation     one cluster and its clients
    lives          the lives of the replicas; owns the processes
    replica        one process: start, output, end
    lines          the output of a process: bytes -> lines, of which a flood is only counted
    transport      the three dialects: bytes to and from a replica
    outbox         the bytes that wait for a slow reader
    messages       bytes -> a message with its common fields checked
    network        counts, drops, cuts, changed bytes; follows the leader
    way            messages on their way, if the network delays, doubles or damages them
    timers         acts whose time becomes known during the run
    clients        requests, answers, retries; judges every answer
    call           the operation, key and arguments of a request
    client         one client's record of its own keys
    causes         the kinds of messages in a packet storm, and the answers behind a circle
    chronicle      the events of the cluster, with their times
    events         kills, restarts, pauses, partitions, flaps and slow replicas
    conditions     the events that wait for an occurrence in the run
    agenda         begins all events in their time, and ends them
    figures        all counts of a run in one record
    checks         figures and the verdict on the history -> correct or not
    tiers          figures -> performance tiers
    result         all of these together, also as JSON
    report         a result -> the blocks of text
    history        the requests -> one JSON line each
    judge          the history -> linearizable or not, as our checker says
    contradiction  an answer that cannot be right -> the attempts and events around it
    diagnosis      the dialect of a replica that did not join
    suite          `all`
    lint           `run.py lint`: the manners of a replica; has a map of its own
    advice         the trace of a run -> advice about typical mistakes; has a map of its own
    trace          the trace of a run and `run.py replay`, with a map of their own
    maelstrom      `run.py maelstrom`: a runner of its own, with a map of its own
    picture        a trace -> the page of a run; has a map of its own
    campaign       many runs as jobs of several processes; has a map of its own
    compare        `run.py compare`: two programs in turns; has a map of its own
    live           the table of the replicas on the terminal; has a map of its own
    new            `run.py new`: a replica to begin with; has a map of its own
    examples       the reference replica: Raft in one file, to be read

`network`, `clients`, `workload`, `checks` and `tiers` do no input or output: a test needs no
process to reach every rule of the protocol there. Beside them stand `console`, `output`, `signals`,
`workspace`, `guard`, `build`, `environment` and `punctual`. Each of these deals with one part of
the operating system.
"""
