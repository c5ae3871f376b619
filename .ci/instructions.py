"""Fails where a hot path takes more than 10 % more instructions than benches/instructions.json says, or where a path is
in one of the two alone.

    python3 .ci/instructions.py             compares
    python3 .ci/instructions.py --accept    makes what it counts the new baseline, to be committed with its reason

Needs Valgrind, which it gets by apt-get where it is missing; gungraun's runner goes into .tools/gungraun.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches" / "instructions.json"
RUNNER = ROOT / ".tools" / "gungraun"
ACCEPT = "python3 .ci/instructions.py --accept"

# In per cent. Less than a change that a caller could notice, more than what another compiler's patch release does.
TOLERANCE = 10

Counts = dict[str, int]


def compare(baseline: Counts, now: Counts) -> tuple[str, list[str], list[str]]:
    """A table of all paths, what fails, and what is worth knowing."""
    faults, notes = [], []
    width = max(map(len, [*baseline, *now, "path"]))
    rows = [f"{'path':<{width}} {'baseline':>12} {'now':>12} {'change':>9}"]
    for path in [*baseline, *(path for path in now if path not in baseline)]:
        before, after = baseline.get(path), now.get(path)
        change = ""
        if before is None:
            faults.append(f"{path} is not in the baseline")
        elif after is None:
            faults.append(f"{path} is in the baseline and was not counted")
        else:
            percent = 100 * (after - before) / before
            change = f"{percent:+.1f} %"
            if percent > TOLERANCE:
                faults.append(f"{path} takes {change} instructions, and {TOLERANCE} % is the most")
            elif percent < -TOLERANCE:
                notes.append(f"{path} takes {change} instructions: renew the baseline, so that the gain is kept")
        figures = [f"{count:,}" if count is not None else "-" for count in (before, after)]
        rows.append(f"{path:<{width}} {figures[0]:>12} {figures[1]:>12} {change:>9}")
    return "\n".join(rows), faults, notes


def rounded(count: int) -> int:
    """Three digits: what the clock and the network make of a count in one run is not worth a change of the baseline."""
    return int(float(f"{count:.3g}"))


def hot_paths(summaries: str) -> Counts:
    """The counts in gungraun's summaries, one in JSON per line."""
    counts = {}
    for summary in map(json.loads, summaries.splitlines()):
        [profile] = summary["profiles"]
        counts[f"{summary['function_name']}::{summary['id']}"] = profile["data"]["total"]["metrics"]["Ir"]["values"]["new"]
    return counts


def process(lines: str) -> Counts:
    """The counts that benches/process.rs prints, a path and its count per line."""
    return {path: int(count) for path, count in map(str.split, lines.splitlines())}


def bench(name: str, *arguments: str) -> str:
    command = ["cargo", "bench", "--locked", "--package", "benchmarks", "--bench", name, "--", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def install_tools() -> None:
    if not shutil.which("valgrind"):
        subprocess.run(["apt-get", "update"], check=True)
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "valgrind"], check=True)
    locked = re.search(r'^name = "gungraun-runner"\nversion = "(.+)"', (ROOT / "Cargo.lock").read_text(), re.MULTILINE)
    runner = RUNNER / "bin" / "gungraun-runner"
    installed = runner.exists() and subprocess.run([runner, "--version"], capture_output=True, text=True).stdout
    if installed != f"gungraun-runner {locked[1]}\n":
        install = ["cargo", "install", "--locked", "--quiet", "--root", RUNNER, "--version", f"={locked[1]}"]
        subprocess.run([*install, "gungraun-runner"], check=True)
    os.environ["PATH"] = f"{runner.parent}:{os.environ['PATH']}"


def counted_with() -> str:
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout
    return f"rustc {compiler.split()[1]} for {platform.machine()}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--accept", action="store_true", help="make what is counted the new baseline")
    accept = arguments.parse_args().accept
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    here = counted_with()
    if not accept and baseline["counted_with"].split()[-1] != here.split()[-1]:
        print(f"skipped: the baseline was counted with {baseline['counted_with']}, and this is {here}")
        return 0

    install_tools()
    now = hot_paths(bench("instructions", "--output-format=json")) | process(bench("process"))
    if accept and not now:
        sys.exit("nothing was counted")
    if accept:
        renewed = {"counted_with": here, "instructions": {path: rounded(count) for path, count in now.items()}}
        BASELINE.write_text(json.dumps(renewed, indent=2) + "\n", encoding="utf-8")
        print(f"{BASELINE.relative_to(ROOT)} has the counts of {len(now)} paths")
        return 0
    table, faults, notes = compare(baseline["instructions"], now)
    print(table)
    for note in notes:
        print(f"cheaper: {note} ({ACCEPT})")
    for fault in faults:
        print(f"FAILED: {fault}")
    if faults:
        print(f"The baseline was counted with {baseline['counted_with']}, this with {here}.")
        print(f"Where that is what was meant, renew {BASELINE.relative_to(ROOT)} and say why: {ACCEPT}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
