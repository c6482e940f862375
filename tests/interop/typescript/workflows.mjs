// Reads runs that Python wrote as the TypeScript package reads them, then changes one, deletes one and writes one.
import { readFileSync } from 'node:fs';

const [url, wanted] = process.argv.slice(2);
const { values } = JSON.parse(readFileSync(wanted, 'utf8'));
const store = await openStore(url);
await store.init();
const workflows = await store.getStore('workflows');
const run = { workflowName: 'w', runId: 'ours' };
const read = {
  run: await workflows.getWorkflowRunById(run),
  snapshot: await workflows.loadWorkflowSnapshot(run),
  waiting: await workflows.listWorkflowRuns({ workflowName: 'w', status: 'suspended' }),
  ofResource: await workflows.listWorkflowRuns({ resourceId: 'u1' }),
  late: (await workflows.updateWorkflowState({ ...run, opts: { status: 'failed', expectedStatus: 'success' } })) ?? null,
};
await workflows.updateWorkflowState({ ...run, opts: { status: 'running', result: values, expectedStatus: 'suspended' } });
await workflows.updateWorkflowResults({ ...run, stepId: 'done', result: { status: 'success', output: values }, requestContext: { ts: true } });
await workflows.deleteWorkflowRunById({ workflowName: 'w', runId: 'gone' });
const dates = { createdAt: new Date('2024-05-01T00:00:00.123Z'), updatedAt: new Date('2024-05-02T00:00:00.456Z') };
const snapshot = { status: 'success', context: { input: values }, value: {} };
await workflows.persistWorkflowSnapshot({ workflowName: 'w', runId: 'theirs', resourceId: 'u2', snapshot, ...dates });
await store.close();
console.log(JSON.stringify(read));
