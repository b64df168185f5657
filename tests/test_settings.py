"""Settings: where each comes from, what is refused and where the refusal points."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from proxy.settings import AuthSettings, HostPort, Settings, SettingsError, UpstreamDsn, load_settings
from proxy.settings.addresses import UpstreamHost
from proxy.settings.load import FLAGS, setting_fields, variable_name

SOCKET_7 = UpstreamHost("/run/pg", 7)
NO_FLAGS: dict[str, str | None] = {}


def load_file(directory: Path, text: str) -> Settings:
    (directory / "pgveil.yaml").write_text(text)
    return load_settings(NO_FLAGS, {}, directory)


def refusal(directory: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_file(directory, text)
    return caught.value.message


def test_defaults_without_a_file(tmp_path: Path) -> None:
    settings = load_settings(NO_FLAGS, {}, tmp_path)
    assert str(settings.listen) == "127.0.0.1:6432"
    assert str(settings.http) == "127.0.0.1:9432"
    assert settings.upstream.dsn is None
    assert settings.auth.method == "scram"
    assert settings.ask.provider == "embedded"
    assert settings.workers == 1


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "pgveil.yaml").write_text(
        "listen: 127.0.0.1:1111\nhttp: 127.0.0.1:1112\nask: {max_rows: 7, max_repairs: 1}\n"
    )
    environ = {
        "PGVEIL_LISTEN": "127.0.0.1:2221",
        "PGVEIL_HTTP": "127.0.0.1:2222",
        "PGVEIL_ASK__MAX_ROWS": "8",
    }
    settings = load_settings({"listen": "127.0.0.1:3331"}, environ, tmp_path)
    assert (settings.listen.port, settings.http.port) == (3331, 2222)
    assert (settings.ask.max_rows, settings.ask.max_repairs, settings.ask.max_cost) == (8, 1, 1_000_000)


def test_every_flag_is_a_variable_and_a_setting(tmp_path: Path) -> None:
    values = {
        "listen": "127.0.0.1:1",
        "upstream": "postgresql://app@db/shop",
        "policies": "rules",
        "http": "127.0.0.1:2",
        "workers": "1",
    }
    assert values.keys() == FLAGS.keys()
    by_flag = load_settings(values, {}, tmp_path)
    by_variable = load_settings(NO_FLAGS, {f"PGVEIL_{k.upper()}": v for k, v in values.items()}, tmp_path)
    assert by_flag == by_variable
    assert by_flag.upstream.dsn == UpstreamDsn("db", 5432, "app", None, "shop")
    assert by_flag.policies == tmp_path / "rules"


def test_config_comes_from_flag_or_variable(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("listen: 127.0.0.1:1\n")
    (tmp_path / "b.yaml").write_text("listen: 127.0.0.1:2\n")
    environ = {"PGVEIL_CONFIG": "b.yaml"}
    assert load_settings(NO_FLAGS, environ, tmp_path).listen.port == 2
    assert load_settings({"config": "a.yaml"}, environ, tmp_path).listen.port == 1


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"other\.yaml: cannot be read: No such file"):
        load_settings({"config": "other.yaml"}, {}, tmp_path)


def test_paths_in_a_file_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "p.yaml").write_text("policies: rules\nauth: {users: u.txt}\naudit: {path: /var/a.jsonl}\n")
    settings = load_settings({"config": "etc/p.yaml"}, {}, tmp_path)
    assert settings.policies == tmp_path / "etc" / "rules"
    assert settings.auth.users == tmp_path / "etc" / "u.txt"
    assert settings.audit.path == Path("/var/a.jsonl")


def test_null_turns_the_audit_off(tmp_path: Path) -> None:
    assert load_file(tmp_path, "audit: {path: null}\n").audit.path is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nlisten_on: x\n", "pgveil.yaml:2: unknown setting listen_on; did you mean listen?"),
        ("ask:\n  provder: embedded\n", "pgveil.yaml:2: unknown setting ask.provder; did you mean provider?"),
        ("zzz: 1\n", "pgveil.yaml:1: unknown setting zzz; known: ask, audit, auth,"),
        ("http: a:1\nlisten: a:1\nhttp: b:2\n", "pgveil.yaml:3: http is given twice"),
        ("ask:\n  openai: {model: a,\n    model: b}\n", "pgveil.yaml:3: ask.openai.model is given twice"),
        ("ask: &a {max_rows: 1}\naudit: *a\n", "pgveil.yaml:2: an alias (*) has no place in settings"),
        ("a: &a\n  b: *a\n", "pgveil.yaml:2: an alias (*) has no place in settings"),
        ("- listen\n", "pgveil.yaml:1: expected settings"),
        ("listen: 127.0.0.1:6432\n  x: 1\n", "pgveil.yaml:2: is not YAML"),
        ("listen: [\n", "pgveil.yaml:2: is not YAML"),
        ("listen: \x01\n", "is not YAML: it holds a character"),
        ("listen: 9999\n", "pgveil.yaml:1: listen: expected HOST:PORT"),
        ("listen: [::1]:6432\n", "pgveil.yaml:1: is not YAML"),
        ("listen: localhost:99999\n", "listen: a port is a number from 0 to 65535"),
        ("ask: 7\n", "pgveil.yaml:1: ask: Input should be"),
        ("ask: {max_rows: many}\n", "pgveil.yaml:1: ask.max_rows: Input should be a valid integer"),
        ("ask: {max_cost: .inf}\n", "ask.max_cost: Input should be a finite number"),
        ("ask: {provider: gpt}\n", "ask.provider: Input should be 'embedded', 'openai' or 'llama_cpp'"),
        ("ask: {provider: openai}\n", "ask.openai.model: the openai provider needs a model"),
        ("ask: {provider: llama_cpp}\n", "llama_cpp is not there yet"),
        ("workers: 0\n", "pgveil.yaml:1: workers: Input should be greater than or equal to 1"),
        ("workers: auto\n", "pgveil.yaml:1: workers: Input should be a valid integer"),
        ("workers: 256\n", "pgveil.yaml:1: workers: Input should be less than or equal to 255"),
        ("auth: {method: cert}\n", "pgveil.yaml:1: auth.method: cert needs an authority of clients' certificates"),
        ("auth: {method: cert}\ntls: {cert: a, key: b}\n", "auth.method: cert needs an authority"),
        ("auth: {method: password}\n", "auth.method: a password in clear text needs TLS"),
        ("tls: {cert: a, key: b, client_cert: require}\n", "tls.client_cert: it needs an authority"),
        ("tls: {cert: a}\n", "tls.key: Field required"),
        ("auth: {cert_map: a}\n", "auth.cert_map: only auth.method: cert has names of certificates"),
        ("auth: {cert_name: dn}\n", "auth.cert_name: only auth.method: cert has names of certificates"),
        ("auth: {method: trust, query: default}\n", "auth.query: trust asks nobody for verifiers"),
        ("auth: {method: trust, query_dsn: 'postgresql://a@b/c'}\n", "auth.query_dsn: trust asks nobody"),
        ("upstream: {login: same_user}\n", "the embedded PostgreSQL lets anybody in as anybody"),
        (
            "upstream: {dsn: 'postgresql://a@b/c?sslmode=requires'}\n",
            "sslmode that is not known; did you mean require?",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "tls: {cert: a, key: b}\n",
        "tls: {cert: a, key: b, client_ca: c, client_cert: require, require: true}\n",
        "auth: {method: cert, cert_name: dn, cert_map: m}\ntls: {cert: a, key: b, client_ca: c}\n",
        "auth: {method: password, query: default}\ntls: {cert: a, key: b}\n",
        "auth: {query_dsn: 'postgresql://a@b/c'}\n",
    ],
)
def test_logins_over_tls_load(tmp_path: Path, text: str) -> None:
    assert load_file(tmp_path, text).listen.port == 6432


def test_one_problem_has_its_hint_apart(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_file(tmp_path, "ask: {provider: llama_cpp}\n")
    assert caught.value.hint == "use provider: embedded, or provider: openai with the base_url of a llama.cpp server"


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "pgveil.yaml").write_text("listen: x\naks: 1\nhttp: a:1\nhttp: a:2\n")
    with pytest.raises(SettingsError) as caught:
        load_settings({"workers": "0"}, {"PGVEIL_ASK__MAX_ROWS": "-1"}, tmp_path)
    places = sorted(problem.place.removeprefix(f"{tmp_path}/") for problem in caught.value.problems)
    assert places == ["--workers", "PGVEIL_ASK__MAX_ROWS", "pgveil.yaml:1", "pgveil.yaml:2", "pgveil.yaml:4"]


def test_every_conflict_is_reported_at_once(tmp_path: Path) -> None:
    text = refusal(tmp_path, "ask:\n  provider: llama_cpp\nauth:\n  method: trust\nlisten: 0.0.0.0:6432\n")
    assert "pgveil.yaml:2: ask.provider" in text
    assert "pgveil.yaml:4: auth.method: trust lets anybody in" in text


def test_conflicts_are_reported_beside_values_that_are_wrong_by_themselves(tmp_path: Path) -> None:
    text = refusal(
        tmp_path,
        """
