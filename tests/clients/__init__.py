"""Real Redis client libraries against real replicas: `tests/clients/run.py`.

    run            the command line: servers, scripts, kills; one line per check
    libraries      the pinned libraries: installed once, then found under target/
    servers        three replicas of `kvstore dev`, or one redis-server beside them
    wire           questions of the suite itself to a server
    proxy          swallows the answer of INCR and closes the connection
    script         one script of one library: its lines, its input, its exit
    report         how a script in Python reports its checks; checks.mjs is the same in JavaScript

The scripts have one file per library: `redis_py`, `django_cache`, `ioredis.mjs`, `node_redis.mjs`,
`connect_redis.mjs`. Each takes a phase and addresses, and writes one line per check.

    commands   what the library does with any server
    cluster    what only replicas have: SENTINEL, KV.*, reads at followers
    failover   writes while the suite kills the leader, then reads of all that was acknowledged
    repeat-*   one INCR through the proxy; the suite counts how often it was sent
"""
