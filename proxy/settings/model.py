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
        description="`service`: the DSN's account runs everybody's statements; `same_user`: each session logs in as "
        "its own user; `floor`: masked roles have logins of their own, made by `pgveil harden`.",
    )
    floor_password_env: str = Field(
        default="PGVEIL_FLOOR_PASSWORD",
        description="The environment variable with the password of the floor's logins.",
    )


class AuthSettings(_Section):
    """Who may connect."""

    method: Literal["scram", "password", "cert", "trust"] = Field(
        default="scram",
        description="`scram`: SCRAM-SHA-256, verifiers in `users`; `password`: the same in clear text, over TLS only; "
        "`cert`: a client certificate with the user's name; `trust`: no password, loopback only.",
    )
    users: Path = Field(default=Path("users.txt"), description="The verifiers, in pgbouncer's userlist format.")
    query: str | None = Field(
        default=None,
        description="The query that asks the database for the verifier of a user who is not in `users`; `default`: "
        "pg_authid's.",
    )
    query_dsn: Dsn | None = Field(
        default=None, description="The account that runs it; absent, the one of `upstream.dsn`."
    )
    cert_name: Literal["cn", "dn"] = Field(
        default="cn", description="What names a client certificate's user: its common name, or its whole subject."
    )
    cert_map: Path | None = Field(default=None, description="A file that says which names stand for which users.")


class TlsSettings(_Section):
    """TLS towards clients."""

    cert: Path = Field(description="The certificate chain, PEM.")
    key: Path = Field(description="Its private key, PEM.")
    client_ca: Path | None = Field(default=None, description="The authority of clients' certificates, PEM.")
    client_cert: Literal["optional", "require"] = Field(
        default="optional", description="With `require`, every client has to show a certificate of `client_ca`."
    )
    require: bool = Field(default=False, description="Refuse clients that do not come with TLS.")


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


PoolMode = Literal["session", "transaction"]


def _role_modes(value: object) -> object:
    """`analyst=transaction,dba=session`, as an environment variable has it."""
    if not isinstance(value, str):
        return value
    return {name.strip(): mode.strip() for name, _, mode in (part.partition("=") for part in value.split(","))}


class PoolSettings(_Section):
    """Connections to the database."""

    mode: PoolMode = Field(
        default="session",
        description="`session`: each client has a connection to the database for itself; `transaction`: for the time "
        "of a transaction.",
    )
    roles: Annotated[dict[str, PoolMode], BeforeValidator(_role_modes)] = Field(
        default={}, description="The mode of single roles; with several roles, `session` wins."
    )
    size: int = Field(default=20, ge=1, description="Connections of an account to a database, in `transaction` mode.")
    max_clients: int | None = Field(default=None, ge=1, description="Clients that are admitted at a time.")
    max_prepared: int = Field(default=200, ge=1, description="Prepared statements that a shared connection keeps.")
    check: Literal["statements", "always"] = Field(
        default="statements",
        description="When the database is asked what a transaction has left: after statements that may leave "
        "something, or always.",
    )
    queue_timeout_s: float = Field(
        default=30, ge=0, description="Seconds to wait for a free connection; 0: without end."
    )
    server_lifetime_s: float = Field(
        default=3600, ge=0, description="Seconds after which a shared connection is replaced; 0: never."
    )
    server_idle_s: float = Field(
        default=600, ge=0, description="Seconds after which an unused shared connection is closed; 0: never."
    )
    client_idle_s: float = Field(
        default=0,
        ge=0,
        description="Seconds without a transaction or a message after which a client is sent away; 0: never.",
    )
    idle_transaction_s: float = Field(
        default=0, ge=0, description="The same for a client that leaves a transaction open."
    )
    login_timeout_s: float = Field(default=60, gt=0, description="Seconds that a login may take.")


class Settings(_Section):
    """All of it. Built by `load_settings`; tests may build it directly, and meet the same checks."""

    listen: Endpoint = Field(default=HostPort("127.0.0.1", 6432), description="Where clients connect.")
    http: Endpoint = Field(default=HostPort("127.0.0.1", 9432), description="Where health and metrics are served.")
    upstream: UpstreamSettings = Field(default=UpstreamSettings())
    auth: AuthSettings = Field(default=AuthSettings())
    tls: TlsSettings | None = Field(default=None)
    policies: Path = Field(default=Path("policies"), description="The directory of policy files.")
    workers: int = Field(default=1, ge=1, le=255, description="Processes that serve clients.")
    pool: PoolSettings = Field(default=PoolSettings())
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
    yield from _login_conflicts(settings.auth, settings.tls)
    yield from _upstream_conflicts(settings.upstream)
    if settings.ask.provider == "llama_cpp":
        hint = "use provider: embedded, or provider: openai with the base_url of a llama.cpp server"
        yield ("ask", "provider"), "llama_cpp is not there yet", hint
    if settings.ask.provider == "openai" and not settings.ask.openai.model:
        yield ("ask", "openai", "model"), "the openai provider needs a model", "set ask.openai.model"


def _upstream_conflicts(upstream: UpstreamSettings) -> Iterator[tuple[SettingPath, str, str]]:
    """What the login asks of the database."""
    if upstream.login == "floor" and upstream.dsn is None:
        yield ("upstream", "login"), "the embedded PostgreSQL has no floor", "name a database in upstream.dsn"
    if upstream.login == "same_user" and upstream.dsn is None:
        text = "the embedded PostgreSQL lets anybody in as anybody"
        yield ("upstream", "login"), text, "name a database in upstream.dsn"


def _login_conflicts(auth: AuthSettings, tls: TlsSettings | None) -> Iterator[tuple[SettingPath, str, str]]:
    """The same for logins and TLS."""
    client_ca = None if tls is None else tls.client_ca
    if auth.method == "cert" and client_ca is None:
        yield ("auth", "method"), "cert needs an authority of clients' certificates", "set tls.client_ca"
    if auth.method == "password" and tls is None:
        hint = "set tls.cert and tls.key, or use auth.method: scram"
        yield ("auth", "method"), "a password in clear text needs TLS", hint
    if tls is not None and tls.client_cert == "require" and client_ca is None:
        yield ("tls", "client_cert"), "it needs an authority of clients' certificates", "set tls.client_ca"
    if auth.cert_map is not None and auth.method != "cert":
        yield ("auth", "cert_map"), "only auth.method: cert has names of certificates", "leave it out"
    if auth.cert_name != "cn" and auth.method != "cert":
        yield ("auth", "cert_name"), "only auth.method: cert has names of certificates", "leave it out"
    for name in ("query", "query_dsn"):
        if getattr(auth, name) is not None and auth.method not in {"scram", "password"}:
            yield ("auth", name), f"{auth.method} asks nobody for verifiers", "leave it out, or use auth.method: scram"
