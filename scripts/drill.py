#!/usr/bin/env python3
"""The upgrade drill: the program of an earlier release is fed, then replaced by this one under load.

The earlier program is built from the commit or tag given with --old, else from the one that tests-e2e/upgrade-from
names, in a temporary worktree, into target/drill. The built program is kept there.
Standard library only. Exit codes: 0 passed, 1 failed, 2 something must be done first.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
FROM = ROOT / "tests-e2e" / "upgrade-from"


class Stop(Exception):
    """Ends the drill before it began, with what must be done first."""


def say(message):
    print(message, file=sys.stderr, flush=True)


def earlier(named):
    """The commit to start from, in full."""
    if not named:
        lines = FROM.read_text(encoding="utf-8").splitlines()
        named = next(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    command = ["git", "rev-parse", "--verify", "--quiet", f"{named}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Stop(f"there is no commit {named} here; in a shallow clone: git fetch --unshallow --tags")
    return done.stdout.strip()


def build(folder, target, *packages):
    """Build packages of a source tree into a target folder."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "SQLX_OFFLINE": "true"}
    chosen = [word for package in packages for word in ("-p", package)]
    subprocess.run(["cargo", "build", "--locked", *chosen, "--bins"], cwd=folder, env=environment, check=True)


def earlier_program(commit):
    """The path of the program built from the commit; built once and kept."""
    kept = TARGET / "drill" / f"jarvis-{commit[:12]}"
    if kept.exists():
        return kept
    say(f"building the program of {commit[:12]}")
    tree = Path(tempfile.mkdtemp(prefix="jarvis-drill-"))
    try:
        add = ["git", "worktree", "add", "--quiet", "--detach", str(tree), commit]
        subprocess.run(add, cwd=ROOT, check=True)
        # A folder of its own: by the times of its files a checkout of yesterday's release looks newer than it is.
        target = TARGET / "drill" / "build"
        build(tree, target, "jarvis")
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target / "debug" / "jarvis", kept.with_suffix(".new"))
        kept.with_suffix(".new").rename(kept)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=False)
        shutil.rmtree(tree, ignore_errors=True)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", default="", help="commit or tag to start from; see tests-e2e/upgrade-from")
    options = parser.parse_args()
    try:
        commit = earlier(options.old)
    except Stop as stop:
        say(str(stop))
        return 2
    old = earlier_program(commit)
    build(ROOT, TARGET, "jarvis", "jarvis-testkit")
    fetched = subprocess.run(
        [str(ROOT / "scripts" / "fetch.py"), "--print-env"], check=True, stdout=subprocess.PIPE, text=True
    )
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "SQLX_OFFLINE": "true"}
    environment.update(line.split("=", 1) for line in fetched.stdout.splitlines())
    environment["JARVIS_OLD_BIN"] = str(old)
    environment["JARVIS_BIN"] = str(TARGET / "debug" / "jarvis")
    say(f"replacing {commit[:12]} by this program")
    test = ["cargo", "nextest", "run", "-p", "tests-e2e", "--locked", "--run-ignored", "only", "--no-capture"]
    test += ["-E", "test(/^upgrade::/)"]
    command = [str(TARGET / "debug" / "with-postgres"), *test]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode and 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        say(f"`{' '.join(map(str, error.cmd))}` failed")
        sys.exit(1)
