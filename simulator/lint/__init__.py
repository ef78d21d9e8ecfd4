"""`run.py lint`: whether a replica keeps the manners of the protocol, in less than ten seconds.

`docs/advice.md` lists the manners.

    finding    what was seen of one manner
    limits     how long it waits for what
    script     generators that wait for conditions, several at a time
    cluster    three processes and the network between them
    requests   a client that follows redirects
    talk       the first script: joining, electing, answering, idling, nonsense
    ends       the second script, with a cluster of its own: SIGTERM, failover, the end of a socket
    cli        the command line; exit codes
"""
