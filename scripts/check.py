#!/usr/bin/env python3
"""Run every check that CI runs, one named and timed step after the other, and sum up at the end.

A failing step does not stop the others, except where they could not mean anything. Standard library only.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
XTASK = str(TARGET / "debug" / "xtask")


class Skip(Exception):
    """A step that cannot run on this machine, and why."""


class Checks:
    """The steps, in the order of their cost; each returns when it passed and raises when it did not."""

    def __init__(self, nextest_arguments):
        self.nextest_arguments = nextest_arguments
        self.environment = {**os.environ, "SQLX_OFFLINE": "true"}
        self.environment.setdefault("CARGO_TERM_COLOR", "auto" if sys.stdout.isatty() else "never")
        self.tools = {}

    def run(self, *command):
        subprocess.run(command, check=True, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL)

    def tool(self, name):
        """The path of a checker that `fetch` brought."""
        if name not in self.tools:
            raise Skip(f"there is no {name} for this kind of machine")
        return self.tools[name]

    def fetch(self):
        """PostgreSQL, the embedding weights and the checkers, pinned by SHA-256"""
        command = [str(ROOT / "scripts" / "fetch.py"), "--test-tools", "--print-env", "--print-tools"]
        done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        for line in done.stdout.splitlines():
            name, _, value = line.partition("=")
            (self.environment if name.startswith("JARVIS_") else self.tools)[name] = value

    def fetch_python(self):
        command = [sys.executable, str(ROOT / "scripts" / "fetch_python.py")]
        done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.environment.update(line.split("=", 1) for line in done.stdout.splitlines())

    def scripts(self):
        """The tests of the fetching script"""
        self.run(sys.executable, "scripts/test_fetch.py")

    def fmt(self):
        """The code is formatted"""
        self.run("cargo", "fmt", "--all", "--check")

    def toml(self):
        """The TOML files are formatted"""
        files = subprocess.run(
            ["git", "ls-files", "*.toml"], check=True, cwd=ROOT, capture_output=True, text=True
        ).stdout.split()
        self.run(self.tool("taplo"), "format", "--check", *files)

    def typos(self):
        """No misspelt words"""
        self.run(self.tool("typos"))

    def migrations(self):
        """The migrations lock nothing they need not (squawk)"""
        files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "supabase" / "migrations").glob("*.sql"))
        self.run(self.tool("squawk"), *files)

    def clippy(self):
        """Clippy, pedantic, warnings are errors"""
        self.run("cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings")

    def build(self):
        """The workspace builds without a database"""
        self.run("cargo", "build", "--workspace", "--locked")
        self.environment["JARVIS_BIN"] = str(TARGET / "debug" / "jarvis")

    def layers(self):
        """No crate uses one on its own floor or above"""
        self.run(XTASK, "check-layers")

    def sizes(self):
        """No file over 500 lines without its tests"""
        self.run(XTASK, "check-sizes")

    def sqlx(self):
        """What .sqlx says of the queries is what PostgreSQL says"""
        self.run(XTASK, "sqlx", "--check")

    def doctests(self):
        """The examples in the documentation"""
        self.run("cargo", "test", "--workspace", "--doc", "--locked", "--quiet")

    def storm(self):
        """The failure tests at their full length, against the built program"""
        self.environment["JARVIS_STORM"] = "1"
        report = TARGET / "storm.jsonl"
        report.unlink(missing_ok=True)
        self.environment["JARVIS_STORM_REPORT"] = str(report.resolve())
        nextest = ["cargo", "nextest", "run", "-p", "tests-e2e", "--locked", "-E", STORMS, *self.nextest_arguments]
        try:
            self.run(str(TARGET / "debug" / "with-postgres"), *nextest)
        except subprocess.CalledProcessError:
            print("A storm failed; the counts below are those of the others.", flush=True)
            raise
        finally:
            print_storms(report)

    def tests(self):
        """All tests, against a PostgreSQL of their own"""
        self.fetch_python()
        nextest = ["cargo", "nextest", "run", "--workspace", "--locked", *self.nextest_arguments]
        self.run(str(TARGET / "debug" / "with-postgres"), *nextest)


# The modules of tests-e2e that break something.
STORMS = "test(/^(kills|outage|shutdown|many|fairness|disk|clock)::/)"


def print_storms(report):
    """One line per storm: what was done to the program, and what became of what it had acknowledged."""
    rows = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    for row in rows:
        counts = ", ".join(f"{name} {value}" for name, value in row["counts"].items())
        print(f"{row['storm']:<10} {counts}", flush=True)
    for name in ("kills", "acknowledged", "lost", "doubled"):
        print(f"{name:<14} {sum(row['counts'].get(name, 0) for row in rows):>8}", flush=True)


STEPS = [
    "fetch",
    "scripts",
    "fmt",
    "toml",
    "typos",
    "migrations",
    "clippy",
    "build",
    "layers",
    "sizes",
    "sqlx",
    "doctests",
    "tests",
]
# Without these the later steps could not mean anything.
NEEDED = {"fetch", "build"}
NEEDS_BUILD = {"layers", "sizes", "sqlx", "tests"}


def chosen_steps(only):
    """The steps to run: those named, and what they cannot do without."""
    if not only:
        return STEPS
    unknown = only - set(STEPS)
    if unknown:
        sys.exit(f"no step is called {', '.join(sorted(unknown))}; there are: {' '.join(STEPS)}")
    wanted = only | {"fetch"} | ({"build"} if only & NEEDS_BUILD else set())
    return [step for step in STEPS if step in wanted]


def run_steps(checks, steps):
    """Run the steps; the rows are (name, outcome, seconds)."""
    rows = []
    for number, name in enumerate(steps, 1):
        step = getattr(checks, name)
        print(f"\n== {number}/{len(steps)} {name}: {step.__doc__}", flush=True)
        started = time.monotonic()
        try:
            step()
            outcome = "ok"
        except Skip as why:
            outcome = f"skipped: {why}"
        except subprocess.CalledProcessError as error:
            outcome = f"FAILED with exit code {error.returncode}"
        rows.append((name, outcome, time.monotonic() - started))
        print(f"-- {name}: {outcome}, {rows[-1][2]:.1f} s", flush=True)
        if outcome.startswith("FAILED") and name in NEEDED:
            rows += [(left, f"not run, because {name} failed", 0.0) for left in steps[number:]]
            break
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help=f"run these steps alone, of: {' '.join(STEPS)}")
    parser.add_argument("--write-sqlx", action="store_true", help="write .sqlx instead of checking it")
    parser.add_argument("--storm", action="store_true", help="run the long failure tests alone")
    parser.add_argument("--seed", help="the seed of the storms' choices")
    parser.add_argument("nextest", nargs="*", help="arguments for cargo nextest run, after --")
    options = parser.parse_args()
    checks = Checks(options.nextest)
    if options.write_sqlx:
        checks.fetch()
        # xtask uses no crate of the house, so it builds while the house does not.
        checks.run("cargo", "xtask", "sqlx")
        return 0
    if options.seed:
        checks.environment["JARVIS_TEST_SEED"] = options.seed
    steps = ["fetch", "build", "storm"] if options.storm else chosen_steps(set(options.only.split()))
    rows = run_steps(checks, steps)
    print("\n" + "-" * 60)
    for name, outcome, seconds in rows:
        print(f"{name:<11} {seconds:>8.1f} s  {outcome}")
    print(f"{'together':<11} {sum(row[2] for row in rows):>8.1f} s")
    failed = [name for name, outcome, _ in rows if outcome.startswith(("FAILED", "not run"))]
    if failed:
        print(f"FAILED: {' '.join(failed)}    (one alone: make test ONLY={failed[0]})")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
