// Reads scores that Python wrote as the TypeScript package reads them, then replaces one and writes others.
import { readFileSync } from 'node:fs';

const [url, wanted] = process.argv.slice(2);
const { values, score } = JSON.parse(readFileSync(wanted, 'utf8'));
const store = await openStore(url);
await store.init();
const scores = await store.getStore('scores');
const pagination = { page: 0, perPage: 100 };
const read = {
  full: await scores.getScoreById({ id: 'full' }),
  byScorer: await scores.listScoresByScorerId({ scorerId: 'any-json', pagination }),
  byRun: await scores.listScoresByRunId({ runId: score.runId, pagination }),
  byEntity: await scores.listScoresByEntityId({ entityId: score.entityId, entityType: score.entityType, pagination }),
  bySpan: await scores.listScoresBySpan({ traceId: score.traceId, spanId: score.spanId, pagination }),
};
await scores.saveScore({ ...score, id: 'replaced', score: 0.25 });
await scores.saveScore({ ...score, id: 'theirs' });
for (const [name, value] of Object.entries(values)) {
  await scores.saveScore({ ...score, id: `theirs-${name}`, scorerId: 'any-json-of-typescript', input: value, output: value });
}
await store.close();
console.log(JSON.stringify(read));
