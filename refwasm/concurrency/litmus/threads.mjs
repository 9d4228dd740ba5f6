// Runs litmus tests on V8 with real threads. A request is a line of JSON on stdin; so is the answer, on stdout:
// {"module": base64, "pages": n, "threads": [name, …]} loads a module, {"start": [[stagger, odd], …]} runs its threads
// on a memory of zeros and gives {"memory": base64}, or {"error": text}.
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { createInterface } from "node:readline";

if (isMainThread) serve();
else work();

async function serve() {
  let memory, workers = [];
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      if (request.module !== undefined) {
        await Promise.all(workers.map((worker) => worker.terminate()));
        memory = new WebAssembly.Memory({ initial: request.pages, maximum: request.pages, shared: true });
        const module = new WebAssembly.Module(Buffer.from(request.module, "base64"));
        workers = request.threads.map((name) => new Worker(new URL(import.meta.url), {
          workerData: { memory, module, name },
        }));
        await Promise.all(workers.map(answer));
        console.log("{}");
      } else {
        const bytes = new Uint8Array(memory.buffer);
        bytes.fill(0);
        const done = Promise.all(workers.map(answer));
        workers.forEach((worker, index) => worker.postMessage(request.start[index]));
        await done;
        console.log(JSON.stringify({ memory: Buffer.from(bytes).toString("base64") }));
      }
    } catch (error) {
      console.log(JSON.stringify({ error: String(error.message ?? error) }));
    }
  }
  process.exit(0);
}

function answer(worker) {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.removeAllListeners("error").once("error", reject);
  });
}

function work() {
  const { memory, module, name } = workerData;
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports[name];
  parentPort.on("message", ([stagger, odd]) => {
    run(stagger, odd);
    parentPort.postMessage("done");
  });
  parentPort.postMessage("ready");
}
