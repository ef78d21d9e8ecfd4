"""Replicas to read and to learn from; docs/tour.md leads to them.

    replica        a complete replica of the store: Raft in one file
"""
