// What users of postgres.js do. Arguments: host, port, user, database, then the parts to play.
'use strict'
const { pipeline } = require('node:stream/promises')
const { Readable } = require('node:stream')
const postgres = require('postgres')

const [host, port, user, database, ...parts] = process.argv.slice(2)

function say(label, value) {
  console.log(label, JSON.stringify(value, (key, v) => (typeof v === 'bigint' ? `${v}n` : v)))
}

function failure(error) {
  // A masked role is not told where in PostgreSQL, or at which value, it happened.
  const names = ['code', 'severity', 'message', 'position']
  if (!parts.includes('core')) {
    names.push('detail', 'hint', 'where', 'schema_name', 'table_name', 'column_name', 'constraint_name', 'routine')
  }
  return Object.fromEntries(names.map((n) => [n, error[n]]))
}

function shape(result) {
  return {
    command: result.command,
    count: result.count,
    columns: (result.columns || []).map((c) => [c.name, c.type, c.number === undefined]),
    rows: [...result],
  }
}

async function attempt(label, work) {
  try {
    say(label, shape(await work()))
  } catch (error) {
    say(label, failure(error))
  }
}

async function connected(work, options = {}) {
  const sql = postgres({
    host, port: Number(port), user, database, max: 1, fetch_types: false,
    connection: { application_name: 'postgres.js' }, ssl: process.env.PGSSLMODE || false,
    onnotice: (n) => say('notice', [n.severity, n.message, n.detail, n.hint]),
    ...options,
  })
  try {
    await work(sql)
  } finally {
    await sql.end()
  }
}

// What a masked role may do as well.
async function core(sql) {
  await attempt('star', () => sql`SELECT * FROM hr.emp ORDER BY id`)
  await attempt('orders', () => sql`SELECT id, placed, state, ref, express FROM shop.orders ORDER BY id LIMIT 7`)
  await attempt('kinds', () => sql`SELECT * FROM clients.kinds ORDER BY id`)
  await attempt('whole row', () => sql`SELECT to_jsonb(e) AS whole FROM hr.emp e WHERE id <= ${3} ORDER BY id`)
  await attempt('aggregate', () => sql`SELECT dept, count(*), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept`)
  for (const id of [1, 7, 11, null]) {
    await attempt(`prepared ${id}`, () => sql`SELECT id, ssn, email, salary FROM hr.emp WHERE id = ${id}`)
  }
  await attempt('bad value', () => sql`SELECT id FROM hr.emp WHERE id = ${'x'}`)
  await attempt('in list', () => sql`SELECT id, ssn FROM hr.emp WHERE id IN ${sql([1, 2, 99])} ORDER BY id`)
  await attempt('columns', () => sql`SELECT ${sql(['id', 'ssn', 'email'])} FROM ${sql('hr.emp')} ORDER BY id`)
  await attempt('values', () => sql`SELECT id, email FROM hr.emp WHERE dept = ${'eng'} ORDER BY 1`.values())
  await attempt('raw', () => sql`SELECT id, ssn FROM hr.emp WHERE id < ${4} ORDER BY 1`.raw())
  const described = await sql`SELECT id, ssn, salary FROM hr.emp WHERE id = ${1}`.describe()
  say('described', [described.types, described.columns.map((c) => [c.name, c.type])])
  await attempt('unknown column', () => sql`SELECT nothing FROM hr.emp`)
  await attempt('syntax', () => sql`SELEC 1`)
  await attempt('cast', () => sql`SELECT ssn::int FROM hr.emp`)
  const several = await sql`SELECT 1 AS one; SELECT ssn FROM hr.emp WHERE id = 2; SELECT 3`.simple()
  say('several', several.map(shape))
  await attempt('unsafe', () => sql.unsafe('SELECT ssn FROM hr.emp WHERE id = $1', [5], { prepare: true }))
  await attempt('unsafe again', () => sql.unsafe('SELECT ssn FROM hr.emp WHERE id = $1', [6], { prepare: true }))
  // Sent at once: postgres.js writes the next query before the one before is answered.
  const all = [1, 2, 3, 4, 5].map((id) => sql`SELECT ssn, name FROM hr.emp WHERE id = ${id}`)
  say('pipelined', (await Promise.all(all)).map(shape))
  const mixed = [sql`SELECT ssn FROM hr.emp WHERE id = 1`, sql`SELECT 1 / 0`, sql`SELECT ssn FROM hr.emp WHERE id = 3`]
  for (const settled of await Promise.allSettled(mixed)) {
    say('settled', settled.value ? shape(settled.value) : failure(settled.reason))
  }
  await sql.begin(async (tx) => {
    await attempt('in', () => tx`SELECT 1 AS one`)
    await tx.savepoint(async (sp) => { await sp`SELECT 1 / 0` }).catch((error) => say('savepoint', failure(error)))
    await attempt('still in', () => tx`SELECT ssn FROM hr.emp WHERE id = 1`)
  })
  await sql.begin('read only', (tx) => [tx`SELECT 1 AS a`, tx`SELECT ssn FROM hr.emp WHERE id = 2`]).then((r) =>
    say('begin list', r.map(shape)))
  await sql.begin((tx) => tx`SELECT 1 / 0`).catch((error) => say('rolled back', failure(error)))
  for await (const rows of sql`SELECT id, ssn FROM hr.emp ORDER BY id`.cursor(5)) say('cursor', rows)
  await sql`SELECT id, email FROM hr.emp ORDER BY id`.cursor(2, (rows) => {
    say('cursor, left', rows)
    return sql.CLOSE
  })
  await sql`SELECT id, email FROM hr.emp WHERE id < 4 ORDER BY id`.forEach((row) => say('row', row))
  const copied = []
  for await (const chunk of await sql`COPY (SELECT id, ssn FROM hr.emp ORDER BY id) TO STDOUT CSV`.readable()) {
    copied.push(chunk)
  }
  say('copied', Buffer.concat(copied).toString())
}

