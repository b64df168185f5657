# What users of DBD::Pg do. Arguments: host, port, user, database, then the parts to play.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types :async);
use Encode qw(encode_utf8);

my ($host, $port, $user, $database, @parts) = @ARGV;
my $core = grep { $_ eq 'core' } @parts;
binmode STDOUT, ':utf8';
$| = 1;

sub text {
    my ($value) = @_;
    return 'undef' unless defined $value;
    return '[' . join(', ', map { text($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return '{' . join(', ', map { "$_: " . text($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    $value =~ s/([^ -~\x{a0}-\x{10ffff}])/sprintf '\\x%02x', ord $1/ge;
    return $value;
}

sub say_line { print join(' | ', map { text($_) } @_), "\n" }

sub connected {
    my ($work, %options) = @_;
    my $dsn = "dbi:Pg:dbname=$database;host=$host;port=$port;application_name=dbd";
    local $SIG{__WARN__} = sub { say_line('warning', @_) };
    my $dbh = DBI->connect($dsn, $user, '', { RaiseError => 1, PrintError => 0, PrintWarn => 1, AutoCommit => 1, %options });
    $work->($dbh);
    $dbh->disconnect;
}

# An error with all that libpq knows of it, or as much of it as a masked role is told.
sub attempt {
    my ($label, $dbh, $work) = @_;
    return if eval { $work->(); 1 };
    die $@ unless $dbh->err;
    my @fields = qw(sqlstate message_primary statement_position);
    push @fields, qw(message_detail message_hint context schema_name table_name constraint_name source_file source_line
        source_function) unless $core;
    say_line($label, 'error', $dbh->state, map { $dbh->pg_error_field("pg_diag_$_") } @fields);
}

sub show {
    my ($label, $sth) = @_;
    say_line($label, $sth->{NAME}, $sth->{TYPE}, $sth->{pg_type}, $sth->{PRECISION}, $sth->{SCALE}) if $sth->{NUM_OF_FIELDS};
    say_line($label, $_) for @{ $sth->fetchall_arrayref };
    say_line($label, 'rows', $sth->rows);
}

sub query {
    my ($dbh, $sql, @values) = @_;
    attempt($sql, $dbh, sub {
        my $sth = $dbh->prepare($sql);
        $sth->execute(@values);
        $sth->{NUM_OF_FIELDS} ? show($sql, $sth) : say_line($sql, $sth->rows);
    });
}

# What a masked role may do as well.
sub core {
    my ($dbh) = @_;
    query($dbh, $_) for (
        'SELECT * FROM hr.emp ORDER BY id', 'SELECT * FROM shop.orders ORDER BY id LIMIT 7',
        'SELECT * FROM clients.kinds ORDER BY id', 'SELECT to_jsonb(e) AS whole FROM hr.emp e ORDER BY id LIMIT 3',
        'SELECT dept, count(*), sum(salary), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept', 'SELECT nothing FROM hr.emp',
        'SELEC 1', 'SELECT ssn::int FROM hr.emp', 'SELECT 1 / 0', "VALUES (1, 'a')", 'SHOW server_version');
    for my $how ([pg_server_prepare => 1], [pg_server_prepare => 0], [pg_switch_prepared => 0]) {
        my $sth = $dbh->prepare('SELECT id, ssn, email, salary FROM hr.emp WHERE id = ?', { @$how });
        attempt("@$how", $dbh, sub { $sth->execute($_); show("@$how", $sth) }) for (1, 7, undef, 'x', 3);
    }
    query($dbh, 'SELECT id FROM hr.emp WHERE id = ANY(?) ORDER BY 1', [1, 2, 99]);
    my $named = $dbh->prepare('SELECT ssn FROM hr.emp WHERE id = :id AND dept = :dept');
    $named->bind_param(':id', 2, SQL_INTEGER);
    $named->bind_param(':dept', 'ops', { pg_type => PG_TEXT });
    $named->execute;
    show('named', $named);
    my $dollar = $dbh->prepare('SELECT ssn FROM hr.emp WHERE id = $1 OR id = $1 + 1 ORDER BY id');
    $dollar->execute(4);
    show('dollar', $dollar);
    say_line('hash', $dbh->selectall_hashref('SELECT id, ssn, email FROM hr.emp WHERE id < 4', 'id'));
    say_line('column', $dbh->selectcol_arrayref('SELECT email FROM hr.emp ORDER BY id'));
    $dbh->begin_work;
    query($dbh, 'SELECT 1 AS one');
    $dbh->pg_savepoint('here');
    query($dbh, 'SELECT 1 / 0');
    query($dbh, 'SELECT 2');
    $dbh->pg_rollback_to('here');
    query($dbh, 'DECLARE people SCROLL CURSOR FOR SELECT id, ssn FROM hr.emp ORDER BY id');
    query($dbh, $_) for ('FETCH 3 FROM people', 'FETCH LAST FROM people', 'FETCH BACKWARD 2 FROM people', 'CLOSE people');
    $dbh->commit;
    $dbh->do('COPY (SELECT id, ssn FROM hr.emp ORDER BY id) TO STDOUT');
    my $line;
    say_line('copied', $line) while $dbh->pg_getcopydata($line) >= 0;
    $dbh->do('SELECT id, ssn FROM hr.emp ORDER BY id', { pg_async => PG_ASYNC });
    say_line('async', $dbh->pg_result);
    say_line('ping', $dbh->ping);
}

sub values_of_every_type {
    my ($dbh) = @_;
    my @sent = (
        [int => 42], [int8 => '9007199254740993'], [float8 => '1.5'], [numeric => '1.10'], [text => "x'y\"z\\☃"], [boolean => 1],
        [jsonb => '{"a": [1, null]}'], ['int[]' => [1, undef, 3]], ['text[]' => ['a,b', '"q"', undef, '']],
        ['int[]' => [[1, 2], [3, 4]]], [date => '2024-02-29'], [timestamptz => '2024-02-29 12:34:56.789+05:30'],
        [uuid => '12345678-9abc-def0-1234-56789abcdef0'], [inet => '10.0.0.1'], [text => undef], ['clients.mood' => 'glad'],
        ['clients.pair' => '(3,z)'], [int4range => '[1,5)'], [interval => '1 day'], [int => 'no number']);
    query($dbh, "SELECT ?::$_->[0] AS back", $_->[1]) for @sent;
    my $bytes = $dbh->prepare('SELECT ?::bytea AS back');
    $bytes->bind_param(1, "\0\1\xff", { pg_type => PG_BYTEA });
    $bytes->execute;
    show('bytea', $bytes);
    my $big = 'é' x 1000000;
    my ($back, $length) = $dbh->selectrow_array('SELECT ?::text, length(?)', undef, $big, $big);
    say_line('big', $back eq $big ? 'equal' : 'different', $length);
    say_line('quoted', $dbh->quote("it's \\"), $dbh->quote_identifier('a "b"'));
}

sub writes {
    my ($dbh) = @_;
    query($dbh, 'TRUNCATE clients.target RESTART IDENTITY CASCADE');
    my $insert = 'INSERT INTO clients.target (name, amount, tags) VALUES (?, ?, ?)';
    query($dbh, "$insert RETURNING *", 'a', '1.50', ['x', undef]);
    say_line('last id', $dbh->last_insert_id(undef, 'clients', 'target', undef));
    query($dbh, $insert, @$_) for (['a', 1, undef], ['c', -1, undef], [undef, 1, undef], ['d', '99999999999', undef]);
    query($dbh, 'INSERT INTO clients.child VALUES (99, 1)');
    my $sth = $dbh->prepare($insert);
    my @status;
    my $done = $sth->execute_array({ ArrayTupleStatus => \@status }, [map { "batch $_" } 1 .. 20], 7, undef);
    say_line('array', $done, \@status);
    query($dbh, 'UPDATE clients.target SET amount = ?', 5);
    $dbh->do('COPY clients.target (name, amount) FROM STDIN');
    $dbh->pg_putcopydata("copied $_\t1\n") for 1 .. 3;
    say_line('copied', $dbh->pg_putcopyend);
    $dbh->do('COPY clients.target (name, amount) FROM STDIN');
    $dbh->pg_putcopydata("wrong\tno number\n");
    attempt('copy', $dbh, sub { $dbh->pg_putcopyend });
    query($dbh, 'SELECT id, name, amount, data, tags FROM clients.target ORDER BY id');
    query($dbh, "SELECT clients.say('you')");
    query($dbh, 'CALL clients.twice(21)');
    query($dbh, 'DO $$ BEGIN RAISE WARNING $w$from a block$w$; END $$');
    $dbh->begin_work;
    my $lob = $dbh->selectrow_array('SELECT lo_create(4242)');
    my $fd = $dbh->pg_lo_open($lob, $dbh->{pg_INV_WRITE} | $dbh->{pg_INV_READ});
    say_line('large object', $dbh->pg_lo_write($fd, 'hello', 5), $dbh->pg_lo_lseek($fd, 0, 0));
    my $read;
    say_line('large object', $dbh->pg_lo_read($fd, $read, 5), $read, $dbh->pg_lo_close($fd), $dbh->pg_lo_unlink($lob));
    $dbh->commit;
    query($dbh, 'TRUNCATE clients.target RESTART IDENTITY CASCADE');
}

sub events {
    my ($dbh) = @_;
    query($dbh, 'LISTEN "Some channel"');
    query($dbh, q{NOTIFY "Some channel", 'own'});
    my $own = $dbh->pg_notifies;
    say_line('heard', $own->[0], $own->[2]);
    my $sleeper = $dbh->prepare('SELECT pg_sleep(600)', { pg_async => PG_ASYNC });
    $sleeper->execute;
    connected(sub { query($_[0], 'CALL clients.wait_for_sleeper()') });
    say_line('cancelled', $dbh->pg_cancel);
    query($dbh, "SET statement_timeout = '50ms'");
    query($dbh, 'SELECT pg_sleep(600)');
    query($dbh, 'RESET statement_timeout');
}

sub metadata {
    my ($dbh) = @_;
    for my $schema (qw(hr shop clients clinic)) {
        show("tables $schema", $dbh->table_info(undef, $schema, '%', 'TABLE,VIEW'));
        show("columns $schema", $dbh->column_info(undef, $schema, '%', '%'));
    }
    for my $table (['hr', 'emp'], ['shop', 'orders'], ['clients', 'target'], ['clients', 'child']) {
        my $keys = $dbh->primary_key_info(undef, @$table);
        show("primary key @$table", $keys) if $keys;
        say_line("primary key @$table", $dbh->primary_key(undef, @$table));
        my $foreign = $dbh->foreign_key_info(undef, @$table, undef, undef, undef);
        show("foreign key @$table", $foreign) if $foreign;
        my $statistics = $dbh->statistics_info(undef, @$table, 0, 0);
        show("statistics @$table", $statistics) if $statistics;
    }
    say_line('names', [$dbh->tables(undef, 'hr', '%', 'TABLE')]);
    say_line('types', [map { $_->{TYPE_NAME} } $dbh->type_info(SQL_VARCHAR)], $dbh->type_info_all);
    say_line('version', $dbh->{pg_server_version}, $dbh->get_info(18));
}

my %play = (core => \&core, values => \&values_of_every_type, writes => \&writes, events => \&events, metadata => \&metadata);
connected($play{$_}) for @parts;
print "end\n";
