#!/usr/bin/env python3
"""Install into the cache the Python programs that tests use: Schemathesis, which tries the API with requests made
from its document, the official client of OpenAI, which reads what `jarvis fake-openai` answers, and Lifetimes, for the data in it.

Everything is pinned with SHA-256 in requirements-*.txt and installed by pip into folders of their own
(`pip install --target`): nothing of the machine's Python is changed. Prints JARVIS_SCHEMATHESIS=<folder>,
JARVIS_OPENAI_SDK=<folder>, JARVIS_LIFETIMES=<folder> and JARVIS_TEST_PYTHON=<the Python they are for>.

They need Python 3.11. An older one, or a machine without network, is told so and the tests are skipped, except
where CI is set: there everything is tested. Standard library only. Exit codes: 0 done or not possible here, 1 failed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fetch

OLDEST = (3, 11)
NEWEST = (3, 14)
STAMP = "complete"


class Program:
    """Something of the Python package index with all it needs, and what a test loses without it."""

    def __init__(self, package, variable, megabytes, purpose):
        self.package = package
        self.variable = variable
        self.megabytes = megabytes
        self.purpose = purpose
        self.requirements = fetch.HERE / f"requirements-{package}.txt"

    def folder(self, cache):
        """Where it goes: one folder per Python, since some of it is compiled, and per list of requirements."""
        text = self.requirements.read_bytes()
        _, version, _ = fetch.requirement(self.requirements.name, self.package)
        python = f"py{sys.version_info[0]}.{sys.version_info[1]}"
        return cache / f"{self.package}-{version}-{python}-{hashlib.sha256(text).hexdigest()[:8]}"


PROGRAMS = [
    Program("lifetimes", "JARVIS_LIFETIMES", 1, "holds customers on whom published models are checked"),
    Program("schemathesis", "JARVIS_SCHEMATHESIS", 30, "tries the API with requests made from its document"),
    Program("openai", "JARVIS_OPENAI_SDK", 6, "reads what `jarvis fake-openai` answers"),
]


def install(program, target):
    """Install beside the target and rename, so that a half-written folder is never taken for a whole one."""
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        command = [*fetch.installed_pip(), "install", "--target", str(scratch), "--require-hashes", "--no-deps"]
        command += ["--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet"]
        command += ["--no-warn-conflicts", "-r", str(program.requirements)]
        for attempt in range(1, fetch.ATTEMPTS + 1):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            trouble = f"pip could not install {program.package}:\n{fetch.last_errors(done.stderr)}"
            if not fetch.NETWORK_TROUBLE.search(done.stderr):
                raise fetch.Stop(trouble)
            if attempt == fetch.ATTEMPTS:
                raise fetch.Offline(trouble)
            fetch.say(f"  the download broke off (try {attempt} of {fetch.ATTEMPTS}); again")
        (scratch / STAMP).touch()
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
        target.chmod(0o755)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fetched(program, cache):
    """The folder of a whole installation."""
    target = program.folder(cache)
    if not (target / STAMP).exists():
        fetch.say(f"fetching {program.package}, which {program.purpose}: {program.megabytes} MB")
        install(program, target)
    return target


def fetch_all(cache):
    """The lines that name what is there; what cannot be is said, and where CI is set it is an error."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        message = f"the Python programs of the tests need Python 3.11 to 3.14; this is {sys.version.split()[0]}"
        if os.environ.get("CI"):
            raise fetch.Stop(message)
        fetch.say(f"{message}: the tests with them are skipped")
        return []
    cache.mkdir(parents=True, exist_ok=True)
    lines = [f"JARVIS_TEST_PYTHON={sys.executable}"]
    with open(cache / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for program in PROGRAMS:
            try:
                lines.append(f"{program.variable}={fetched(program, cache)}")
            except fetch.Offline as trouble:
                if os.environ.get("CI"):
                    raise
                fetch.say(f"{trouble}\nThe tests with {program.package}, which {program.purpose}, are skipped.")
    return lines


def main():
    try:
        lines = fetch_all(fetch.cache_dir())
    except fetch.Stop as stop:
        fetch.say(str(stop))
        return stop.code
    if lines:
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
