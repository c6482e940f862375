// Put before the other modules here: opens the store of a URL with the package of its backend.
const openStore = async url => {
  if (/^postgres/.test(url)) {
    const { PostgresStore } = await import('@mastra/pg');
    return new PostgresStore({ id: 'interop', connectionString: url });
  }
  if (/^redis/.test(url)) {
    const { RedisStore } = await import('@mastra/redis');
    return new RedisStore({ id: 'interop', connectionString: url });
  }
  if (/^dynamodb/.test(url)) {
    const { DynamoDBStore } = await import('@mastra/dynamodb');
    const { hostname, searchParams } = new URL(url);
    const config = { id: 'interop', tableName: hostname, region: searchParams.get('region'), endpoint: searchParams.get('endpoint') };
    return new DynamoDBStore({ name: 'interop', config });
  }
  if (/^mongodb/.test(url)) {
    const { MongoDBStore } = await import('@mastra/mongodb');
    return new MongoDBStore({ id: 'interop', uri: url, dbName: new URL(url).pathname.slice(1) });
  }
  const { LibSQLStore } = await import('@mastra/libsql');
  return new LibSQLStore({ id: 'interop', url });
};
