// BullMQ: adds JOBS jobs in bulk, then a worker at concurrency 100 does nothing JOBS times.
// Arguments: path of the Redis socket, jobs, bytes of payload. Prints jobs a second of processing.
const { Queue, Worker } = require('bullmq');
const IORedis = require('ioredis');

const [path, count, bytes] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connect = () => new IORedis({ path, maxRetriesPerRequest: null });

async function main() {
  const queue = new Queue('bench', { connection: connect() });
  const data = { p: 'x'.repeat(bytes) };
  for (let made = 0; made < count; made += 1000) {
    const jobs = Array.from({ length: Math.min(1000, count - made) },
      () => ({ name: 'job', data, opts: { removeOnComplete: true } }));
    await queue.addBulk(jobs);
  }
  let done = 0;
  const start = process.hrtime.bigint();
  const worker = new Worker('bench', async () => {}, { connection: connect(), concurrency: 100 });
  await new Promise((resolve) => worker.on('completed', () => { if (++done === count) resolve(); }));
  console.log(count / (Number(process.hrtime.bigint() - start) / 1e9));
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
