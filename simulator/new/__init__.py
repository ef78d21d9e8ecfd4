"""`run.py new`: writes a replica to begin with, or that of a step of docs/tour.md.

    cli        the command line
    steps      the tour -> the program after each of its steps
    python     the replica and the page that are copied
"""
