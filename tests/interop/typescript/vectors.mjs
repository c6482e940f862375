// Searches what a file holds as the TypeScript package searches it, then goes on with it as that package does.
// Arguments: the URL, "plain" or "indexed" (make libSQL's nearest-neighbour index first), and the queries as JSON.
import { LibSQLVector } from '@mastra/libsql';

const [url, way, queries] = process.argv.slice(2);
const vectors = new LibSQLVector({ id: 'interop', url });
const indexName = 'docs';
if (way === 'indexed') await vectors.createIndex({ indexName, dimension: 8 });
const read = {
  indexes: await vectors.listIndexes(),
  described: await vectors.describeIndex({ indexName }),
  answers: [],
  nearest: null,
};
for (const query of JSON.parse(queries)) read.answers.push(await vectors.query({ indexName, ...query }));
if (way === 'indexed') {
  const rows = await vectors.turso.execute(`SELECT count(*) AS n FROM vector_top_k('docs_vector_idx', vector32('[1,0,0,0,0,0,0,0]'), 5)`);
  read.nearest = rows.rows[0].n;
}
const from = (n) => [n, 1, 0, 0, 0, 0, 0, 0.5];
await vectors.upsert({ indexName, vectors: [from(1), from(2)], ids: [`${way}-1`, `${way}-2`], metadata: [{ by: 'TypeScript', at: new Date(0) }, { by: 'TypeScript', odd: 'q"\\ \u2028 🎉', none: null }] });
await vectors.updateVector({ indexName, id: `${way}-1`, update: { vector: from(3) } });
await vectors.deleteVector({ indexName, id: 'v0' });
await vectors.close();
console.log(JSON.stringify(read));
