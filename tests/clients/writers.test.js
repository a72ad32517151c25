// Every client that writes, through the same five situations.
'use strict';

const assert = require('node:assert');
const { after, before, describe, test } = require('node:test');

const { Server, sleep } = require('./server');
const { writers } = require('./writers');

const good = (time) => ({ table: 'home', tags: { room: 'a' }, fields: { temp: 1.5 }, time });
const bad = (time) => ({ table: 'home', tags: { room: 'a' }, fields: { temp: 'warm' }, time });
const conflict = /column 'temp' of table 'home' is float, the line has string/;

// What a client may say of a 401, a 404 and a 503: the words differ, the number or code is there.
const unauthorized = /unauthorized|401|UNAUTHENTICATED/i;
const notFound = /not found|NOT_FOUND|404/i;
const unavailable = /shutting down|unavailable|503/i;

for (const writer of writers) {
  describe(writer.name, () => {
    let server;
    let token;

    before(async () => {
      server = await Server.start();
      await server.createDatabase('demo');
      token = await server.createToken('writer', 'demo', ['write']);
    });
    after(() => server.stop());

    const write = (points, { database = 'demo', as = token } = {}) =>
      writer.write(server, { database, token: as, points });
    const times = async () =>
      (await server.query('demo', 'SELECT time FROM home ORDER BY time'))
        .map(({ time }) => Number(time.slice(-10, -1)));

    test('takes an answer of 204, or OK, for success', async () => {
      await write([good(1), good(2)]);
      assert.deepStrictEqual(await times(), [1, 2]);
    });

    test('tells which line was rejected and why, and the others are in', async () => {
      await assert.rejects(write([good(3), bad(4), good(5)]), (error) => {
        assert.match(error.message, conflict);
        return true;
      });
      assert.deepStrictEqual(await times(), [1, 2, 3, 5]);
    });

    test('tells that there is no such database', () =>
      assert.rejects(write([good(6)], { database: 'none' }), notFound));

    test('tells that the token is not valid', () =>
      assert.rejects(write([good(6)], { as: 'sluice_nonsense' }), unauthorized));

    test(writer.retries ? 'loses nothing in an outage' : 'tells of an outage', async () => {
      const outage = server.restart();
      await sleep(150);
      if (writer.retries) {
        await write([good(7)]);
      } else {
        await assert.rejects(write([good(7)]), unavailable);
      }
      await outage;
      if (!writer.retries) await write([good(7)]);
      assert.deepStrictEqual(await times(), [1, 2, 3, 5, 7]);
    });
  });
}
