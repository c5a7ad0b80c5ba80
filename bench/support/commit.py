"""What commit.sh prints. Arguments: the probe, and how many processes to run for each case."""

import os
import re
import subprocess
import sys

import probe as probes

ENTRIES = 100_000

# name, window, payload, mode, goal as a multiple of the floor (None: no goal), further arguments
CASES = [
    ("16 B, window 1", 1, 16, "span", 18.0, []),
    ("16 B, window 64, span", 64, 16, "span", 4.0, []),
    ("16 B, window 1024, span", 1024, 16, "span", 4.0, []),
    ("16 B, window 64, single", 64, 16, "single", 8.0, []),
    ("1 KiB, window 1", 1, 1024, "span", None, []),
    ("1 KiB, window 64, span", 64, 1024, "span", 2.3, []),
    ("16 B, window 1, commit at once", 1, 16, "span", None, ["--commit-at-once"]),
    ("16 B, window 64, commit at once", 64, 16, "span", None, ["--commit-at-once"]),
    ("16 B, window 64, head checksums", 64, 16, "span", None, ["--checksums", "header"]),
    ("1 KiB, window 64, head checksums", 64, 1024, "span", None, ["--checksums", "header"]),
]

# name, window, payload, mode, goal in instructions an entry
COUNTED = [
    ("16 B, window 1", 1, 16, "span", None),
    ("16 B, window 64, span", 64, 16, "span", 250),
    ("16 B, window 64, single", 64, 16, "single", None),
    ("1 KiB, window 64, span", 64, 1024, "span", None),
]

# A copy by `rep movsb` counts once for every byte, so memcpy is told not to use it.
TUNABLES = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=100000000"}


def command(probe, window, payload, mode, entries, more):
    return [probe, "--window", str(window), "--payload", str(payload), "--mode", mode, "--entries", str(entries), *more]


def instructions(probe, window, payload, mode):
    """Instructions an entry: the difference of two runs that both begin in the steady state."""

    def counted(entries):
        asked = command(probe, window, payload, mode, entries, ["--runs", "1", "--no-floor"])
        out = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *asked],
            check=True, capture_output=True, text=True, env={**os.environ, **TUNABLES})
        return int(re.search(r"Collected : (\d+)", out.stderr).group(1))

    step = 64 * 320
    return (counted(2 * step) - counted(step)) / step


def verdict(value, goal):
    if goal is None:
        return ""
    return f"goal {goal:g}: " + ("met" if value <= goal else "MISSED")


def main():
    probe, processes = sys.argv[1], int(sys.argv[2])
    results = probes.interleaved([command(probe, w, p, m, ENTRIES, more) for _, w, p, m, _, more in CASES], processes)
    print(f"3 nodes; best and median of {processes} processes, interleaved; x = multiples of the floor of the same run")
    print(f"{'':34}{'ns/entry':>16}{'floor ns':>16}{'x':>16}{'msgs':>8}")
    for (name, _, _, _, goal, _), values in zip(CASES, results):
        ns, floor, x = ([probes.best(values, field), probes.median(values, field)]
                        for field in ("ns_entry", "floor_ns", "x_floor"))
        print(f"{name:34}{ns[0]:8.1f}{ns[1]:8.1f}{floor[0]:8.1f}{floor[1]:8.1f}{x[0]:8.2f}{x[1]:8.2f}"
              f"{probes.median(values, 'msgs_entry'):8.3f}  {verdict(x[1], goal)}")
    print("\nheap allocations an entry, the most of any process, for node 1, 2, 3 (snapshots included)")
    for (name, *_), values in zip(CASES, results):
        most = [max(v[f"allocs_node{k}"] for v in values) for k in (1, 2, 3)]
        print(f"{name:34}" + "".join(f"{a:8.3f}" for a in most))
    print("\ninstructions an entry, all nodes and the harness")
    for name, window, payload, mode, goal in COUNTED:
        count = instructions(probe, window, payload, mode)
        print(f"{name:34}{count:8.0f}  {verdict(count, goal)}")


if __name__ == "__main__":
    main()
