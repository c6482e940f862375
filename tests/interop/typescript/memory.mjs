// A Memory of TypeScript goes on with threads that Python wrote: recalls, saves, renames, remembers, clones, deletes.
import { Memory } from '@mastra/memory';

const [url] = process.argv.slice(2);
const storage = await openStore(url);
const remembering = scope => new Memory({ storage, options: { lastMessages: 2, workingMemory: { enabled: true, scope } } });
const memory = remembering('resource');
const ofThread = remembering('thread');
const about = { threadId: 't1', resourceId: 'u1' };
const read = {
  thread: await memory.getThreadById({ threadId: 't1' }),
  threads: await memory.listThreads({ filter: { resourceId: 'u1' } }),
  recalled: await memory.recall(about),
  all: await memory.recall({ ...about, perPage: false }),
  working: await memory.getWorkingMemory(about),
  workingOfThread: await ofThread.getWorkingMemory(about),
  source: await memory.getSourceThread('our-copy'),
  foreign: await memory.recall({ ...about, resourceId: 'u2' }).then(() => null, error => error.message),
};
const text = 'from TypeScript';
const said = { format: 2, parts: [{ type: 'text', text }], content: text };
const last = new Date(read.all.messages.at(-1).createdAt).getTime();
const message = (id, role, later) => ({ ...about, id, role, type: 'v2', createdAt: new Date(last + later), content: said });
await memory.saveMessages({ messages: [message('m4', 'user', 1), message('m5', 'assistant', 2)] });
await memory.updateThread({ id: 't1', title: 'Renamed', metadata: { added: [1, {}] } });
await memory.updateWorkingMemory({ ...about, workingMemory: '# User\n- **Name**: Ada, née Byron' });
await ofThread.updateWorkingMemory({ ...about, workingMemory: '# Thread\n- **Topic**: trams' });
const cloned = await memory.cloneThread({ sourceThreadId: 't1', newThreadId: 'copy', title: 'A copy' });
await memory.deleteMessages(['m2']);
await memory.deleteThread('t2');
await memory.settled?.();
await storage.close();
console.log(JSON.stringify({ ...read, cloned }));
