// Calls methods of the domains of a store, one after another, and says what each answered, or how it failed.
// Arguments: the URL, and the calls as JSON: [domain, method, argument]; { $date: text } in an argument is a Date.

const [url, given] = process.argv.slice(2);
const dated = value => {
  if (Array.isArray(value)) return value.map(dated);
  if (value === null || typeof value !== 'object') return value;
  return value.$date ? new Date(value.$date) : Object.fromEntries(Object.entries(value).map(([name, held]) => [name, dated(held)]));
};
const store = await openStore(url);
await store.init();
const answers = [];
for (const [domain, method, argument] of JSON.parse(given)) {
  const of = await store.getStore(domain);
  answers.push((await of[method](dated(argument)).catch(error => ({ __error: error.message }))) ?? null);
}
await store.close();
console.log(JSON.stringify(answers));
