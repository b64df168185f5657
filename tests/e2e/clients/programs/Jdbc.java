// What users of pgJDBC do. Arguments: host, port, user, database, then the parts to play.

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Jdbc {
    static String host, port, user, database;
    static boolean core;

    public static void main(String[] args) throws Exception {
        host = args[0];
        port = args[1];
        user = args[2];
        database = args[3];
        List<String> parts = Arrays.asList(args).subList(4, args.length);
        core = parts.stream().anyMatch(part -> part.startsWith("core"));
        for (String part : parts) {
            switch (part) {
                case "core" -> withConnection("", Jdbc::core);
                case "core-simple" -> withConnection("preferQueryMode=simple", Jdbc::core);
                case "core-binary" -> withConnection("prepareThreshold=-1&binaryTransfer=true", Jdbc::core);
                case "values" -> {
                    withConnection("", Jdbc::values);
                    withConnection("prepareThreshold=1", Jdbc::values);
                }
                case "writes" -> withConnection("", Jdbc::writes);
                case "rewritten" -> withConnection("reWriteBatchedInserts=true&prepareThreshold=2", Jdbc::batches);
                case "results" -> withConnection("", Jdbc::results);
                case "events" -> withConnection("", Jdbc::events);
                case "autosave" -> withConnection("autosave=always", Jdbc::transactions);
                case "metadata" -> withConnection("", Jdbc::metadata);
                case "options" -> options();
                default -> throw new IllegalArgumentException(part);
            }
        }
        System.out.println("end");
    }

    interface Work {
        void on(Connection connection) throws Exception;
    }

    interface Action {
        void run() throws Exception;
    }

    static Connection connect(String options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("ApplicationName", "pgJDBC");
        // What libpq reads by itself.
        for (String[] pair : new String[][] {{"password", "PGPASSWORD"}, {"sslmode", "PGSSLMODE"}, {"sslrootcert", "PGSSLROOTCERT"}}) {
            if (System.getenv(pair[1]) != null) properties.setProperty(pair[0], System.getenv(pair[1]));
        }
        String url = "jdbc:postgresql://" + host + ":" + port + "/" + database;
        return DriverManager.getConnection(url + (options.isEmpty() ? "" : "?" + options), properties);
    }

    static void withConnection(String options, Work work) throws Exception {
        try (Connection connection = connect(options)) {
            work.on(connection);
        }
    }

    static void say(Object... what) {
        StringBuilder line = new StringBuilder();
        for (Object part : what) line.append(line.length() == 0 ? "" : " | ").append(text(part));
        System.out.println(line.toString().replace("\n", "\\n"));
    }

    static String text(Object value) {
        if (value instanceof byte[] bytes) return "bytes " + new java.math.BigInteger(1, bytes).toString(16) + "/" + bytes.length;
        if (value instanceof Array array) return "array " + array;
        if (value instanceof Object[] array) return Arrays.deepToString(array);
        if (value instanceof int[] array) return Arrays.toString(array);
        return String.valueOf(value);
    }

    static void attempt(String label, Action action) throws Exception {
        try {
            action.run();
        } catch (BatchUpdateException error) {
            say(label, "batch", error.getUpdateCounts());
            failed(label, error.getNextException());
        } catch (SQLException error) {
            failed(label, error);
        }
    }

    static void failed(String label, SQLException error) {
        ServerErrorMessage server = error instanceof PSQLException psql ? psql.getServerErrorMessage() : null;
        if (server == null) {
            say(label, "error", error.getSQLState(), error.getMessage());
        } else if (core) {
            // A masked role is not told where in PostgreSQL, or at which value, it happened.
            say(label, "error", server.getSQLState(), server.getSeverity(), server.getMessage(), server.getPosition());
        } else {
            say(label, "error", server.getSQLState(), server.getSeverity(), server.getMessage(), server.getPosition(),
                server.getDetail(), server.getHint(), server.getWhere(), server.getSchema(), server.getTable(),
                server.getColumn(), server.getConstraint(), server.getFile(), server.getLine(), server.getRoutine());
        }
    }

    static void show(String label, ResultSet rows) throws SQLException {
        ResultSetMetaData about = rows.getMetaData();
        StringBuilder columns = new StringBuilder();
        for (int i = 1; i <= about.getColumnCount(); i++) {
            columns.append(about.getColumnLabel(i)).append(' ').append(about.getColumnTypeName(i)).append('/')
                .append(about.getColumnType(i)).append('/').append(about.getPrecision(i)).append('/')
                .append(about.getScale(i)).append("; ");
        }
        say(label, columns);
        while (rows.next()) {
            Object[] row = new Object[about.getColumnCount()];
            for (int i = 0; i < row.length; i++) row[i] = rows.getObject(i + 1);
            StringBuilder line = new StringBuilder(label);
            for (Object value : row) line.append(" | ").append(text(value));
            say(line);
        }
        rows.close();
    }

    static void query(Connection c, String sql) throws Exception {
        attempt(sql, () -> {
            try (Statement statement = c.createStatement()) {
                boolean rows = statement.execute(sql);
                while (rows || statement.getUpdateCount() != -1) {
                    if (rows) show(sql, statement.getResultSet());
                    else say(sql, "count", statement.getUpdateCount());
                    for (SQLWarning w = statement.getWarnings(); w != null; w = w.getNextWarning()) {
                        say("warning", w.getSQLState(), w.getMessage());
                    }
                    statement.clearWarnings();
                    rows = statement.getMoreResults();
                }
            }
        });
    }

    // What a masked role may do as well.
    static void core(Connection c) throws Exception {
        for (String sql : List.of(
            "SELECT * FROM hr.emp ORDER BY id", "SELECT * FROM shop.orders ORDER BY id LIMIT 7",
            "SELECT * FROM clients.kinds ORDER BY id", "SELECT to_jsonb(e) AS whole FROM hr.emp e ORDER BY id LIMIT 3",
            "SELECT dept, count(*), sum(salary), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept", "", ";;",
            "SELECT 1 AS one; SELECT ssn FROM hr.emp WHERE id = 2; SELECT 3", "SELECT nothing FROM hr.emp", "SELEC 1",
            "SELECT ssn::int FROM hr.emp", "SELECT 1 / 0", "VALUES (1, 'a')", "SHOW server_version",
            "{fn now()}", "SELECT {fn ucase('x')}, {d '2024-02-29'}")) query(c, sql);
        // The sixth execution is of a prepared statement, in binary.
        try (PreparedStatement p = c.prepareStatement("SELECT id, ssn, email, salary, hired FROM hr.emp WHERE id = ?")) {
            for (int id = 1; id <= 8; id++) {
                p.setInt(1, id);
                show("prepared", p.executeQuery());
            }
            p.setNull(1, Types.INTEGER);
            show("null", p.executeQuery());
            say("parameters", p.getParameterMetaData().getParameterTypeName(1), p.getMetaData().getColumnCount());
        }
        try (PreparedStatement p = c.prepareStatement("SELECT id FROM hr.emp WHERE id = ANY(?) AND dept = ? ORDER BY 1")) {
            p.setArray(1, c.createArrayOf("int4", new Integer[] {1, 2, 3, 99}));
            p.setString(2, "eng");
            show("array", p.executeQuery());
        }
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("SELECT id, ssn, tags FROM hr.emp ORDER BY id")) {
            p.setFetchSize(5);
            show("fetch size", p.executeQuery());
            try (ResultSet left = p.executeQuery()) {
                left.next();
                say("left after", left.getInt(1));
            }
            p.setFetchSize(0);
            p.setMaxRows(4);
            show("max rows", p.executeQuery());
        }
        try (PreparedStatement p = c.prepareStatement("SELECT id, email FROM shop.many WHERE id <= 1000 ORDER BY id")) {
            p.setFetchSize(100);
            int count = 0;
            try (ResultSet rows = p.executeQuery()) {
                while (rows.next()) count += rows.getString(2).length();
            }
            say("many", count);
        }
        c.commit();
        transactions(c);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
        say("copied", copies.copyOut("COPY (SELECT id, ssn FROM hr.emp ORDER BY id) TO STDOUT CSV", out), out);
    }

    static void transactions(Connection c) throws Exception {
        c.setAutoCommit(false);
        query(c, "SELECT 1 AS one");
        Savepoint savepoint = c.setSavepoint("here");
        query(c, "SELECT 1 / 0");
        query(c, "SELECT 2 AS two");
        c.rollback(savepoint);
        query(c, "SELECT ssn FROM hr.emp WHERE id = 3");
        c.releaseSavepoint(savepoint);
        c.commit();
        c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        c.setReadOnly(true);
        query(c, "SHOW transaction_isolation");
        query(c, "SHOW transaction_read_only");
        c.rollback();
        c.setReadOnly(false);
        c.setAutoCommit(true);
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        say("valid", c.isValid(20), c.getTransactionIsolation());
    }

    static void values(Connection c) throws Exception {
        Object[][] sent = {
            {"int2", (short) 5}, {"int4", 42}, {"int8", 9007199254740993L}, {"float4", 1.5f}, {"float8", -0.25}, {"numeric", new BigDecimal("1.10")},
            {"text", "x'y\"z\\☃"}, {"bool", true}, {"bytea", new byte[] {0, 1, -1}}, {"date", Date.valueOf("2024-02-29")},
            {"date", LocalDate.of(2024, 2, 29)}, {"timestamp", LocalDateTime.of(2024, 2, 29, 12, 34, 56, 789000000)},
            {"timestamptz", OffsetDateTime.parse("2024-02-29T12:34:56+05:30")}, {"timestamp", Timestamp.valueOf("2024-02-29 01:02:03")},
            {"uuid", UUID.fromString("12345678-9abc-def0-1234-56789abcdef0")}, {"varchar", ""}, {"text", null},
        };
        for (Object[] pair : sent) {
            try (PreparedStatement p = c.prepareStatement("SELECT ?::" + pair[0] + " AS back")) {
                p.setObject(1, pair[1]);
                attempt((String) pair[0], () -> show((String) pair[0], p.executeQuery()));
                attempt((String) pair[0], () -> show((String) pair[0], p.executeQuery()));
            }
        }
        for (String[] pair : new String[][] {{"jsonb", "{\"a\": [1, null]}"}, {"json", "[1, 2]"}, {"inet", "10.0.0.1"},
            {"clients.mood", "glad"}, {"int4range", "[1,5)"}, {"interval", "1 day 2 hours"}, {"point", "(1,2)"}, {"int4", "no number"}}) {
            PGobject object = new PGobject();
            object.setType(pair[0]);
            object.setValue(pair[1]);
            try (PreparedStatement p = c.prepareStatement("SELECT ?::" + pair[0] + " AS back")) {
                p.setObject(1, object);
                attempt(pair[0], () -> show(pair[0], p.executeQuery()));
            }
        }
        try (PreparedStatement p = c.prepareStatement("SELECT ?::text[] AS t, ?::int[][] AS i, ?::uuid[] AS u")) {
            p.setArray(1, c.createArrayOf("text", new String[] {"a,b", null, "\"q\"", ""}));
            p.setArray(2, c.createArrayOf("int4", new Integer[][] {{1, 2}, {3, null}}));
            p.setArray(3, c.createArrayOf("uuid", new UUID[] {new UUID(1, 2)}));
            for (int i = 0; i < 6; i++) show("arrays", p.executeQuery());
        }
        String big = "é".repeat(3000000);
        try (PreparedStatement p = c.prepareStatement("SELECT ?::text, ?::bytea")) {
            p.setString(1, big);
            p.setBytes(2, big.getBytes(StandardCharsets.UTF_8));
            try (ResultSet rows = p.executeQuery()) {
                rows.next();
                say("big", rows.getString(1).equals(big), rows.getBytes(2).length);
            }
        }
        try (CallableStatement call = c.prepareCall("{? = call length(?)}")) {
            call.registerOutParameter(1, Types.INTEGER);
            call.setString(2, "five!");
            call.execute();
            say("function", call.getInt(1));
        }
        query(c, "SELECT clients.say('you')");
        query(c, "SELECT * FROM clients.letters(3)");
        query(c, "CALL clients.twice(21)");
    }

    static final String INSERT = "INSERT INTO clients.target (name, amount, data, tags) VALUES (?, ?, ?, ?)";

    static void fill(PreparedStatement p, Connection c, String name, String amount) throws SQLException {
        p.setString(1, name);
        p.setBigDecimal(2, amount == null ? null : new BigDecimal(amount));
        p.setBytes(3, name == null ? null : name.getBytes(StandardCharsets.UTF_8));
        p.setArray(4, c.createArrayOf("text", new String[] {name, null}));
    }

    static void writes(Connection c) throws Exception {
        query(c, "TRUNCATE clients.target RESTART IDENTITY CASCADE");
        try (PreparedStatement p = c.prepareStatement(INSERT, Statement.RETURN_GENERATED_KEYS)) {
            fill(p, c, "first", "1.50");
            say("inserted", p.executeUpdate());
            show("keys", p.getGeneratedKeys());
            for (String[] wrong : new String[][] {{"first", "1"}, {"second", "-1"}, {null, "1"}, {"third", "12345678901"}}) {
                fill(p, c, wrong[0], wrong[1]);
                attempt("wrong", p::executeUpdate);
            }
        }
        query(c, "INSERT INTO clients.child VALUES (99, 1)");
        batches(c);
        CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
        say("copied in", copies.copyIn("COPY clients.target (name, amount) FROM STDIN", new StringReader("copied\t1\n")));
        attempt("copy", () -> copies.copyIn("COPY clients.target (name, amount) FROM STDIN", new StringReader("x\tno\n")));
        attempt("copy given up", () -> {
            var copy = copies.copyIn("COPY clients.target (name, amount) FROM STDIN");
            copy.writeToCopy("y\t1\n".getBytes(), 0, 4);
            copy.cancelCopy();
        });
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            try (ResultSet rows = s.executeQuery("SELECT id, name, amount FROM clients.target ORDER BY id")) {
                rows.last();
                rows.updateBigDecimal("amount", new BigDecimal("77"));
                rows.updateRow();
                rows.first();
                rows.deleteRow();
            }
        }
        query(c, "SELECT id, name, amount, data, tags FROM clients.target ORDER BY id");
        query(c, "TRUNCATE clients.target RESTART IDENTITY CASCADE");
    }

    static void batches(Connection c) throws Exception {
        query(c, "TRUNCATE clients.target RESTART IDENTITY CASCADE");
        for (boolean auto : new boolean[] {true, false}) {
            c.setAutoCommit(auto);
            try (PreparedStatement p = c.prepareStatement(INSERT, auto ? Statement.RETURN_GENERATED_KEYS : Statement.NO_GENERATED_KEYS)) {
                for (int i = 0; i < 300; i++) {
                    fill(p, c, (auto ? "auto " : "manual ") + i, "1");
                    p.addBatch();
                }
                say("batch", Arrays.stream(p.executeBatch()).sum());
                if (auto) show("keys", p.getGeneratedKeys());
                for (String name : new String[] {"good", "auto 1", "late"}) {
                    fill(p, c, name, "1");
                    p.addBatch();
                }
                attempt("broken batch", p::executeBatch);
            }
            if (!auto) c.rollback();
        }
        c.setAutoCommit(true);
        try (Statement s = c.createStatement()) {
            for (String sql : List.of("UPDATE clients.target SET amount = 2", "SELECT 1", "DELETE FROM clients.target WHERE id > 5")) s.addBatch(sql);
            attempt("mixed batch", () -> say("mixed batch", s.executeBatch()));
        }
        query(c, "SELECT count(*), min(name), max(name) FROM clients.target");
    }

    static void results(Connection c) throws Exception {
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
             ResultSet rows = s.executeQuery("SELECT id, ssn FROM hr.emp ORDER BY id")) {
            rows.absolute(5);
            say("fifth", rows.getString(2));
            rows.previous();
            say("fourth", rows.getString(2));
            ResultSetMetaData about = rows.getMetaData();
            say("about", about.getTableName(1), about.getSchemaName(1), about.isNullable(1), about.isAutoIncrement(1));
        }
        c.setAutoCommit(false);
        try (CallableStatement call = c.prepareCall("{? = call clients.open_numbers()}")) {
            call.registerOutParameter(1, Types.REF_CURSOR);
            call.execute();
            show("ref cursor", (ResultSet) call.getObject(1));
        }
        try (Statement s = c.createStatement()) {
            // Two portals open at once, each fetched in turns with the other.
            s.setFetchSize(2);
            try (Statement other = c.createStatement()) {
                other.setFetchSize(3);
                try (ResultSet a = s.executeQuery("SELECT generate_series(1, 9)");
                     ResultSet b = other.executeQuery("SELECT id FROM hr.emp ORDER BY id")) {
                    while (a.next() && b.next()) say("turns", a.getInt(1), b.getInt(1));
                }
            }
        }
        c.rollback();
        c.setAutoCommit(true);
    }

    static void events(Connection c) throws Exception {
        PGConnection pg = c.unwrap(PGConnection.class);
        query(c, "LISTEN \"Some channel\"");
        query(c, "NOTIFY \"Some channel\", 'own'");
        for (PGNotification n : pg.getNotifications(20000)) say("heard", n.getName(), n.getParameter());
        withConnection("", other -> query(other, "SELECT pg_notify('Some channel', 'other')"));
        for (PGNotification n : pg.getNotifications(20000)) say("heard", n.getName(), n.getParameter());
        query(c, "UNLISTEN *");
        try (Statement s = c.createStatement()) {
            Thread sleeper = new Thread(() -> {
                try {
                    attempt("cancelled", () -> s.execute("SELECT pg_sleep(600)"));
                } catch (Exception error) {
                    say("unexpected", error);
                }
            });
            sleeper.start();
            withConnection("", other -> query(other, "CALL clients.wait_for_sleeper()"));
            s.cancel();
            sleeper.join();
            s.setQueryTimeout(1);
            attempt("timeout", () -> s.execute("SELECT pg_sleep(600)"));
        }
        query(c, "SELECT 1 AS after");
        query(c, "SET TIME ZONE 'Asia/Kolkata'");
        say("parameter", pg.getParameterStatus("TimeZone"), pg.getParameterStatus("server_encoding"));
        query(c, "SELECT 1 AS last");
    }

    static void metadata(Connection c) throws Exception {
        DatabaseMetaData m = c.getMetaData();
        say("product", m.getDatabaseProductName(), m.getDatabaseProductVersion(), m.getMaxConnections(), m.getMaxColumnNameLength());
        show("schemas", m.getSchemas());
        show("catalogs", m.getCatalogs());
        show("table types", m.getTableTypes());
        for (String schema : List.of("hr", "shop", "clients", "clinic")) {
            show("tables", m.getTables(null, schema, "%", new String[] {"TABLE", "VIEW", "SEQUENCE", "INDEX"}));
            show("columns", m.getColumns(null, schema, "%", "%"));
            show("functions", m.getFunctions(null, schema, "%"));
            show("procedures", m.getProcedures(null, schema, "%"));
            show("function columns", m.getFunctionColumns(null, schema, "%", "%"));
            show("types", m.getUDTs(null, schema, "%", null));
        }
        for (String[] table : new String[][] {{"hr", "emp"}, {"shop", "orders"}, {"clients", "target"}, {"clients", "child"}}) {
            show("primary keys", m.getPrimaryKeys(null, table[0], table[1]));
            show("imported keys", m.getImportedKeys(null, table[0], table[1]));
            show("exported keys", m.getExportedKeys(null, table[0], table[1]));
            show("indexes", m.getIndexInfo(null, table[0], table[1], false, true));
            show("best row", m.getBestRowIdentifier(null, table[0], table[1], DatabaseMetaData.bestRowSession, true));
            show("privileges", m.getTablePrivileges(null, table[0], table[1]));
            show("column privileges", m.getColumnPrivileges(null, table[0], table[1], "%"));
        }
        show("cross reference", m.getCrossReference(null, "clients", "target", null, "clients", "child"));
        show("type info", m.getTypeInfo());
        show("client info", m.getClientInfoProperties());
        say("keywords", m.getSQLKeywords());
    }

    static void options() throws Exception {
        withConnection("options=-c%20work_mem=8MB%20-c%20statement_timeout=12s", c -> {
            query(c, "SHOW work_mem");
            query(c, "SHOW statement_timeout");
        });
        withConnection("assumeMinServerVersion=14&currentSchema=hr,public", c -> query(c, "SELECT count(*) FROM emp"));
        withConnection("preferQueryMode=extendedForPrepared", c -> query(c, "SELECT 1; SELECT 2"));
        withConnection("preferQueryMode=extendedCacheEverything", c -> query(c, "SELECT 1; SELECT 2"));
        withConnection("loggerLevel=OFF&readOnly=true&readOnlyMode=always", c -> query(c, "TRUNCATE clients.target"));
        attempt("no database", () -> DriverManager.getConnection("jdbc:postgresql://" + host + ":" + port + "/nowhere", user, "").close());
    }
}
