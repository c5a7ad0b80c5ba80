"""Runs the probes of bench/ and reads what they print: one line of name=value."""

import statistics
import subprocess


def run(command):
    """The values that a probe prints, by name."""
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {name: float(value) for name, value in (word.split("=") for word in line)}


def interleaved(commands, processes):
    """Runs each command so many times, each in a process of its own, taking turns: a list of values for each."""
    results = [[] for _ in commands]
    for _ in range(processes):
        for command, values in zip(commands, results):
            values.append(run(command))
    return results


def best(values, name):
    return min(v[name] for v in values)


def median(values, name):
    return statistics.median(v[name] for v in values)
