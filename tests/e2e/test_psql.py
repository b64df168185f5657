"""psql through the proxy: its backslash commands, scripts and copies, as a masked role."""

from __future__ import annotations

from pathlib import Path

import pytest
from client_kinds import Psql
from client_stage import Stage, assert_masked, assert_same
from office_front import Office
from office_world import EMPLOYEES, secrets_in
from psql_session import BYPASS, BYPASS_SINCE_16, CORE, SINCE_16, SINCE_18, psql

from proxy import localpg

BACKSLASH = r"""
\d
\d+
\dt
\dt+
\dt hr.*
\d hr.emp
\d+ hr.emp
\d shop.orders
\dv
\dv+ hr.*
\d+ hr.directory
\di
\di+ hr.*
\ds
\dn
\dn+
\dT
\dT+ shop.*
\df
\df+ hr.*
\da
\do
\du
\du+
\dg
\l
\l+
\dp
\z hr.emp
\ddp
\dd
\db
\dc
\dC
\dD
\dx
\dy
\dO
\drds
\dF
\dL
\dRp
\dRs
\des
\det
\dew
\deu
\dPt
\dP
\dm
\dE
\sv hr.directory
\conninfo
\encoding
"""


@pytest.mark.parametrize("command", BACKSLASH.strip().splitlines())
def test_psql_backslash_commands_work_for_a_masked_role(command: str, office: Office) -> None:
    done = Psql(office.through("analyst")).script(f"{command}\n", "-v", "ON_ERROR_STOP=1")
    assert done.returncode == 0
    assert done.stderr == "" or done.stderr.lower().startswith("did not find any")
    assert secrets_in(done.stdout + done.stderr) == []


def test_psql_lists_what_is_there(office: Office) -> None:
    psql = Psql(office.through("analyst"))
    described = psql.script("\\d hr.emp\n").stdout
    assert all(column in described for column in ("ssn", "salary", "numeric(12,2)", "emp_pkey"))
    assert "orders" in psql.script("\\dt shop.*\n").stdout
    assert "The people who work here" in psql.script("\\dt+ hr.*\n").stdout


def test_psql_variables_loops_and_scripts(office: Office) -> None:
    psql = Psql(office.through("analyst"))
    script = """
        SELECT count(*) AS n FROM hr.emp \\gset
        \\echo :n people
        SELECT format('SELECT %s AS made', id) FROM hr.emp WHERE id < 3 ORDER BY id \\gexec
        SELECT ssn FROM hr.emp WHERE id = 1 \\gx
        SELECT id, dept, name FROM hr.emp WHERE id < 4 \\crosstabview id dept name
        SELECT salary FROM hr.emp \\gdesc
    """
    done = psql.script(script, "-v", "ON_ERROR_STOP=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{EMPLOYEES} people" in done.stdout
    assert "****-**01" in done.stdout
    assert secrets_in(done.stdout) == []


def test_psql_copies_out_and_in(office: Office, tmp_path: Path) -> None:
    dba, analyst = Psql(office.through("dba")), Psql(office.through("analyst"))
    out = analyst.script(f"\\copy hr.emp TO '{tmp_path}/emp.csv' CSV HEADER\n")
    assert out.stderr == ""
    written = (tmp_path / "emp.csv").read_text()
    assert written.startswith("id,name,dept,ssn")
    assert len(written.splitlines()) == EMPLOYEES + 1
    assert secrets_in(written) == []
    (tmp_path / "diary.csv").write_text("first,1\nsecond,2\n")
    into = dba.script(
        f"\\copy shop.diary (line, amount) FROM '{tmp_path}/diary.csv' CSV\nSELECT line FROM shop.diary;\n"
    )
    assert into.stderr == ""
    assert "second" in into.stdout
    refused = analyst.script(f"\\copy shop.diary (line, amount) FROM '{tmp_path}/diary.csv' CSV\n")
    assert "ERROR" in refused.stderr
    dba.script("TRUNCATE shop.diary;\n")


SESSIONS = [CORE, SINCE_16, SINCE_18]


@pytest.mark.parametrize("session", [*SESSIONS, BYPASS, BYPASS_SINCE_16])
def test_psql_cannot_tell_them_apart(session: str, stage: Stage) -> None:
    direct, proxied = stage.play(psql(localpg.binaries() / "psql", session))
    assert_same(direct, proxied)
    assert len(direct.lines) >= 2


@pytest.mark.parametrize("session", SESSIONS)
def test_psql_of_a_masked_role_sees_the_masked_views(session: str, stage: Stage) -> None:
    direct, proxied = stage.play_masked(psql(localpg.binaries() / "psql", session))
    assert_masked(direct, proxied)
    assert len(direct.lines) >= 2
