"""Settings: one frozen record from quantga.toml, the environment and the command line, each over the one before.

What changes results (data, costs, search) is hashed into a run's id; where it runs and where it is kept is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError

from quantga.errors import ConfigError

FILE = "quantga.toml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Data(_Section):
    """Which bars are searched."""

    venue: str = ""
    interval: str = ""
    symbols: tuple[str, ...] = ()
    timerange: str = ""
    unlocked: bool = False

    @field_validator("symbols", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator("timerange")
    @classmethod
    def _ordered(cls, value: str) -> str:
        parse_timerange(value)
        return value


class CostsSection(_Section):
    """What trading costs; the fields of `quantga.Costs`, where each is described."""

    fee: Annotated[float, Field(ge=0, le=0.05)] = 0.00045
    maker: Annotated[float, Field(ge=-0.01, le=0.05)] = 0.00015
    slippage: Annotated[float, Field(ge=0, le=0.2)] = 0.0002
    funding: bool = True
    lots: bool = False
    margin: bool = True
    stops: bool = True
    capital: Annotated[float, Field(ge=1e-3, le=1e15)] = 10_000.0
    max_leverage: Annotated[float, Field(ge=0.01, le=50)] = 10.0
    min_notional: Annotated[float, Field(ge=0, le=1e9)] = 10.0


class Search(_Section):
    """How programs are bred and judged."""

    seed: Annotated[int, Field(ge=0)] = 1
    islands: Annotated[int, Field(ge=1, le=256)] = 4
    population: Annotated[int, Field(ge=4, le=100_000)] = 96
    generations: Annotated[int, Field(ge=1, le=100_000)] = 8
    selection: Literal["nsga2", "tournament", "lexicase"] = "nsga2"
    crossover: Annotated[float, Field(ge=0, le=1)] = 0.6
    mutation: Annotated[float, Field(ge=0, le=1)] = 0.35
    fresh: Annotated[float, Field(ge=0, le=1)] = 0.05
    migrate_every: Annotated[int, Field(ge=1)] = 5
    migrants: Annotated[int, Field(ge=0)] = 5
    tuned: Annotated[int, Field(ge=0)] = 2
    classics: bool = True
    genes: bool = True
    max_size: Annotated[int, Field(ge=5, le=500)] = 60
    slices: Annotated[int, Field(ge=2, le=100)] = 8
    min_trades: Annotated[int, Field(ge=1)] = 20
    engine: Literal["numba", "vectorbt"] = "numba"


class Cluster(_Section):
    """Where the work runs; nothing here changes a result."""

    address: str = ""
    workers: Annotated[int, Field(ge=1)] | None = None
    batch_ms: Annotated[int, Field(ge=1)] = 20
    deadline_s: Annotated[float, Field(gt=0)] = 120.0
    usd_per_hour: dict[str, Annotated[float, Field(ge=0)]] = {}


class Store(_Section):
    """Where things are kept."""

    path: str = "store"


class Settings(BaseSettings):
    """All settings. `Settings.load(...)` turns every mistake into one ConfigError."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="QUANTGA_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data: Data = Data()
    costs: CostsSection = CostsSection()
    search: Search = Search()
    cluster: Cluster = Cluster()
    store: Store = Store()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over file; neither dotenv nor secret files."""
        del dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, os.environ.get("QUANTGA_CONFIG", FILE))
        return init_settings, env_settings, file

    @classmethod
    def load(cls, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Settings:
        """Read file and environment, then apply `overrides`: {section: {field: value}}; None values are left out.

        Raises ConfigError naming the key, what was given and what is allowed.
        """
        given = {
            section: {name: value for name, value in fields.items() if value is not None}
            for section, fields in (overrides or {}).items()
        }
        config = os.environ.get("QUANTGA_CONFIG")
        if config and not Path(config).is_file():
            raise ConfigError(f"QUANTGA_CONFIG names {config}, and there is no such file")
        _refuse_unknown_variables(cls)
        try:
            return cls(**{section: fields for section, fields in given.items() if fields})  # type: ignore[arg-type]
        except ValidationError as error:
            raise ConfigError(_sentence(error)) from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{config or FILE} is not valid TOML: {error}") from error
        except SettingsError as error:
            raise ConfigError(f"an environment variable QUANTGA_… does not read: {error}") from error

    @property
    def science(self) -> dict[str, Any]:
        """The settings that change results, as plain data."""
        return self.model_dump(mode="json", include={"data", "costs", "search"})

    @property
    def science_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of `science`."""
        text = json.dumps(self.science, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def ray_address() -> str:
    """Return which Ray the surroundings name: RAY_ADDRESS (jobs have it), "auto" in a workspace or a pod, else ""."""
    inside = any(os.environ.get(name) for name in ("ANYSCALE_SESSION_ID", "ANYSCALE_CLUSTER_ID", "RAY_CLUSTER_NAME"))
    return os.environ.get("RAY_ADDRESS") or ("auto" if inside else "")


def jobs_address() -> str:
    """Return where jobs are submitted: RAY_API_SERVER_ADDRESS, else RAY_ADDRESS where it is http, else this machine."""
    named = os.environ.get("RAY_ADDRESS", "")
    there = named if named.startswith(("http://", "https://")) else "http://127.0.0.1:8265"
    return os.environ.get("RAY_API_SERVER_ADDRESS") or there


def cache_folder() -> Path:
    """Return where this machine keeps what it can fetch or make again: QUANTGA_CACHE, else quantga in the user's cache."""
    named = os.environ.get("QUANTGA_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quantga"


def state_folder() -> Path:
    """Return where this machine keeps what the service must not lose, and no lake holds: QUANTGA_STATE, else quantga in the user's state."""
    named = os.environ.get("QUANTGA_STATE")
    return Path(named) if named else Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "quantga"


def cache_limit() -> int:
    """Return how many bytes of tables this machine keeps of stores far away: QUANTGA_CACHE_GB, else 20 GB."""
    text = os.environ.get("QUANTGA_CACHE_GB") or "20"
    try:
        return int(float(text) * 1e9)
    except ValueError:
        raise ConfigError(f"QUANTGA_CACHE_GB={text!r} is no number of gigabytes") from None


def parse_timerange(text: str) -> tuple[int | None, int | None]:
    """Return (start, end) in ms UTC of `YYYYMMDD-YYYYMMDD`, either side may be empty; the end is not included.

    Raises ValueError, which pydantic turns into a readable refusal.
    """
    if not text:
        return None, None
    left, dash, right = text.partition("-")
    if not dash:
        raise ValueError(f"a timerange reads like 20230601-20250101, 20230601- or -20250101, not {text!r}")
    start, end = _midnight(left, text), _midnight(right, text)
    if start is not None and end is not None and start >= end:
        raise ValueError(f"the timerange {text} ends before it starts")
    return start, end


def _midnight(day: str, text: str) -> int | None:
    if not day:
        return None
    try:
        return int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise ValueError(f"{day!r} in the timerange {text!r} is no date YYYYMMDD") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key!r} (given {first['input']!r}); see quantga.toml for those that exist"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"setting {key!r} = {first['input']!r}: {message}{more}"


def _refuse_unknown_variables(settings: type[Settings]) -> None:
    """A misspelt QUANTGA_SECTION__FIELD would otherwise be ignored in silence."""
    for name in os.environ:
        if not name.startswith("QUANTGA_") or "__" not in name:
            continue
        section, _, fieldname = name.removeprefix("QUANTGA_").lower().partition("__")
        model = settings.model_fields[section].annotation if section in settings.model_fields else None
        if not (isinstance(model, type) and issubclass(model, BaseModel) and fieldname in model.model_fields):
            raise ConfigError(f"environment variable {name} names no setting; see quantga.toml for those that exist")


__all__ = [
    "Cluster",
    "CostsSection",
    "Data",
    "Search",
    "Settings",
    "Store",
    "cache_folder",
    "cache_limit",
    "jobs_address",
    "parse_timerange",
    "ray_address",
    "state_folder",
]
