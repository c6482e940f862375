// The real @mastra/pg, timed by itself: commands come as lines of JSON, and each is answered with a line of JSON.
// Argument: the URL of the database.
import { createInterface } from 'node:readline';
import { PgVector, PostgresStore } from '@mastra/pg';

const url = process.argv.at(-1);
const store = new PostgresStore({ id: 'bench', connectionString: url });
const vectors = new PgVector({ id: 'bench-vectors', connectionString: url });
let memory;
let observability;
const content = { format: 2, parts: [{ type: 'text', text: 'x'.repeat(560), createdAt: 1795225572058 }], content: 'x'.repeat(100) };

const read = async threadId => {
  await memory.getThreadById({ threadId });
  const orderBy = { field: 'createdAt', direction: 'DESC' };
  const { messages } = await memory.listMessages({ threadId, perPage: 10, page: 0, orderBy, includeTotal: false });
  return messages.length;
};
const write = async (threadId, name) => {
  const message = (role, at) => ({ id: `${name}-${role}`, threadId, resourceId: 'u', role, type: 'v2', createdAt: new Date(at), content });
  const now = Date.now();
  await memory.saveMessages({ messages: [message('user', now), message('assistant', now + 1)] });
};
const timed = async work => {
  const began = performance.now();
  const found = await work();
  return { ms: performance.now() - began, found };
};
const commands = {
  open: async () => {
    await store.init();
    memory = await store.getStore('memory');
    observability = await store.getStore('observability');
    return {};
  },
  read: ({ thread, times }) => timed(async () => {
    let found = 0;
    for (let index = 0; index < times; index++) found += await read(thread);
    return found;
  }),
  write: ({ thread, times, name }) => timed(async () => {
    for (let index = 0; index < times; index++) await write(thread, `${name}-${index}`);
  }),
  turns: ({ threads, each, name }) => timed(() => Promise.all(threads.map(async (thread, task) => {
    for (let index = 0; index < each; index++) {
      await read(thread);
      await write(thread, `${name}-${task}-${index}`);
    }
  }))),
  spans: ({ spans }) => {
    const dated = spans.map(span => ({ ...span, startedAt: new Date(span.startedAt), endedAt: new Date(span.endedAt) }));
    return timed(() => observability.batchCreateSpans({ records: dated }));
  },
  query: ({ queries }) => timed(async () => {
    const found = [];
    for (const query of queries) found.push((await vectors.query({ indexName: 'docs', topK: 10, ...query })).map(match => match.id));
    return found;
  }),
};
for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...given } = JSON.parse(line);
  const answer = await commands[what](given).catch(error => ({ error: error.message }));
  process.stdout.write(JSON.stringify(answer) + '\n');
}
await vectors.disconnect();
await store.close();
