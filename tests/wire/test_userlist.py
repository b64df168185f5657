"""The file of users: pgbouncer's format, verifiers only, and every refusal with file and line but no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.wire.scram import Verifier, make_verifier
from proxy.wire.userlist import Userlist, load_userlist

ANA = make_verifier("ana's")
BOB = make_verifier("bob's")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "users.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_users_and_verifiers_are_read(tmp_path: Path) -> None:
    text = f'; who may log in\n\n"ana" "{ANA}"\n  "bo""b"\t"{BOB}" and the rest is ignored\r\n'
    users = load_userlist(write(tmp_path, text))
    assert dict(users) == {"ana": ANA, 'bo"b': BOB}
    assert users.find("ana") == (Verifier.parse(ANA), True)


def test_an_empty_file_has_no_users(tmp_path: Path) -> None:
    assert len(load_userlist(write(tmp_path, ""))) == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('"eve" "hunter2"', "the secret is a password"),
        ('"eve" ""', "the secret is a password"),
        ('"eve" "md5' + "0" * 32 + '"', "the secret is an md5 hash"),
        ('"eve" "SCRAM-SHA-256$hunter2"', "not a SCRAM-SHA-256 verifier"),
        ('"eve"', "expected"),
        ("eve hunter2", "expected"),
        ('"eve" "hunter2', "expected"),
        (f'"" "{ANA}"', "name is empty"),
        (f'"ana" "{BOB}"', "listed twice"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_without_its_secret(tmp_path: Path, line: str, why: str) -> None:
    path = write(tmp_path, f'"ana" "{ANA}"\n{line}\n')
    with pytest.raises(ConfigError, match=why) as caught:
        load_userlist(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "hunter2" not in str(caught.value)
    assert why == "listed twice" or "pgveil user" in str(caught.value.hint)


def test_a_file_that_is_not_there_is_the_operators_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_userlist(tmp_path / "users.txt")


def test_a_file_that_is_not_utf8_is_the_operators_error(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_bytes(b'"caf\xe9" "x"\n')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_userlist(path)


def test_a_user_who_does_not_exist_looks_like_one_who_does() -> None:
    longer = Verifier(10_000, b"s" * 24, b"k" * 32, b"k" * 32).encode()
    users = Userlist({"ana": longer})
    real, fake = users.find("ana")[0], users.find("eve")[0]
    assert (fake.iterations, len(fake.salt)) == (real.iterations, len(real.salt))
    assert fake.salt not in {real.salt, users.find("mallory")[0].salt}
    assert users.find("eve")[1] is False


def test_a_made_up_salt_stays_the_same_in_every_worker_and_after_a_restart() -> None:
    orders = ([("a", ANA), ("b", BOB)], [("b", BOB), ("a", ANA)])
    salts = {Userlist(dict(pairs)).find("eve")[0].salt for pairs in orders}
    assert len(salts) == 1


def test_a_made_up_salt_cannot_be_computed_without_the_file() -> None:
    assert Userlist({"a": ANA}).find("eve")[0].salt != Userlist({"a": BOB}).find("eve")[0].salt
    assert Userlist({}).find("eve")[0].salt != Userlist({}).find("eve")[0].salt


def test_an_empty_list_makes_up_from_what_every_worker_has() -> None:
    one, two, other = (Userlist({}, seed).find("eve")[0].salt for seed in (b"s", b"s", b"t"))
    assert one == two != other


def test_the_repr_shows_no_secret() -> None:
    assert repr(Userlist({"ana": ANA})) == "Userlist(1 users)"