workers: none
auth: {method: cert}
tls: {cert: a}
upstream: {login: same_user, dsn: "postgresql://a@b/c?sslmode=x"}
ask: {provider: llama_cpp, max_rows: many}
nonsense: 1
""",
    )
    lines = [line.removeprefix(f"{tmp_path}/pgveil.yaml:") for line in text.splitlines()]
    said = sorted(line.split(":")[0] + line.split(":")[1] for line in lines)
    assert said == [
        "2 workers",
        "3 auth.method",
        "4 tls.key",
        "5 upstream.dsn",
        "5 upstream.login",
        "6 ask.max_rows",
        "6 ask.provider",
        "7 unknown setting nonsense; known",
    ]


def test_what_is_wrong_by_itself_is_no_conflict_too(tmp_path: Path) -> None:
    text = refusal(tmp_path, "ask: {provider: openai, openai: {model: [a]}}\n")
    assert text.count("model") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost"])
def test_trust_is_for_loopback(host: str) -> None:
    settings = Settings.model_validate({"listen": f"{host}:0", "auth": {"method": "trust"}})
    assert settings.listen.is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "[::]", "localhost.example.com", "*"])
def test_trust_is_refused_elsewhere_however_settings_are_built(host: str) -> None:
    with pytest.raises(ValidationError, match="trust lets anybody in"):
        Settings(listen=HostPort.parse(f"{host}:0"), auth=AuthSettings(method="trust"))


def test_an_unknown_variable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"PGVEIL_LISTN: no setting has this variable; did you mean PGVEIL_LISTEN\?"
    ):
        load_settings(NO_FLAGS, {"PGVEIL_LISTN": "127.0.0.1:1"}, tmp_path)


def test_variables_that_kubernetes_sets_are_not_ours(tmp_path: Path) -> None:
    environ = {
        "PGVEIL_SERVICE_HOST": "10.0.0.1",
        "PGVEIL_SERVICE_PORT_PG": "6432",
        "PGVEIL_PORT": "tcp://10.0.0.1:6432",
        "PGVEIL_PORT_6432_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(NO_FLAGS, environ, tmp_path) == load_settings(NO_FLAGS, {}, tmp_path)


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert load_settings(NO_FLAGS, {"PGVEIL_UPSTREAM": ""}, tmp_path).upstream.dsn is None


def test_every_setting_has_a_description_and_its_own_variable() -> None:
    fields = list(setting_fields())
    assert all(info.description for _, info in fields)
    assert len({variable_name(path) for path, _ in fields}) == len(fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://app@127.0.0.1:5433/shop", UpstreamDsn("127.0.0.1", 5433, "app", None, "shop")),
        ("postgres://app@db", UpstreamDsn("db", 5432, "app", None, "app")),
        ("postgresql://app@[::1]:5433/shop", UpstreamDsn("::1", 5433, "app", None, "shop")),
        ("postgresql://a%40b@%2Frun%2Fpg/d%2Fb", UpstreamDsn("/run/pg", 5432, "a@b", None, "d/b")),
        ("postgresql:///d?host=/run/pg&port=7&user=u", UpstreamDsn("/run/pg", 7, "u", None, "d")),
        ("postgresql://u:@/d?host=/run/pg", UpstreamDsn("/run/pg", 5432, "u", None, "d")),
        ("postgresql://u@/d?dbname=e", UpstreamDsn("localhost", 5432, "u", None, "e")),
        (
            "postgresql://u@a:1,b,[::1]:3/d",
            UpstreamDsn("a", 1, "u", None, "d", others=(UpstreamHost("b", 5432), UpstreamHost("::1", 3))),
        ),
        ("postgresql://u@/d?host=a,/run/pg&port=7", UpstreamDsn("a", 7, "u", None, "d", others=(SOCKET_7,))),
        (
            "postgresql://u@%2Frun%2Fpg:7,b:7/d",
            UpstreamDsn("/run/pg", 7, "u", None, "d", others=(UpstreamHost("b", 7),)),
        ),
    ],
)
def test_connection_uris(text: str, expected: UpstreamDsn) -> None:
    assert UpstreamDsn.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app@127.0.0.1:5433/shop",
        "postgresql://a%40b:p%2F%3A%25%20w@[::1]:5433/d%2Fb?application_name=a+b",
        "postgresql://u@/d?host=/run/p%20g&port=7",
        "postgresql://u@a,b:2/d?sslmode=verify-full&sslrootcert=/a%20b.crt&sslpassword=p%2Bq&connect_timeout=3",
        "postgresql://u@/d?host=a,/run/pg,::1&port=1,2,3&target_session_attrs=standby&load_balance_hosts=random",
    ],
)
def test_a_uri_is_written_as_it_is_read(text: str) -> None:
    dsn = UpstreamDsn.parse(text)
    assert UpstreamDsn.parse(dsn.uri()) == dsn


def test_a_socket_directory_gives_the_socket() -> None:
    assert UpstreamDsn.parse("postgresql://u@/d?host=/run/pg").socket_path == "/run/pg/.s.PGSQL.5432"
    assert UpstreamDsn.parse("postgresql://u@h/d").socket_path is None


def test_a_plus_in_a_uri_is_a_plus() -> None:
    assert UpstreamDsn.parse("postgresql://u@h/d?application_name=a+b").options == {"application_name": "a+b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host=db user=app", "expected postgresql://"),
        ("mysql://a@b/c", "expected postgresql://"),
        ("postgresql://db/shop", "user is missing"),
        ("postgresql://u@h:0/c", "a port is a number from 1"),
        ("postgresql://u@h:5x/c", "a port is a number from 1"),
        ("postgresql://u@[::1/c", "cannot be read"),
        ("postgresql://u@h/c?sslmod=disable", "not known: sslmod; did you mean sslmode?"),
        ("postgresql://u@h/c?sslmode=verify", "sslmode that is not known; did you mean verify-"),
        ("postgresql://u@h/c?sslmode=prefer&sslrootcert=system", "too weak for sslrootcert=system"),
        ("postgresql://u@h/c?sslnegotiation=direct", "too weak for sslnegotiation=direct"),
        ("postgresql://u@h/c?sslmode=disable&channel_binding=require", "channel_binding=require needs TLS"),
        ("postgresql://u@h/c?target_session_attrs=readonly", "did you mean read-only?"),
        ("postgresql://u@h/c?connect_timeout=soon", "connect_timeout in the upstream's URI is not a whole number"),
        ("postgresql://u@h/c?keepalives=yes", "keepalives in the upstream's URI is 0 or 1"),
        ("postgresql://u@h/c?keepalives_idle=99999999999", "not a whole number"),
        ("postgresql://u@h/c?min_protocol_version=3.2&max_protocol_version=3.0", "above max_protocol_version"),
        ("postgresql://u@h/c?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "above ssl_max"),
        ("postgresql://u@a,b,c/d?port=1,2", "2 ports do not match 3 hosts"),
        ("postgresql://u@a,b:x/d", "a port is a number from 1"),
        ("postgresql://u@a,[::1/d", "cannot be read"),
        ("postgresql://u%00x@h/c", "zero byte"),
        ("postgresql://u:secret9137%00@h/c", "zero byte"),
        ("postgresql://u@h/c?sslcert=a%00", "zero byte"),
        ("postgresql://u@h/c\0", "zero byte"),
    ],
)
def test_uris_that_are_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        UpstreamDsn.parse(text)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ("prefer", None, 0, 0)),
        ("sslrootcert=system", ("verify-full", None, 0, 0)),
        ("connect_timeout=3&sslmode=REQUIRE", ("require", 3.0, 0, 0)),
        ("connect_timeout=-1", ("prefer", None, 0, 0)),
        ("max_protocol_version=latest", ("prefer", None, 0, 2)),
        ("min_protocol_version=3.2", ("prefer", None, 2, 2)),
    ],
)
def test_what_a_uri_says_about_the_connection(query: str, expected: tuple[object, ...]) -> None:
    link = UpstreamDsn.parse(f"postgresql://u@h/d?{query}").link
    assert (link.tls.mode, link.connect_timeout_s, link.min_minor, link.max_minor) == expected


def test_the_password_of_a_key_is_never_shown() -> None:
    dsn = UpstreamDsn.parse("postgresql://u@h/d?sslkey=k.pem&sslpassword=secret9137")
    assert "9137" not in f"{dsn} {dsn!r}"
    assert "9137" in dsn.uri()


def test_a_password_is_kept_and_never_shown(tmp_path: Path) -> None:
    settings = load_file(tmp_path, "upstream: {dsn: 'postgresql://app:p%40ss-9137@db/shop'}\n")
    dsn = settings.upstream.dsn
    assert dsn is not None
    assert dsn.password is not None
    assert dsn.password.get_secret_value() == "p@ss-9137"
    assert "9137" not in f"{settings!r} {settings} {dsn!r} {dsn}"


@pytest.mark.parametrize(
    "tail", ["@db:x/shop", "@a,b/shop?port=1,2,3", "@[::1/shop", "@db/shop?a=1", "@db/d?sslmode=x"]
)
def test_a_refused_uri_never_shows_its_password(tmp_path: Path, tail: str) -> None:
    assert "secret9137" not in refusal(tmp_path, f"upstream: {{dsn: 'postgresql://app:secret9137{tail}'}}\n")


def test_the_api_key_is_read_from_the_variable_that_is_named() -> None:
    openai = Settings.model_validate({"ask": {"openai": {"api_key_env": "MY_KEY"}}}).ask.openai
    key = openai.api_key({"MY_KEY": "k-9137"})
    assert key is not None
    assert key.get_secret_value() == "k-9137"
    assert openai.api_key({}) is None
