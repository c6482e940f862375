// Searches what we wrote as the TypeScript package searches it, then goes on with it, and makes an index of its own.
// Arguments: the URL, the database, and the queries as JSON.
import { MongoDBVector } from '@mastra/mongodb';
const [url, dbName, queries] = process.argv.slice(2);
const vectors = new MongoDBVector({ id: 'interop', uri: url, dbName });
await vectors.connect();
const indexName = 'docs';
const read = { indexes: await vectors.listIndexes(), described: await vectors.describeIndex({ indexName }), answers: [] };
await vectors.waitForIndexReady({ indexName, checkIntervalMs: 50 });
for (const query of JSON.parse(queries)) read.answers.push(await vectors.query({ indexName, ...query }));
await vectors.createIndex({ indexName, dimension: 8, filterFields: ['owner'] });
const from = (n) => [n, 1, 0, 0, 0, 0, 0, 0.5];
await vectors.upsert({ indexName, vectors: [from(1), from(2)], ids: ['ts-1', 'ts-2'], metadata: [{ by: 'TypeScript', at: new Date(0) }, { by: 'TypeScript', odd: 'q"\\ \u2028 🎉', none: null }], documents: ['one', 'two'] });
await vectors.updateVector({ indexName, id: 'ts-1', update: { vector: from(3) } });
await vectors.deleteVector({ indexName, id: 'v0' });
await vectors.createIndex({ indexName: 'theirs', dimension: 8, metric: 'euclidean', filterFields: ['thread_id'] });
await vectors.upsert({ indexName: 'theirs', vectors: [from(1), from(2)], ids: ['a', 'b'], metadata: [{ thread_id: 't' }, {}] });
await vectors.disconnect();
console.log(JSON.stringify(read));
