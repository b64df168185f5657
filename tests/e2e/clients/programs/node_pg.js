// What users of node-postgres do. Arguments: host, port, user, database, then the parts to play.
'use strict'
const { once } = require('node:events')
const { pipeline } = require('node:stream/promises')
const { Readable } = require('node:stream')
const { Client, Pool, types } = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const { from: copyFrom, to: copyTo } = require('pg-copy-streams')

const [host, port, user, database, ...parts] = process.argv.slice(2)
const place = { host, port: Number(port), user, database, application_name: 'node-postgres' }

function say(label, value) {
  console.log(label, JSON.stringify(value, (key, v) => (typeof v === 'bigint' ? `${v}n` : v)))
}

function shape(result) {
  return {
    command: result.command,
    count: result.rowCount,
    fields: (result.fields || []).map((f) => [f.name, f.dataTypeID, f.dataTypeSize, f.dataTypeModifier, f.format]),
    rows: result.rows,
  }
}

function failure(error) {
  // A masked role is not told where in PostgreSQL, or at which value, it happened.
  const names = ['code', 'severity', 'message', 'position']
  if (!parts.includes('core')) {
    names.push('detail', 'hint', 'where', 'schema', 'table', 'column', 'constraint', 'file', 'line', 'routine')
  }
  return Object.fromEntries(names.map((n) => [n, error[n]]))
}

async function attempt(label, work) {
  try {
    say(label, shape(await work()))
  } catch (error) {
    say(label, failure(error))
  }
}

