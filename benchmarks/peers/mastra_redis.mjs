// The real @mastra/redis, timed by itself. Arguments: the URL, and a plan as JSON: [what, thread, times]; prints the milliseconds of each.
import { RedisStore } from '@mastra/redis';

const [url, plan] = process.argv.slice(2);
const store = new RedisStore({ id: 'bench', connectionString: url });
await store.init();
const memory = await store.getStore('memory');
const content = { format: 2, parts: [{ type: 'text', text: 'x'.repeat(560), createdAt: 1795225572058 }], content: 'x'.repeat(100) };
const orderBy = { field: 'createdAt', direction: 'DESC' };
const read = async threadId => {
  await memory.getThreadById({ threadId });
  const { messages } = await memory.listMessages({ threadId, perPage: 10, page: 0, orderBy });
  if (messages.length !== 10) throw new Error(`${messages.length} messages instead of 10`);
};
let saved = 0;
const write = async threadId => {
  const message = (role, at) => ({ id: `ts-${saved++}`, threadId, resourceId: 'u', role, type: 'v2', createdAt: new Date(at), content });
  const now = Date.now();
  await memory.saveMessages({ messages: [message('user', now), message('assistant', now + 1)] });
};
const turn = async threadId => { await read(threadId); await write(threadId); };
const repeated = async (work, threadId, times) => { for (let n = 0; n < times; n++) await work(threadId); };
const works = {
  read: repeated.bind(null, read),
  write: repeated.bind(null, write),
  turns: (threads, times) => Promise.all(threads.map(threadId => repeated(turn, threadId, times))),
};
const took = [];
for (const [what, thread, times] of JSON.parse(plan)) {
  const began = performance.now();
  await works[what](thread, times);
  took.push(performance.now() - began);
}
await store.close();
console.log(JSON.stringify(took));
