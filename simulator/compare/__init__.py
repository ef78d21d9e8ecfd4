"""`run.py compare`: runs two programs in turns, and compares their figures.

    cli        the command line
    sides      the two programs or sets of options
    turns      scenarios x seeds -> pairs of runs in the order ABBA
    series     carries the pairs out; tells the progress
    runs       one pair as jobs of a campaign, one after the other
    beside     one pair as two clusters in the same run
    estimate   how long the rest takes
    metrics    the figures of a run that are compared
    interval   Student's interval of a mean; how many pairs a claim needs
    findings   the pairs -> per metric a difference, noise, or too few pairs
    table      the findings -> text with a small chart
    page       the findings -> one HTML page
"""