async function connected(work, options = {}) {
  const client = new Client({ ...place, ...options })
  client.on('notice', (notice) => say('notice', [notice.severity, notice.message, notice.detail, notice.hint]))
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

// What a masked role may do as well.
async function core(client) {
  const statements = [
    'SELECT * FROM hr.emp ORDER BY id',
    'SELECT id, placed, state, ref, express FROM shop.orders ORDER BY id LIMIT 7',
    'SELECT * FROM clients.kinds ORDER BY id',
    'SELECT to_jsonb(e) AS whole FROM hr.emp e WHERE id <= 3 ORDER BY id',
    'SELECT dept, count(*), sum(salary), max(hired) FROM hr.emp GROUP BY dept ORDER BY dept',
    '',
    'SELECT 1 AS one; SELECT ssn FROM hr.emp WHERE id = 2; SELECT 3',
    'SELECT nothing FROM hr.emp',
    'SELEC 1',
    'SELECT ssn::int FROM hr.emp',
  ]
  for (const text of statements) {
    if (text.includes('; ')) {
      say(text, (await client.query(text)).map(shape))
    } else {
      await attempt(text, () => client.query(text))
    }
  }
  const prepared = { name: 'by id', text: 'SELECT id, ssn, email, salary FROM hr.emp WHERE id = $1' }
  for (const id of [1, 7, '11', null, 'x']) {
    await attempt(`prepared ${id}`, () => client.query({ ...prepared, values: [id] }))
  }
  await attempt('array', () => client.query('SELECT id FROM hr.emp WHERE id = ANY($1) ORDER BY 1', [[1, 2, 99]]))
  await attempt('rows as arrays', () =>
    client.query({ text: 'SELECT id, email FROM hr.emp WHERE dept = $1 ORDER BY 1', values: ['eng'], rowMode: 'array' }))
  await attempt('binary', () =>
    client.query({ text: 'SELECT id, ssn, score FROM hr.emp WHERE id < $1 ORDER BY 1', values: [4], binary: true }))
  // Queued without waiting: the client sends each when the one before is answered.
  const queued = [1, 2, 3].map((id) => client.query('SELECT ssn, name FROM hr.emp WHERE id = $1', [id]))
  say('queued', (await Promise.all(queued)).map(shape))
  for (const text of ['BEGIN', 'SAVEPOINT a', 'SELECT 1 / 0', 'SELECT 1', 'ROLLBACK TO a', 'SELECT 2', 'COMMIT']) {
    await attempt(text, () => client.query(text))
  }
  const cursor = client.query(new Cursor('SELECT id, ssn FROM hr.emp WHERE id > $1 ORDER BY id', [2]))
  for (const size of [3, 1, 100, 5]) say(`cursor ${size}`, await cursor.read(size))
  await cursor.close()
  const left = client.query(new Cursor('SELECT id, email FROM hr.emp ORDER BY id'))
  say('cursor, left', await left.read(2))
  await left.close()
  const streamed = []
  for await (const row of client.query(new QueryStream('SELECT id, email FROM shop.many WHERE id <= 300 ORDER BY id'))) {
    streamed.push(row)
  }
  say('streamed', streamed)
  const copied = []
  for await (const chunk of client.query(copyTo('COPY (SELECT id, ssn FROM hr.emp ORDER BY id) TO STDOUT CSV'))) {
    copied.push(chunk)
  }
  say('copied', Buffer.concat(copied).toString())
}

async function values(client) {
  const sent = [
    ['int', 42], ['int8', '9007199254740993'], ['float8', 1.5], ['numeric', '1.10'], ['text', 'x\'y"z\\☃'], ['bool', true],
    ['bytea', Buffer.from([0, 1, 255])], ['jsonb', { a: [1, 'b', null] }], ['json', JSON.stringify([1, 2])],
    ['int[]', [1, null, 3]], ['text[]', ['a,b', '"q"', null, '']], ['timestamptz', new Date(1700000000123)],
    ['date', '2024-02-29'], ['uuid', '12345678-9abc-def0-1234-56789abcdef0'], ['inet', '10.0.0.1'], ['text', null],
    ['clients.mood', 'glad'], ['clients.pair', '(3,z)'], ['int4range', '[1,5)'], ['interval', '1 day 2 hours'],
  ]
  for (const [type, value] of sent) {
    await attempt(type, () => client.query(`SELECT $1::${type} AS back`, [value]))
  }
  await attempt('bad value', () => client.query('SELECT $1::int', ['no number']))
  const big = 'é'.repeat(3000000)
  const back = await client.query('SELECT $1::text AS big, length($1)', [big])
  say('big', [back.rows[0].big === big, back.rows[0].length])
  types.setTypeParser(20, BigInt)
  await attempt('bigint', () => client.query('SELECT 9007199254740993::int8 AS big'))
}

async function writes(client) {
  await client.query('TRUNCATE clients.target RESTART IDENTITY CASCADE')
  const insert = 'INSERT INTO clients.target (name, amount, data, tags) VALUES ($1, $2, $3, $4) RETURNING *'
  await attempt('insert', () => client.query(insert, ['a', '1.50', Buffer.from('\0data'), ['x', null]]))
  await attempt('insert', () => client.query(insert, ['b', null, null, null]))
  await attempt('unique', () => client.query(insert, ['a', 1, null, null]))
  await attempt('check', () => client.query(insert, ['c', -1, null, null]))
  await attempt('not null', () => client.query(insert, [null, 1, null, null]))
  await attempt('foreign key', () => client.query('INSERT INTO clients.child VALUES (99, 1)'))
  await attempt('update', () => client.query('UPDATE clients.target SET amount = $1', [5]))
  await attempt('delete', () => client.query("DELETE FROM clients.target WHERE name = 'b'"))
  const copy = client.query(copyFrom('COPY clients.target (name, amount) FROM STDIN'))
  await pipeline(Readable.from(['copied 1\t1\n', 'copied', ' 2\t\\N\n']), copy)
  say('copied in', copy.rowCount)
  const wrong = client.query(copyFrom('COPY clients.target (name, amount) FROM STDIN'))
  await pipeline(Readable.from(['copied 3\tnot a number\n']), wrong).catch((error) => say('copy', failure(error)))
  const broken = client.query(copyFrom('COPY clients.target (name, amount) FROM STDIN'))
  await new Promise((resolve) => {
    broken.on('error', (error) => resolve(say('copy given up', failure(error))))
    broken.write('copied 4\t1\n', () => broken.destroy(new Error('changed my mind')))
  })
  await attempt('after', () => client.query('SELECT id, name, amount, data, tags FROM clients.target ORDER BY id'))
  await attempt('notice', () => client.query("SELECT clients.say('you')"))
  await attempt('call', () => client.query('CALL clients.twice($1)', [21]))
  await client.query('TRUNCATE clients.target RESTART IDENTITY CASCADE')
}

async function events(client) {
  await client.query('LISTEN "Some channel"')
  const heard = once(client, 'notification')
  await client.query("SELECT pg_notify('Some channel', 'own')")
  say('heard', (await heard).map((n) => [n.channel, n.payload]))
  const other = once(client, 'notification')
  await connected((second) => second.query('NOTIFY "Some channel", \'other\''))
  say('heard', (await other).map((n) => [n.channel, n.payload]))
  await client.query('UNLISTEN *')
  const sleeping = client.query('SELECT pg_sleep(600)').catch(failure)
  await connected((second) => second.query('CALL clients.wait_for_sleeper()'))
  const canceller = new Client(place)
  canceller.cancel(client, client.activeQuery || client._activeQuery)
  say('cancelled', await sleeping)
  await client.query("SET statement_timeout = '50ms'")
  await attempt('timeout', () => client.query('SELECT pg_sleep(600)'))
  await client.query('RESET statement_timeout')
}

async function pools() {
  const pool = new Pool({ ...place, max: 2 })
  for (let i = 1; i < 4; i++) await attempt('pool', () => pool.query('SELECT name FROM hr.emp WHERE id = $1', [i]))
  const client = await pool.connect()
  await client.query('BEGIN')
  await attempt('in transaction', () => client.query('SELECT 1 / 0'))
  await client.query('ROLLBACK')
  client.release(true)
  await attempt('again', () => pool.query('SELECT 1 AS one'))
  await pool.end()
  await connected((c) => attempt('options', () => c.query('SHOW statement_timeout')), { statement_timeout: 12000 })
  await connected((c) => attempt('options', () => c.query('SHOW work_mem')), { options: '-c work_mem=8MB' })
  await new Client({ ...place, database: 'no such database' }).connect().catch((error) => say('no', failure(error)))
}

const play = { core, values, writes, events }

async function main() {
  for (const part of parts) {
    if (part === 'pools') await pools()
    else await connected(play[part])
  }
  console.log('end')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