async function values(sql) {
  await attempt('typed', () => sql`SELECT ${42}::int AS i, ${'9007199254740993'}::int8 AS b, ${1.5}::float8 AS f,
    ${'1.10'}::numeric AS n, ${'x\'y"z\\☃'}::text AS t, ${true}::boolean AS bo, ${Buffer.from([0, 255])}::bytea AS by,
    ${sql.json({ a: [1, null] })}::jsonb AS j, ${null}::text AS nothing, ${new Date(1700000000123)}::timestamptz AS tz,
    ${'2024-02-29'}::date AS d, ${'12345678-9abc-def0-1234-56789abcdef0'}::uuid AS u`)
  await attempt('arrays', () => sql`SELECT ${sql.array([1, 2, 3], 23)}::int[] AS i, ${sql.array(['a,b', '"'], 25)}::text[] AS t`)
  await attempt('own', () => sql`SELECT ${'glad'}::clients.mood AS m, ${'(3,z)'}::clients.pair AS p, ${'[1,5)'}::int4range AS r`)
  const big = 'é'.repeat(3000000)
  const [back] = await sql`SELECT ${big}::text AS big, length(${big}) AS length`
  say('big', [back.big === big, back.length])
  await connected((typed) => attempt('fetched types', () => typed`SELECT ia, ta FROM clients.kinds ORDER BY id`),
    { fetch_types: true })
  await connected((typed) => attempt('bigint', () => typed`SELECT 9007199254740993::int8 AS big`),
    { types: { bigint: postgres.BigInt } })
  await connected((plain) => attempt('unprepared', () => plain`SELECT ${1}::int AS one, name FROM hr.emp WHERE id = ${1}`),
    { prepare: false })
}

async function writes(sql) {
  await sql`TRUNCATE clients.target RESTART IDENTITY CASCADE`
  const rows = [{ name: 'a', amount: '1.50', tags: null }, { name: 'b', amount: null, tags: ['x', null] }]
  await attempt('insert', () => sql`INSERT INTO clients.target ${sql(rows, 'name', 'amount', 'tags')} RETURNING *`)
  await attempt('unique', () => sql`INSERT INTO clients.target ${sql({ name: 'a' })}`)
  await attempt('check', () => sql`INSERT INTO clients.target (name, amount) VALUES ('c', ${-1})`)
  await attempt('foreign key', () => sql`INSERT INTO clients.child VALUES (99, 1)`)
  await attempt('update', () => sql`UPDATE clients.target SET ${sql({ amount: 5 })} WHERE name = ${'a'}`)
  await pipeline(Readable.from(['copied 1\t1\n', 'copied', ' 2\t\\N\n']),
    await sql`COPY clients.target (name, amount) FROM STDIN`.writable())
  await attempt('after', () => sql`SELECT id, name, amount, data, tags FROM clients.target ORDER BY id`)
  await attempt('notice', () => sql`SELECT clients.say('you')`)
  await attempt('call', () => sql`CALL clients.twice(21)`)
  await sql`TRUNCATE clients.target RESTART IDENTITY CASCADE`
}

async function events(sql) {
  await new Promise((resolve) => {
    sql.listen('Some channel', (payload) => { say('heard', payload); resolve() }, () => sql.notify('Some channel', 'hello'))
  })
  const sleeping = sql`SELECT pg_sleep(600)`.execute()
  const outcome = sleeping.catch((error) => failure(error))
  await connected((second) => second`CALL clients.wait_for_sleeper()`)
  sleeping.cancel()
  say('cancelled', await outcome)
  await sql`SET statement_timeout = '50ms'`
  await attempt('timeout', () => sql`SELECT pg_sleep(600)`)
  await sql`RESET statement_timeout`
}

async function pools(sql) {
  await attempt('first', () => sql`SELECT name FROM hr.emp WHERE id = ${1}`)
  await connected((c) => attempt('setting', () => c`SHOW statement_timeout`),
    { connection: { statement_timeout: 12000, application_name: 'x' } })
}

const play = { core, values, writes, events, pools }

async function main() {
  for (const part of parts) await connected(play[part])
  console.log('end')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
