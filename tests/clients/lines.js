// Points, as the tests name them, for clients that take line protocol.
'use strict';

const value = (v) => (typeof v === 'string' ? `"${v}"` : `${v}`);

// {table, tags, fields, time}: no name or value here needs an escape.
function line({ table, tags, fields, time }) {
  const tagText = Object.entries(tags).map(([k, v]) => `,${k}=${v}`).join('');
  const fieldText = Object.entries(fields).map(([k, v]) => `${k}=${value(v)}`).join(',');
  return `${table}${tagText} ${fieldText} ${time}`;
}

module.exports = { line, lines: (points) => points.map(line).join('\n') };
