"""Transaction pooling with one connection for everybody: what two clients must not notice of each other, and what each
of them has to have as if it were alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from conftest import Serve, create_database
from pool_world import (
    DATABASE,
    FLUSH,
    SYNC,
    TABLES,
    Shared,
    bind,
    close,
    describe,
    execute,
    kinds,
    message,
    open_shared,
    parse,
    query,
    run,
)
from probes import eventually, metric

from proxy import localpg


@pytest.fixture(scope="module")
def pooled_dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, TABLES)


@pytest.fixture(scope="module")
def shared(pooled_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return open_shared(serve, pooled_dsn, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def pair(shared: Shared) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    with shared.connect() as one, shared.connect() as other:
        yield one, other


def backend(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def value(connection: psycopg.Connection, sql: str) -> object:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


# One connection, many clients


def test_clients_take_turns_on_one_connection(shared: Shared) -> None:
    connections = [shared.connect() for _ in range(5)]
    try:
        assert len({backend(connection) for connection in connections}) == 1
    finally:
        for connection in connections:
            connection.close()


def test_a_transaction_keeps_its_connection_and_others_wait(shared: Shared) -> None:
    with shared.connect() as one, shared.connect() as other:
        one.execute("BEGIN")
        one.execute("INSERT INTO notes (text) VALUES ('one')")
        answers: list[object] = []
        waiting = threading.Thread(target=lambda: answers.append(value(other, "SELECT 7")))
        waiting.start()
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the other one waits")
        assert answers == []
        one.execute("ROLLBACK")
        waiting.join()
        assert answers == [7]


def are_waiting(shared: Shared, number: int) -> bool:
    return metric(shared.proxy, "pgveil_pool_waiting") == number


def test_the_queue_is_first_come_first_served(shared: Shared) -> None:
    with shared.connect() as blocker:
        blocker.execute("BEGIN")
        threads = []
        for number in range(4):
            connection = shared.connect()

            def work(connection: psycopg.Connection = connection, number: int = number) -> None:
                with connection:
                    connection.execute(f"INSERT INTO notes (text) VALUES ('turn {number}')")

            threads.append(threading.Thread(target=work))
            threads[-1].start()
            eventually(partial(are_waiting, shared, number + 1), "it waits")
        blocker.execute("COMMIT")
        for thread in threads:
            thread.join()
        turns = blocker.execute("SELECT text FROM notes WHERE text LIKE 'turn%' ORDER BY id").fetchall()
    assert turns == [(f"turn {number}",) for number in range(4)]


# What a session leaves


@pytest.mark.parametrize(
    "setting",
    [
        "SET work_mem = '5MB'",
        "SELECT set_config('work_mem', '5MB', false)",
        "DO $$ BEGIN SET work_mem = '5MB'; END $$",
        "BEGIN; SET work_mem = '5MB'; COMMIT",
    ],
)
def test_settings_stay_with_the_client_that_made_them(
    pair: tuple[psycopg.Connection, psycopg.Connection], setting: str
) -> None:
    one, other = pair
    before = value(other, "SHOW work_mem")
    one.execute(setting)
    assert value(other, "SHOW work_mem") == before
    assert value(one, "SHOW work_mem") == "5MB"
    assert value(other, "SHOW work_mem") == before
    one.execute("RESET work_mem")
    assert value(one, "SHOW work_mem") == before


def test_a_setting_that_is_rolled_back_is_none(pair: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    one, other = pair
    before = value(one, "SHOW work_mem")
    one.execute("BEGIN; SET work_mem = '5MB'; ROLLBACK")
    assert value(other, "SHOW work_mem") == before
    assert value(one, "SHOW work_mem") == before


def test_settings_of_ones_own_names(pair: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    one, other = pair
    one.execute("SET app.tenant = 'it''s \\ 1'")
    assert value(other, "SELECT current_setting('app.tenant', true)") in (None, "")
    other.execute("SET app.tenant = '2'")
    assert value(one, "SELECT current_setting('app.tenant')") == "it's \\ 1"
    assert value(other, "SELECT current_setting('app.tenant')") == "2"


def test_what_a_function_of_a_user_sets_stays_too(pair: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    one, other = pair
    one.execute("SELECT remember('mine')")
    assert value(other, "SELECT current_setting('app.remembered', true)") in (None, "")
    assert value(one, "SELECT current_setting('app.remembered')") == "mine"


def test_search_path_of_two_clients(pair: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    one, other = pair
    one.execute("SET search_path TO other, public")
    for _ in range(3):
        assert value(one, "SELECT name FROM people ORDER BY id LIMIT 1") == "somebody else"
        assert value(other, "SELECT name FROM people ORDER BY id LIMIT 1") == "person 1"


def test_local_settings_end_with_their_transaction(pair: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    one, other = pair
    before = value(other, "SHOW TimeZone")
    with one.transaction():
        one.execute("SET LOCAL TimeZone = 'Asia/Kolkata'")
        assert value(one, "SHOW TimeZone") == "Asia/Kolkata"
    assert value(other, "SHOW TimeZone") == before
    assert value(one, "SHOW TimeZone") == before


def test_the_client_hears_of_settings_as_if_it_were_alone(shared: Shared) -> None:
    """ParameterStatus: only of what it has set itself."""
    with shared.connect() as one, shared.connect() as other:
        zone = other.info.timezone
        one.execute("SET TimeZone = 'Asia/Kolkata'")
        other.execute("SELECT 1")
        assert other.info.timezone == zone
        assert str(one.info.timezone) == "Asia/Kolkata"
        one.execute("SELECT 1")
        assert one.info.parameter_status("TimeZone") == "Asia/Kolkata"


def test_application_names_are_each_clients_own(shared: Shared) -> None:
    with shared.raw(application_name="one") as one, shared.raw(application_name="two") as two:
        for _ in range(2):
            assert one.simple("SHOW application_name").data[0].endswith(b"one")
            assert two.simple("SHOW application_name").data[0].endswith(b"two")


@pytest.mark.parametrize(
    ("makes", "sees", "ends"),
    [
        ("CREATE TEMP TABLE kept AS SELECT 1 AS a", "SELECT a FROM kept", "DROP TABLE kept"),
        ("SELECT 1 AS a INTO TEMP kept", "SELECT a FROM kept", "DISCARD TEMP"),
        ("SELECT make_temp()", "SELECT a FROM kept", "DISCARD ALL"),
        ("PREPARE kept AS SELECT 1", "EXECUTE kept", "DEALLOCATE kept"),
        ("DECLARE kept CURSOR WITH HOLD FOR SELECT 1", "SELECT 1 FROM pg_cursors WHERE is_holdable", "CLOSE ALL"),
        (
            "SELECT pg_advisory_lock(77)",
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            "SELECT pg_advisory_unlock(77)",
        ),
        ("LISTEN kept", "SELECT 1 FROM pg_listening_channels()", "UNLISTEN kept"),
    ],
)
def test_what_cannot_move_keeps_the_connection_until_it_is_gone(
    shared: Shared, makes: str, sees: str, ends: str
) -> None:
    notices: list[str] = []
    with shared.connect() as one, shared.connect() as other:
        one.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        one.execute(makes)
        assert value(one, sees) == 1
        assert [n for n in notices if "keeps its connection" in n] != []
        got: list[object] = []
        waiting = threading.Thread(target=lambda: got.append(value(other, "SELECT 2")))
        waiting.start()
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the other one waits")
        assert value(one, sees) == 1
        one.execute(ends)
        waiting.join()
        assert got == [2]
        with pytest.raises(psycopg.Error):
            other.execute("SELECT a FROM kept")


def test_a_client_that_leaves_with_state_takes_its_connection_along(shared: Shared) -> None:
    one = shared.connect()
    one.execute("CREATE TEMP TABLE mine (a int)")
    process = backend(one)
    one.close()
    with shared.connect() as other:
        assert backend(other) != process


def test_a_client_that_dies_in_a_transaction_leaves_none(shared: Shared) -> None:
    with shared.raw() as one:
        one.simple("BEGIN")
        one.simple("INSERT INTO notes (text) VALUES ('never')")
        one.socket.close()
        with shared.connect() as other:
            assert value(other, "SELECT count(*) FROM notes WHERE text = 'never'") == 0
            assert other.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


# Prepared statements by protocol


def test_two_clients_with_one_name_for_two_statements(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other:
        assert kinds(run(one, parse("s", "SELECT 'one'"), SYNC)) == b"1Z"
        assert kinds(run(other, parse("s", "SELECT 'other'"), SYNC)) == b"1Z"
        for _ in range(3):
            assert run(one, bind("s"), execute(), SYNC).data[0].endswith(b"one")
            assert run(other, bind("s"), execute(), SYNC).data[0].endswith(b"other")


def test_a_name_that_is_taken_or_unknown_is_named_as_the_client_did(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other:
        assert kinds(run(one, parse("mine", "SELECT 1"), SYNC)) == b"1Z"
        other.simple("SELECT 1")
        taken = run(one, parse("mine", "SELECT 2"), SYNC).error
        assert (taken["C"], taken["M"]) == ("42P05", 'prepared statement "mine" already exists')
        unknown = run(other, bind("mine"), execute(), SYNC).error
        assert (unknown["C"], unknown["M"]) == ("26000", 'prepared statement "mine" does not exist')
        wrong = run(one, bind("mine", "1", "2"), SYNC).error
        assert wrong["M"] == 'bind message supplies 2 parameters, but prepared statement "mine" requires 0'
        assert kinds(run(one, close("mine"), SYNC)) == b"3Z"
        assert run(one, bind("mine"), SYNC).error["C"] == "26000"
        assert kinds(run(one, parse("mine", "SELECT 3"), bind("mine"), execute(), SYNC)) == b"12DCZ"


def test_the_unnamed_statement_outlives_its_transaction(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other:
        assert kinds(run(one, parse("", "SELECT 'one'"), describe(""), SYNC)) == b"1tTZ"
        assert kinds(run(other, parse("", "SELECT 'other'"), SYNC)) == b"1Z"
        assert run(one, bind(""), execute(), SYNC).data[0].endswith(b"one")
        assert run(other, bind(""), execute(), SYNC).data[0].endswith(b"other")
        other.simple("SELECT 1")
        assert run(other, bind(""), execute(), SYNC).error["C"] == "26000"
        with shared.raw() as third:
            assert run(third, bind(""), execute(), SYNC).error["C"] == "26000"
        assert run(one, bind(""), execute(), SYNC).data[0].endswith(b"one")


def test_an_ignored_parse_of_the_unnamed_statement_leaves_nobody_elses(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other:
        run(other, parse("", "SELECT 'other'"), SYNC)
        one.socket.sendall(parse("x", "no SQL") + parse("", "SELECT 'one'") + SYNC + bind("") + execute() + SYNC)
        assert one.reply().error["C"] == "42601"
        assert one.reply().error["C"] == "26000"


FIRST = parse("a", "SELECT 1") + bind("a") + execute()
PIPELINES = {
    "a name twice": [FIRST + parse("a", "SELECT 2") + SYNC, bind("a") + execute() + SYNC],
    "two syncs": [FIRST + SYNC, SYNC, SYNC, close("a") + parse("a", "SELECT 3") + bind("a") + execute() + SYNC],
    "an error": [
        parse("p", "SELECT 1/0") + bind("p") + execute() + query("SELECT 1") + parse("q", "SELECT 1") + SYNC,
        bind("q") + SYNC,
        bind("p") + SYNC,
    ],
    "a bad parse, and its name again": [
        parse("s", "no SQL") + SYNC,
        parse("s", "SELECT 1") + SYNC,
        bind("s") + execute() + SYNC,
    ],
    "a close that is ignored": [FIRST + SYNC, bind("nobody") + close("a") + SYNC, bind("a") + execute() + SYNC],
    "a transaction block": [
        query("BEGIN"),
        FIRST + SYNC,
        parse("", "SELECT 1/0") + bind("") + execute() + SYNC,
        bind("a") + execute() + SYNC,
        parse("b", "SELECT 1") + SYNC,
        query("ROLLBACK"),
        bind("a") + execute() + SYNC,
        bind("b") + SYNC,
    ],
    "a portal across syncs": [
        query("BEGIN"),
        parse("a", "SELECT generate_series(1, 3)") + bind("a", portal="p") + SYNC,
        execute("p") + SYNC,
        query("COMMIT"),
        execute("p") + SYNC,
    ],
    "implicit transactions": [
        parse("", "INSERT INTO people VALUES (1)") + bind("") + execute() + SYNC,
        query("SELECT 1; SELECT 1/0"),
        query(""),
    ],
    "the unnamed one, and simple queries": [
        parse("", "SELECT 1") + SYNC,
        bind("") + execute() + SYNC,
        query("SELECT 2"),
        bind("") + execute() + SYNC,
        describe("") + SYNC,
    ],
    "deallocate in a pipeline": [FIRST + parse("", "DEALLOCATE a") + bind("") + execute() + SYNC, bind("a") + SYNC],
    "deallocate in a failed transaction": [
        FIRST + SYNC,
        query("BEGIN"),
        query("SELECT 1/0"),
        query("DEALLOCATE a"),
        query("ROLLBACK"),
        bind("a") + execute() + SYNC,
        query("DEALLOCATE a"),
        query("DEALLOCATE a"),
    ],
    "names in SQL": [
        FIRST + SYNC,
        query("EXECUTE a"),
        query("PREPARE b AS SELECT 2"),
        bind("b") + execute() + SYNC,
        parse("b", "SELECT 3") + SYNC,
        query("DEALLOCATE ALL"),
        bind("a") + SYNC,
        FIRST + SYNC,
    ],
    "a flush in the middle": [parse("a", "SELECT 1") + FLUSH + bind("a") + FLUSH + execute() + SYNC],
}


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("together", [False, True])
def test_pipelines_get_the_answers_of_a_connection_of_ones_own(shared: Shared, name: str, together: bool) -> None:
    """Message by message. Another client has prepared something else under the same names in the meantime."""
    with shared.raw() as other:
        run(other, parse("a", "SELECT 'other'"), parse("", "SELECT 'other'"), SYNC)
        parts = PIPELINES[name]
        answers = []
        for make in (shared.raw, shared.raw_direct):
            with make() as client:
                if together:
                    client.socket.sendall(b"".join(parts))
                    answers.append([client.reply().messages for _ in parts])
                else:
                    answers.append([run(client, part).messages for part in parts])
        assert without_noise(answers[0]) == without_noise(answers[1])
        assert run(other, bind("a"), execute(), SYNC).data[0].endswith(b"other")


def without_noise(replies: list[list[tuple[bytes, bytes]]]) -> list[list[tuple[bytes, bytes]]]:
    """Notices apart: those that say that a connection is kept."""
    return [[(tag, body) for tag, body in reply if tag != b"N"] for reply in replies]


def test_flush_without_sync_gets_its_answers_and_keeps_the_connection(shared: Shared) -> None:
    with shared.raw() as one, shared.connect() as other:
        one.socket.sendall(parse("f", "SELECT 'f'") + bind("f") + execute() + FLUSH)
        messages = one.messages()
        assert [next(messages)[0] for _ in range(4)] == [b"1", b"2", b"D", b"C"]
        got: list[object] = []
        waiting = threading.Thread(target=lambda: got.append(value(other, "SELECT 2")))
        waiting.start()
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the other one waits")
        one.socket.sendall(SYNC)
        assert next(messages)[0] == b"Z"
        waiting.join()
        assert got == [2]


def test_a_result_that_changed_is_refused_as_on_a_connection_of_ones_own(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other, shared.direct() as direct:
        direct.execute("DROP TABLE IF EXISTS changing; CREATE TABLE changing AS SELECT 1 AS a")
        sql = "SELECT * FROM changing"
        assert kinds(run(one, parse("c", sql), describe("c"), SYNC)) == b"1tTZ"
        direct.execute("ALTER TABLE changing ADD b int DEFAULT 2")
        stale = run(one, bind("c"), execute(), SYNC).error
        assert (stale["C"], stale["M"]) == ("0A000", "cached plan must not change result type")
        assert kinds(run(other, parse("c", sql), bind("c"), execute(), SYNC)) == b"12DCZ"
        again = run(one, bind("c"), execute(), SYNC).error
        assert (again["C"], again["R"]) == ("0A000", "RevalidateCachedQuery")
        assert kinds(run(one, close("c"), parse("c", sql), bind("c"), execute(), SYNC)) == b"312DCZ"
        assert kinds(run(other, bind("c"), execute(), SYNC)) == b"2DCZ"


def test_deallocate_forgets_what_was_prepared_by_protocol(shared: Shared) -> None:
    with shared.raw() as one, shared.raw() as other:
        for client in (one, other):
            run(client, parse("d", "SELECT 1"), SYNC)
        run(one, parse("e", "SELECT 2"), SYNC)
        assert kinds(one.simple("DEALLOCATE d")) == b"CZ"
        assert run(one, bind("d"), SYNC).error["C"] == "26000"
        assert one.simple("DEALLOCATE d").error["M"] == 'prepared statement "d" does not exist'
        assert kinds(run(one, parse("", "DEALLOCATE e"), bind(""), execute(), SYNC)) == b"12CZ"
        assert run(one, bind("e"), SYNC).error["C"] == "26000"
        assert kinds(run(other, bind("d"), execute(), SYNC)) == b"2DCZ"
        assert kinds(one.simple("DEALLOCATE ALL")) == b"CZ"
        assert kinds(run(other, bind("d"), execute(), SYNC)) == b"2DCZ"
        assert kinds(run(one, parse("d", "SELECT 3"), bind("d"), execute(), SYNC)) == b"12DCZ"


def test_execute_by_sql_finds_what_was_prepared_by_protocol(shared: Shared) -> None:
    with shared.raw() as one, shared.connect() as other:
        run(one, parse("x", "SELECT 5"), SYNC)
        other.execute("SELECT 1")
        assert one.simple("EXECUTE x").data[0].endswith(b"5")
        assert run(one, bind("x"), execute(), SYNC).data[0].endswith(b"5")
        assert one.simple("EXECUTE y").error["M"] == 'prepared statement "y" does not exist'
        one.simple("DEALLOCATE ALL")
        assert value(other, "SELECT 4") == 4


def test_more_statements_than_a_connection_keeps(
    pooled_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = open_shared(serve, pooled_dsn, tmp_path_factory.mktemp("few"), max_prepared=3)
    with shared.raw() as one, shared.raw() as other:
        for number in range(8):
            for client in (one, other):
                assert kinds(run(client, parse(f"s{number}", f"SELECT {number}"), SYNC)) == b"1Z"
        for number in range(8):
            for client in (other, one):
                assert run(client, bind(f"s{number}"), execute(), SYNC).data[0].endswith(str(number).encode())
        assert len(one.simple("SELECT name FROM pg_prepared_statements").data) <= 3


# Sequences


def test_the_last_value_of_a_sequence_is_never_somebody_elses(
    pair: tuple[psycopg.Connection, psycopg.Connection],
) -> None:
    one, other = pair
    with one.transaction():
        one.execute("INSERT INTO notes (text) VALUES ('a')")
        mine = value(one, "SELECT lastval()")
    other.execute("INSERT INTO notes (text) VALUES ('b')")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="last value of a sequence"):
        one.execute("SELECT lastval()")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="last value of a sequence"):
        one.execute("SELECT currval('notes_id_seq')", prepare=True)
    assert value(one, "SELECT max(id) FROM notes WHERE text = 'a'") == mine


@pytest.mark.parametrize("before", ["BEGIN", "BEGIN; SELECT count(*) FROM notes", "SET work_mem = '3MB'"])
def test_whoever_has_taken_no_value_gets_nobody_elses(
    pair: tuple[psycopg.Connection, psycopg.Connection], before: str
) -> None:
    one, other = pair
    other.execute("INSERT INTO notes (text) VALUES ('a')")
    one.execute(before)
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="last value of a sequence"):
        one.execute("SELECT currval('notes_id_seq')")


# COPY


def test_copy_in_and_out_and_its_failures(pair: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    one, other = pair
    with one.cursor() as cursor:
        with cursor.copy("COPY notes (text) FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row((f"copied {number}",))
        other.execute("SELECT 1")
        with cursor.copy("COPY (SELECT text FROM notes WHERE text LIKE 'copied%') TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000
        with pytest.raises(psycopg.errors.BadCopyFileFormat), cursor.copy("COPY notes (id) FROM STDIN") as copy:
            copy.write("1\t2\t3\n")
    assert value(other, "SELECT 1") == 1
    assert value(one, "SELECT 2") == 2


def test_goodbye_in_copy_ends_as_on_a_connection_of_ones_own(shared: Shared) -> None:
    answers = []
    for make in (shared.raw, shared.raw_direct):
        with make() as client:
            client.socket.sendall(
                query("COPY notes (text) FROM STDIN") + message(b"d", b"goodbye\n") + message(b"X", b"")
            )
            answers.append([tag for tag, _ in client.messages()])
    assert answers[0] == answers[1] == [b"G", b"E", b"E"]
    with shared.connect() as other:
        assert value(other, "SELECT count(*) FROM notes WHERE text = 'goodbye'") == 0


def test_reset_gives_back_what_the_startup_packet_said(shared: Shared) -> None:
    with shared.raw(application_name="mine") as one, shared.raw(application_name="other") as other:
        for reset in ("RESET ALL", "DISCARD ALL", "RESET application_name"):
            one.simple("SET application_name = 'changed'")
            assert [body for tag, body in one.simple(reset).messages if tag == b"S"] == [b"application_name\0mine\0"]
            other.simple("SELECT 1")
            assert one.simple("SHOW application_name").data[0].endswith(b"mine")


# Cancel


def test_cancel_stops_the_own_statement_and_never_the_next_clients(shared: Shared) -> None:
    with shared.connect() as one, shared.connect() as other:
        for _ in range(20):
            one.execute("SELECT pg_sleep(0.001)")
            cancelling = threading.Thread(target=one.cancel)
            cancelling.start()
            assert value(other, "SELECT 1 FROM pg_sleep(0.005)") == 1
            cancelling.join()
        failed: list[BaseException] = []

        def sleep() -> None:
            try:
                one.execute("SELECT pg_sleep(60)")
            except psycopg.errors.QueryCanceled as error:
                failed.append(error)

        sleeping = threading.Thread(target=sleep)
        sleeping.start()
        eventually(lambda: metric(shared.proxy, "pgveil_pool_active") == 1, "it runs")
        time.sleep(0.1)
        one.cancel()
        sleeping.join()
        assert len(failed) == 1
        assert value(one, "SELECT 3") == 3


def test_cancel_of_a_statement_that_waits_for_a_connection(shared: Shared) -> None:
    with shared.connect() as one, shared.connect() as other:
        one.execute("BEGIN")
        failed: list[BaseException] = []

        def wait() -> None:
            try:
                other.execute("SELECT 1", prepare=True)
            except psycopg.errors.QueryCanceled as error:
                failed.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "it waits")
        other.cancel()
        waiting.join()
        assert len(failed) == 1
        one.execute("COMMIT")
        assert value(other, "SELECT 1") == 1
