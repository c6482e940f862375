// An agent of TypeScript with the real Memory takes its turns in a conversation, on one file, and says what its models were asked.
// Arguments: the URL, and the plan as JSON: the options of the memory, a title or "", the words that vectors count, whether the tool
// waits for a person, the turns with what its model answers, what to forget after them, and the thread to read in the end.
// The vectors are those of tests/unit/memory/talking.py.
import { Agent } from '@mastra/core/agent';
import { Mastra } from '@mastra/core/mastra';
import { createTool } from '@mastra/core/tools';
import { LibSQLStore, LibSQLVector } from '@mastra/libsql';
import { Memory } from '@mastra/memory';

const [url, given] = process.argv.slice(2);
const plan = JSON.parse(given);
const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 5 };

// A model that answers each request with the next of `answers`, each a list of texts and calls, and notes the requests.
const scripted = (modelId, answers, asked) => {
  const reply = ({ prompt, tools }) => {
    asked.push({ prompt, tools: (tools ?? []).map(tool => tool.name) });
    const next = answers.shift();
    if (next === undefined) throw new Error(`${modelId} was asked once more than the test planned`);
    const content = next.map(({ text, call, id, args }) =>
      call ? { type: 'tool-call', toolCallId: id, toolName: call, input: JSON.stringify(args) } : { type: 'text', text },
    );
    return { content, finishReason: next.some(({ call }) => call) ? 'tool-calls' : 'stop' };
  };
  const spoken = ({ text }) => ['text-start', 'text-delta', 'text-end'].map(type => ({ type, id: 't1', delta: text }));
  return {
    specificationVersion: 'v2',
    provider: 'scripted',
    modelId,
    supportedUrls: {},
    doGenerate: async request => ({ ...reply(request), usage, warnings: [] }),
    doStream: async request => {
      const { content, finishReason } = reply(request);
      const said = content.flatMap(part => (part.type === 'text' ? spoken(part) : [part]));
      return { stream: ReadableStream.from([{ type: 'stream-start', warnings: [] }, ...said, { type: 'finish', finishReason, usage }]) };
    },
  };
};

const embedder = {
  specificationVersion: 'v2',
  provider: 'words',
  modelId: 'count-1',
  maxEmbeddingsPerCall: 100,
  supportsParallelCalls: true,
  doEmbed: async ({ values }) => ({
    embeddings: values.map(text => [...plan.words.map(word => Number(text.toLowerCase().includes(word))), 0.1]),
    usage: { tokens: values.length },
    warnings: [],
  }),
};

const getWeather = createTool({
  id: 'get_weather',
  description: 'The weather of a city',
  inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  requireApproval: plan.approval,
  execute: async ({ city }) => {
    if (city === 'Atlantis') throw new Error('no such city');
    if (city === 'Nowhere') return null;
    return { city, celsius: 12.5, sky: null, wind: [] };
  },
});

const storage = new LibSQLStore({ id: 'interop', url });
const vector = new LibSQLVector({ id: 'interop-vectors', url });
const titles = [];
// With emitEvent a run ends after its title is stored, so nothing here waits by the clock.
const title = plan.turns.map(() => [{ text: plan.title }]);
const generateTitle = plan.title ? { model: scripted('titles', title, titles), emitEvent: true } : false;
const memory = new Memory({ storage, vector, embedder, options: { ...plan.options, generateTitle } });

const turns = [];
for (const { thread, resource, says, answers } of plan.turns) {
  const asked = [];
  const model = scripted('mock-1', [...answers], asked);
  const agent = new Agent({ id: 'interop', name: 'Interop', instructions: 'Be brief.', model, memory, tools: { get_weather: getWeather } });
  new Mastra({ agents: { interop: agent }, storage, logger: false });
  const run = agent.stream(says, { memory: { thread, resource } }).then(stream => stream.consumeStream());
  turns.push({ asked, refused: await run.then(() => null, error => error.message) });
}
// Its store and its vectors are two connections to one file, and removing vectors in the background loses against a write to the store.
if (plan.forgetThread) await memory.deleteThread(plan.forgetThread);
await memory.settled();
if (plan.forgetMessage) await memory.deleteMessages([plan.forgetMessage]);
await memory.settled();
const [threadId, resourceId] = plan.read;
const read = {
  thread: await memory.getThreadById({ threadId }),
  messages: (await memory.recall({ threadId, resourceId, perPage: false })).messages,
  working: await memory.getWorkingMemory({ threadId, resourceId }),
};
await vector.close();
await storage.close();
console.log(JSON.stringify({ turns, titles, read }));
