// Lists the traces that Python's runs left, and opens the one asked for, as the TypeScript package does.

const [url, traceId] = process.argv.slice(2);
const store = await openStore(url);
await store.init();
const observability = await store.getStore('observability');
const pagination = { page: 0, perPage: 100 };
const roots = await observability.listTraces({ filters: { threadId: 't1', entityId: 'a', status: 'success' }, pagination });
const trace = await observability.getTrace({ traceId });
const root = await observability.getRootSpan({ traceId });
await store.close();
console.log(JSON.stringify({ roots: roots.spans, trace, root: root.span }));
