"""Every environment variable the project honours, typed and validated in one place.

Precedence: the environment, then `.env` in the working directory, then `stack.env` in the state
directory (the ports the running stack was started with), then the defaults below.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from feature_store.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]

Port = Annotated[int, Field(ge=1024, le=55535, description="SeaweedFS adds 10000 for gRPC, hence the upper bound")]


class Settings(BaseSettings):
    """The settings of one process. Build it with `load_settings()`, which explains what is wrong."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    home: Path = Field(ROOT / "var", alias="FEATURE_STORE_HOME", description="State directory")
    catalog_dir: Path = Field(
        ROOT / "include" / "catalog",
        alias="FEATURE_STORE_CATALOG_DIR",
        description="Folder of the two catalog files",
    )
    dags_dir: Path = Field(ROOT / "dags", alias="FEATURE_STORE_DAGS_DIR", description="Folder of Airflow's DAG files")
    upstream: Literal["replay", "live"] = Field(
        "replay",
        alias="FEATURE_STORE_UPSTREAM",
        description="Ask the local replay server, or the real sources",
    )
    replay_dir: Path | None = Field(
        None, alias="FEATURE_STORE_REPLAY_DIR", description="Folder of series to serve; generated when unset"
    )
    replay_base_url: str | None = Field(
        None, alias="FEATURE_STORE_REPLAY_URL", description="Replay server, when it is not this machine's"
    )
    dsn: SecretStr | None = Field(
        None, alias="FEATURE_STORE_POSTGRES_DSN", description="Database, when it is not the embedded one"
    )
    dsn_reader: SecretStr | None = Field(
        None,
        alias="FEATURE_STORE_READER_DSN",
        description="Login of what only reads; unset: the embedded one, or FEATURE_STORE_POSTGRES_DSN if set",
    )
    dsn_publisher: SecretStr | None = Field(
        None,
        alias="FEATURE_STORE_PUBLISHER_DSN",
        description="Login of what publishes and checks keys; unset: as FEATURE_STORE_READER_DSN",
    )
    port_postgres: Port = Field(15432, alias="FEATURE_STORE_PORT_POSTGRES", description="Embedded PostgreSQL")
    port_s3: Port = Field(18333, alias="FEATURE_STORE_PORT_S3", description="SeaweedFS S3")
    port_replay: Port = Field(18090, alias="FEATURE_STORE_PORT_REPLAY", description="Replay server")
    port_airflow: Port = Field(18080, alias="FEATURE_STORE_PORT_AIRFLOW", description="Airflow API server and UI")
    port_api: Port = Field(18000, alias="FEATURE_STORE_PORT_API", description="REST API")
    port_prometheus: Port = Field(
        19090, alias="FEATURE_STORE_PORT_PROMETHEUS", description="Prometheus, in containers alone"
    )
    port_grafana: Port = Field(13000, alias="FEATURE_STORE_PORT_GRAFANA", description="Grafana, in containers alone")

    s3_endpoint: str | None = Field(
        None,
        alias="FEATURE_STORE_S3_ENDPOINT",
        pattern=r"^https?://",
        description="S3 server, when it is not the embedded one; boto3 finds its credentials and region (AWS_...)",
    )
    export_s3_uri: str = Field("s3://lav-features", alias="FEATURE_STORE_EXPORT_S3_URI", pattern=r"^s3://[a-z0-9.-]+")
    retention_days: int = Field(90, alias="FEATURE_STORE_RETENTION_DAYS", ge=1, description="30-90 is usual")
    parquet_batch_cron: str = Field("*/15 * * * *", alias="FEATURE_STORE_PARQUET_BATCH_CRON")
    parquet_compression: Literal["snappy", "gzip", "lz4", "zstd"] = Field(
        "snappy", alias="FEATURE_STORE_PARQUET_COMPRESSION"
    )
    pg_partition_days: int = Field(
        7, alias="FEATURE_STORE_PG_PARTITION_DAYS", ge=1, le=366, description="Day partitions created ahead"
    )
    dq_coverage_min: float = Field(0.80, alias="FEATURE_DQ_COVERAGE_MIN", ge=0, le=1)
    dq_freshness_max_ratio: float = Field(1.5, alias="FEATURE_DQ_FRESHNESS_MAX_RATIO", gt=0)
    alert_webhook: SecretStr | None = Field(
        None, alias="FEATURE_STORE_ALERT_WEBHOOK", description="Where alerts are posted as JSON; unset: only logged"
    )
    docs_runs: int = Field(
        20, alias="FEATURE_STORE_DOCS_RUNS", ge=1, description="Runs of each suite that Data Docs show"
    )
    api_rate_limit_rpm: int = Field(
        1000, alias="FEATURE_API_RATE_LIMIT_RPM", ge=1, description="Requests a minute that the REST API grants one key"
    )
    api_workers: int = Field(1, alias="FEATURE_API_WORKERS", ge=1, le=64, description="Processes of the REST API")
    api_host: str = Field(
        "127.0.0.1", alias="FEATURE_API_HOST", description="Where the REST API listens; another is for containers"
    )
    api_cors_origins: str = Field(
        "", alias="FEATURE_API_CORS_ORIGINS", description="Web pages that may ask the REST API, separated by commas"
    )

    fred_api_key: SecretStr | None = Field(None, alias="FRED_API_KEY")
    etherscan_api_key: SecretStr | None = Field(None, alias="ETHERSCAN_API_KEY")
    tradingview_datafeed_url: SecretStr | None = Field(
        None, alias="TRADINGVIEW_DATAFEED_URL", description="Your own licensed UDF datafeed"
    )

    @field_validator("parquet_batch_cron")
    @classmethod
    def _cron_is_valid(cls, value: str) -> str:
        from croniter import croniter

        if not croniter.is_valid(value):
            raise ValueError(f"{value!r} is not a cron expression of five fields, for example '*/15 * * * *'")
        return value

    @property
    def postgres_dsn(self) -> str:
        """The connection string of the `feature_store` database; carries its password."""
        if self.dsn is not None:
            return self.dsn.get_secret_value()
        password = self.secret("postgres_password")
        return f"postgresql://feature_store:{password}@127.0.0.1:{self.port_postgres}/feature_store"

    @property
    def reader_dsn(self) -> str:
        """The connection string of what only reads; carries its password."""
        return self._lesser_dsn(self.dsn_reader, "reader")

    @property
    def publisher_dsn(self) -> str:
        """The connection string of what publishes and checks keys; carries its password."""
        return self._lesser_dsn(self.dsn_publisher, "publisher")

    def _lesser_dsn(self, given: SecretStr | None, role: str) -> str:
        """Of a login that may do less than the owner, where there is one."""
        if given is not None or self.dsn is not None:
            return given.get_secret_value() if given is not None else self.postgres_dsn
        password = self.secret(f"postgres_{role}_password")
        user = f"feature_store_api_{role}"
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port_postgres}/feature_store"

    @property
    def s3_url(self) -> str:
        """Where S3 listens."""
        return self.s3_endpoint or f"http://127.0.0.1:{self.port_s3}"

    @property
    def data_docs_url(self) -> str:
        """Where Airflow's UI shows Data Docs."""
        return f"http://127.0.0.1:{self.port_airflow}/feature-store/data-docs/"

    @property
    def replay_url(self) -> str:
        """Where the replay server listens."""
        return self.replay_base_url or f"http://127.0.0.1:{self.port_replay}"

    @property
    def replay_folder(self) -> Path:
        """The folder of series the replay server answers from."""
        return self.replay_dir or self.home / "replay"

    def why_disabled(self, source_id: str, credentials: Iterable[str]) -> str | None:
        """Why live mode cannot ask a source whose keys are in these variables, and what to do; None where it can."""
        lacking = [name for name in credentials if getattr(self, name.lower()) is None]
        if self.upstream == "replay" or not lacking:
            return None
        names = " and ".join(lacking)
        return f"{source_id} is disabled: FEATURE_STORE_UPSTREAM=live needs {names}. Set it and run `make up` again"

    def secret(self, name: str) -> str:
        """A generated password of the local stack, from `secrets.json` in the state directory."""
        path = self.home / "secrets.json"
        try:
            return str(json.loads(path.read_text())[name])
        except FileNotFoundError:
            raise SettingsError(
                f"{path} does not exist: run `make up`, or set FEATURE_STORE_POSTGRES_DSN to use another database"
            ) from None
        except KeyError:
            raise SettingsError(f"{path} holds no {name!r}: run `make up`, which adds what is missing") from None


@cache
def load_settings() -> Settings:
    """Read and validate the settings once per process; a wrong one raises SettingsError naming the variable."""
    try:
        home = Settings(_env_file=".env").home  # type: ignore[call-arg]
        return Settings(_env_file=(home / "stack.env", ".env"))  # type: ignore[call-arg]
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
        raise SettingsError("these environment variables are wrong:\n  " + "\n  ".join(lines)) from None
