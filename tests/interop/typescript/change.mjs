// Reads what a file holds as the TypeScript package reads it, then changes it as that package changes it.

const store = await openStore(process.argv[2]);
await store.init();
const memory = await store.getStore('memory');
const read = {
  thread: await memory.getThreadById({ threadId: 't1' }),
  messages: await memory.listMessages({ threadId: 't1', perPage: false }),
  tagged: await memory.listMessages({ threadId: 't1', perPage: false, filter: { metadata: { tag: 'b' } } }),
  found: await memory.listThreads({ filter: { metadata: { quoted: 'x"y\\z' } } }),
  resource: await memory.getResourceById({ resourceId: 'u1' }),
};
const said = { format: 2, parts: [{ type: 'text', text: 'from TypeScript' }], content: 'from TypeScript' };
const createdAt = new Date(new Date(read.messages.messages.at(-1).createdAt).getTime() + 1);
await memory.saveMessages({ messages: [{ id: 'm3', threadId: 't1', resourceId: 'u1', role: 'user', type: 'v2', createdAt, content: said }] });
await memory.updateMessages({ messages: [{ id: 'm1', content: { metadata: { added: true } } }] });
await memory.updateThread({ id: 't1', title: 'Renamed', metadata: { added: [1, {}] } });
await memory.updateResource({ resourceId: 'u1', workingMemory: 'changed', metadata: { q: [1] } });
await store.close();
console.log(JSON.stringify(read));
