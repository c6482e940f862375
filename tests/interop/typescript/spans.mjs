// Reads spans that Python wrote as the TypeScript package reads them, then updates two, deletes a trace and writes others.
import { readFileSync } from 'node:fs';

const [url, wanted] = process.argv.slice(2);
const { values, span } = JSON.parse(readFileSync(wanted, 'utf8'));
const store = await openStore(url);
await store.init();
const observability = await store.getStore('observability');
const pagination = { page: 0, perPage: 100 };
const read = {
  trace: await observability.getTrace({ traceId: 'ours' }),
  span: await observability.getSpan({ traceId: 'ours', spanId: 'child' }),
  root: await observability.getRootSpan({ traceId: 'ours' }),
  roots: await observability.listTraces({ filters: { spanType: span.spanType, tags: ['b'] }, pagination }),
  values: await observability.getTrace({ traceId: 'any-json' }),
};
const late = { endedAt: new Date('2024-05-03T00:00:00.789Z'), output: values, error: { message: 'late' } };
await observability.updateSpan({ traceId: 'ours', spanId: 'child', updates: late });
await observability.batchUpdateSpans({ records: [{ traceId: 'ours', spanId: 'event', updates: { name: 'renamed', metadata: values } }] });
await observability.batchDeleteTraces({ traceIds: ['gone'] });
const dated = { ...span, startedAt: new Date(span.startedAt), endedAt: new Date(span.endedAt) };
await observability.createSpan({ span: { ...dated, traceId: 'theirs' } });
const records = Object.entries(values).map(([name, value]) => ({ ...dated, traceId: 'any-json-of-typescript', spanId: name, input: value, output: value }));
await observability.batchCreateSpans({ records });
await store.close();
console.log(JSON.stringify(read));
