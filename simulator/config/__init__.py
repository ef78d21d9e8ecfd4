"""A scenario: the configuration file, read and checked before anything starts.

    section     one JSON object of the file; refuses a key, a value or an unknown name
    dialects    the defaults of each year
    limits      the limits of the checks, and the benchmarks
    delays      the delays in the file
    events      the events in the file
    scenario    all keys -> Scenario
    file        a path, or the content of a file -> Scenario, and back
"""

from simulator.config.dialects import FIRST_YEAR, OURS, Defaults, defaults_of
from simulator.config.file import as_file, load, of_content
from simulator.config.limits import METRICS, Tests
from simulator.config.scenario import MOST_SECONDS, OPERATIONS, Scenario
from simulator.config.section import ConfigError

__all__ = [
    "FIRST_YEAR", "METRICS", "MOST_SECONDS", "OPERATIONS", "OURS", "ConfigError", "Defaults",
    "Scenario", "Tests", "as_file", "defaults_of", "load", "of_content",
]
