"""What run.sh prints. Arguments: where the probes are, and how many processes to run for each case."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import probe as probes  # noqa: E402  (it lies in the folder above)

GOAL = 20  # times faster than etcd's raft, at window 64 and 16 B


def main():
    build, processes = sys.argv[1], int(sys.argv[2])
    engines = [("raft.hpp", os.path.join(build, "bench", "commit_probe"), 100_000, ["--no-floor"]),
               ("etcd", os.path.join(build, "etcd_probe"), 20_000, []),
               ("libraft", os.path.join(build, "libraft_probe"), 20_000, [])]
    cases = [(window, payload, mode) for window, mode in ((1, "span"), (64, "span"), (64, "single"))
             for payload in (16, 1024)]
    commands = [[path, "--window", str(w), "--payload", str(p), "--mode", m, "--entries", str(n), "--runs", "3", *more]
                for w, p, m in cases for _, path, n, more in engines]
    results = iter(probes.interleaved(commands, processes))
    print(f"ns an entry, best and median of {processes} processes; messages an entry;")
    print("ratio: theirs / ours, of the medians")
    print(f"{'':34}" + "".join(f"{name:>24}" for name, *_ in engines) + f"{'etcd / ours':>14}{'libraft / ours':>16}")
    for window, payload, mode in cases:
        values = [next(results) for _ in engines]
        medians = [probes.median(v, "ns_entry_median") for v in values]
        cells = "".join(f"{probes.best(v, 'ns_entry'):8.0f}{m:8.0f}{probes.median(v, 'msgs_entry'):8.3f}"
                        for v, m in zip(values, medians))
        ratio = medians[1] / medians[0]
        goal = ""
        if (window, payload, mode) == (64, 16, "span"):
            goal = f"  goal {GOAL}: " + ("met" if ratio >= GOAL else "MISSED")
        print(f"{f'window {window}, {payload} B, {mode}':34}{cells}{ratio:14.1f}{medians[2] / medians[0]:16.1f}{goal}")


if __name__ == "__main__":
    main()
