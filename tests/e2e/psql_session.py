"""A session of psql's users, for every psql there is: what it prints, on both its streams, is what is compared."""

from __future__ import annotations

from pathlib import Path

from client_kinds import Place
from client_stage import Program, run

CORE = r"""
\set who 7
\set dept eng
SELECT name, ssn, email FROM hr.emp WHERE id = :who;
SELECT id, ssn FROM hr.emp WHERE dept = :'dept' ORDER BY id;
SELECT count(*) AS people FROM hr.emp \gset
\echo :people people
SELECT :'people'::int + 1 AS "one more";
SELECT id, ssn, salary, tags FROM hr.emp \gdesc
SELECT format('SELECT %s AS made', id) FROM hr.emp WHERE id < 4 ORDER BY id \gexec
SELECT id, dept, ssn FROM hr.emp WHERE id < 5 \crosstabview id dept ssn
SELECT ssn, email FROM hr.emp WHERE id = 1 \gx
SELECT 1 AS one \; SELECT ssn FROM hr.emp WHERE id = 2 \; SELECT 3 AS three;
\set FETCH_COUNT 5
SELECT id, email FROM hr.emp ORDER BY id;
SELECT id, 1 / (id - 8) AS quotient FROM hr.emp ORDER BY id;
\unset FETCH_COUNT
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1 / 0;
SELECT ssn FROM hr.emp WHERE id = 3;
SELECT nothing FROM hr.emp;
COMMIT;
\unset ON_ERROR_ROLLBACK
\set AUTOCOMMIT off
SELECT 1 AS one;
SELECT 1 / 0;
SELECT 2 AS two;
ROLLBACK;
\set AUTOCOMMIT on
\copy (SELECT id, ssn, email FROM hr.emp ORDER BY id) TO STDOUT CSV HEADER
COPY (SELECT id, hired FROM hr.emp ORDER BY id) TO STDOUT;
SELECT * FROM clients.kinds ORDER BY id;
\if :{?people}
  SELECT 'yes' AS branch;
\endif
"""

SINCE_16 = r"""
SELECT ssn FROM hr.emp WHERE id = 5 \watch c=3 i=0.01
SELECT id, ssn FROM hr.emp WHERE id = $1 AND dept = $2 \bind 3 eng \g
SELECT $1::text AS a, $2::text AS b \bind 'it''s' ☃ \g
"""

SINCE_18 = r"""
SELECT id, ssn FROM hr.emp WHERE id = $1 \parse one
\bind_named one 4 \g
\bind_named one 5 \gx
\close_prepared one
\bind_named one 5 \g
\startpipeline
SELECT ssn FROM hr.emp WHERE id = $1 \bind 1 \sendpipeline
SELECT ssn FROM hr.emp WHERE id = $1 \bind 2 \sendpipeline
\flushrequest
\getresults 1
\syncpipeline
SELECT 1 / 0 \bind \sendpipeline
SELECT 2 \bind \sendpipeline
\syncpipeline
SELECT ssn FROM hr.emp WHERE id = $1 \bind 3 \sendpipeline
\getresults
\endpipeline
SELECT 1 AS after;
"""

BYPASS = r"""
\set VERBOSITY verbose
TRUNCATE clients.target RESTART IDENTITY CASCADE;
\copy clients.target (name, amount) FROM STDIN
copied 1	1
copied 2	\N
\.
COPY clients.target (name, amount) FROM STDIN CSV;
"copied, 3",2.5
\.
\copy clients.target (name, amount) FROM STDIN
wrong	no number
\.
\errverbose
INSERT INTO clients.target (name) VALUES ('copied 1');
INSERT INTO clients.target (name, amount) VALUES ('negative', -1);
SELECT id, name, amount FROM clients.target ORDER BY id;
SELECT clients.say('you');
DO $$ BEGIN RAISE WARNING 'from a block'; END $$;
LISTEN "Some channel";
NOTIFY "Some channel";
SELECT 1 AS heard;
\sf clients.letters
\df+ clients.*
\d+ clients.target
\lo_list
TRUNCATE clients.target RESTART IDENTITY CASCADE;
\c -
SELECT current_user, current_database();
\c postgres
SELECT current_database();
\c nowhere
"""


BYPASS_SINCE_16 = r"""
SELECT $1::int \bind x \g
CALL clients.twice($1) \bind 21 \g
INSERT INTO clients.target (name, amount) VALUES ($1, $2) RETURNING amount \bind bound 1.5 \g
INSERT INTO clients.target (name, amount) VALUES ($1, $2) RETURNING amount \bind bound 1.5 \g
TRUNCATE clients.target RESTART IDENTITY CASCADE;
"""


def psql(binary: Path, script: str) -> Program:
    """psql with `script` as its input. Errors stand where they came, between the results."""

    def program(place: Place) -> list[str]:
        command = [
            "sh",
            "-c",
            'exec "$@" 2>&1',
            "sh",
            str(binary),
            "-X",
            "-A",
            "-t",
            "-q",
            "-F",
            " | ",
            "-d",
            place.dsn,
        ]
        lines = run(command, given=script, status=None).stdout.splitlines()
        # psql says which process it was that notified, and which port it could not get a database from.
        return [_without(line, str(place.port)) for line in lines]

    return program


def _without(line: str, port: str) -> str:
    before, notified, _ = line.partition(" from server process with PID ")
    return (before + notified).replace(f"port {port} failed", "port failed")
