"""The settings and their checks: one pydantic model per section of `pgveil.yaml`, frozen once built.

A description here is the sentence that `docs/settings.md` shows. What is part of the format and not of the
program yet is accepted by the format and refused by `_conflicts`, with what to use instead.

It does not know where a value came from (`load` does), and it does not open what a setting names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from proxy.settings.addresses import HostPort, UpstreamDsn

SettingPath = tuple[str, ...]

Endpoint = Annotated[HostPort, BeforeValidator(HostPort.parse)]
Dsn = Annotated[UpstreamDsn, BeforeValidator(UpstreamDsn.parse)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )


class UpstreamSettings(_Section):
    """The database behind the proxy."""

    dsn: Dsn | None = Field(default=None, description="The database; absent, the embedded PostgreSQL.")
    login: Literal["service", "same_user", "floor"] = Field(
        default="service",
        description="`service`: the DSN's account runs everybody's statements; `floor`: masked roles have logins of "
        "their own, made by `pgveil harden`.",
    )
    floor_password_env: str = Field(
        default="PGVEIL_FLOOR_PASSWORD",
        description="The environment variable with the password of the floor's logins.",
    )


class AuthSettings(_Section):
    """Who may connect."""

    method: Literal["scram", "trust", "cert"] = Field(
        default="scram",
        description="`scram`: SCRAM-SHA-256, verifiers in `users`; `trust`: no password, loopback only.",
    )
    users: Path = Field(default=Path("users.txt"), description="The verifiers, in pgbouncer's userlist format.")


class TlsSettings(_Section):
    """TLS towards clients."""

    cert: Path = Field(description="The certificate chain, PEM.")
    key: Path = Field(description="Its private key, PEM.")
    client_ca: Path | None = Field(default=None, description="The authority of clients' certificates, PEM.")


class OpenAISettings(_Section):
    """Any endpoint that speaks OpenAI's chat completions."""

    base_url: str = Field(default="https://api.openai.com/v1", description="The endpoint.")
    model: str | None = Field(default=None, description="The model; required with `provider: openai`.")
    api_key_env: str = Field(default="OPENAI_API_KEY", description="The environment variable that holds the key.")
    timeout_s: float = Field(default=30, gt=0, le=600, description="Seconds that one request may take.")

    def api_key(self, environ: Mapping[str, str] = os.environ) -> SecretStr | None:
        """The key, or None where the variable is not set: endpoints on one's own machine need none."""
        found = environ.get(self.api_key_env)
        return SecretStr(found) if found else None


class LlamaCppSettings(_Section):
    """A model that runs in this process."""

    model_path: Path | None = Field(default=None, description="The model, GGUF.")
    n_ctx: int = Field(default=8192, ge=512, description="The context, tokens.")


class AskSettings(_Section):
    """Questions in plain language."""

    provider: Literal["embedded", "openai", "llama_cpp"] = Field(
        default="embedded", description="Who writes the SQL; `embedded` needs no model and no network."
    )
    openai: OpenAISettings = Field(default=OpenAISettings())
    llama_cpp: LlamaCppSettings = Field(default=LlamaCppSettings())
    max_repairs: int = Field(default=2, ge=0, le=5, description="How often a refused SQL goes back to the provider.")
    max_rows: int = Field(default=10_000, ge=1, description="The LIMIT of SQL that was written for a question.")
    statement_timeout_s: float = Field(default=30, gt=0, description="Seconds that one question's SQL may run.")
    max_cost: float = Field(default=1_000_000, gt=0, description="The planner's cost above which it does not run.")


class AuditSettings(_Section):
    """The record of who ran what kind of statement, without values."""

    path: Path | None = Field(default=Path("audit.jsonl"), description="One JSON object per line; `null` turns it off.")


class LogSettings(_Section):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least level to log.")
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto`: console on a terminal, else JSON."
    )


class Settings(_Section):
    """All of it. Built by `load_settings`; tests may build it directly, and meet the same checks."""

    listen: Endpoint = Field(default=HostPort("127.0.0.1", 6432), description="Where clients connect.")
    http: Endpoint = Field(default=HostPort("127.0.0.1", 9432), description="Where health and metrics are served.")
    upstream: UpstreamSettings = Field(default=UpstreamSettings())
    auth: AuthSettings = Field(default=AuthSettings())
    tls: TlsSettings | None = Field(default=None)
    policies: Path = Field(default=Path("policies"), description="The directory of policy files.")
    workers: int = Field(default=1, ge=1, description="Processes that serve clients.")
    ask: AskSettings = Field(default=AskSettings())
    audit: AuditSettings = Field(default=AuditSettings())
    log: LogSettings = Field(default=LogSettings())

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        conflicts = tuple(_conflicts(self))
        if conflicts:
            message = "; ".join(f"{'.'.join(path)}: {text}" for path, text, _ in conflicts)
            raise PydanticCustomError("conflict", "{message}", {"message": message, "conflicts": conflicts})
        return self


def _conflicts(settings: Settings) -> Iterator[tuple[SettingPath, str, str]]:
    """What each setting allows and all of them together do not: path, message, hint."""
    if settings.auth.method == "trust" and not settings.listen.is_loopback:
        hint = "listen on 127.0.0.1, or use auth.method: scram"
        yield (
            ("auth", "method"),
            f"trust lets anybody in, so it needs a loopback address; {settings.listen} is none",
            hint,
        )
    if settings.auth.method == "cert":
        yield ("auth", "method"), "client certificates are not there yet", "use auth.method: scram"
    if settings.tls is not None:
        yield (
            ("tls",),
            "TLS towards clients is not there yet",
            "leave tls out, and listen on a network that you trust",
        )
    if settings.upstream.login == "same_user":
        yield ("upstream", "login"), "same_user is not there yet", "use login: service"
    if settings.upstream.login == "floor" and settings.upstream.dsn is None:
        yield ("upstream", "login"), "the embedded PostgreSQL has no floor", "name a database in upstream.dsn"
    if settings.workers > 1:
        yield ("workers",), "more than one worker is not there yet", "use workers: 1"
    if settings.ask.provider == "llama_cpp":
        hint = "use provider: embedded, or provider: openai with the base_url of a llama.cpp server"
        yield ("ask", "provider"), "llama_cpp is not there yet", hint
    if settings.ask.provider == "openai" and not settings.ask.openai.model:
        yield ("ask", "openai", "model"), "the openai provider needs a model", "set ask.openai.model"
