"""Tests of the simulator: `python3 -m unittest discover -s simulator/tests -t .`"""
