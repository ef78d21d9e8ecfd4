"""The results of a campaign as one HTML page that needs no other file.

    page      fills the template with the tables, the failures and the distributions
    tables    pass rates by scenario, and distributions of metrics
    failures  each run that did not pass, with its text and the command that repeats it
    charts    small drawings: an interval, a histogram

`page.html` and `page.css` are the template and the style.
"""
