#!/usr/bin/env python3
"""Install Schemathesis into the cache, for the test that tries the API with requests made from its document.

Everything is pinned with SHA-256 in requirements-schemathesis.txt and installed by pip into a folder of its own
(`pip install --target`): nothing of the machine's Python is changed. Prints JARVIS_SCHEMATHESIS=<folder>.

Schemathesis needs Python 3.11. An older one is told so and the test is skipped, except where CI is set: there
everything is tested. Standard library only. Exit codes: 0 done or not possible here, 1 failed.
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

REQUIREMENTS = fetch.HERE / "requirements-schemathesis.txt"
OLDEST = (3, 11)
NEWEST = (3, 14)
STAMP = "complete"


def folder(cache):
    """Where it goes: one folder per Python, since some of it is compiled, and per list of requirements."""
    text = REQUIREMENTS.read_bytes()
    _, version, _ = fetch.requirement(REQUIREMENTS.name, "schemathesis")
    python = f"py{sys.version_info[0]}.{sys.version_info[1]}"
    return cache / f"schemathesis-{version}-{python}-{hashlib.sha256(text).hexdigest()[:8]}"


def install(target):
    """Install beside the target and rename, so that a half-written folder is never taken for a whole one."""
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        command = [*fetch.installed_pip(), "install", "--target", str(scratch), "--require-hashes", "--no-deps"]
        command += ["--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet"]
        command += ["--no-warn-conflicts", "-r", str(REQUIREMENTS)]
        for attempt in range(1, fetch.ATTEMPTS + 1):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            if attempt == fetch.ATTEMPTS or not fetch.NETWORK_TROUBLE.search(done.stderr):
                raise fetch.Stop(f"pip could not install Schemathesis:\n{fetch.last_errors(done.stderr)}")
            fetch.say(f"  the download broke off (try {attempt} of {fetch.ATTEMPTS}); again")
        (scratch / STAMP).touch()
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
        target.chmod(0o755)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fetched():
    """The folder of a whole installation, or None where this Python cannot run it."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        message = f"Schemathesis needs Python 3.11 to 3.14; this is {sys.version.split()[0]}"
        if os.environ.get("CI"):
            raise fetch.Stop(message)
        fetch.say(f"{message}: the API is not tried with requests made from its document")
        return None
    cache = fetch.cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    target = folder(cache)
    with open(cache / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / STAMP).exists():
            fetch.say("fetching Schemathesis, which tries the API: 30 MB")
            install(target)
    return target


def main():
    try:
        target = fetched()
    except fetch.Stop as stop:
        fetch.say(str(stop))
        return stop.code
    if target:
        print(f"JARVIS_SCHEMATHESIS={target}")
        print(f"JARVIS_SCHEMATHESIS_PYTHON={sys.executable}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
