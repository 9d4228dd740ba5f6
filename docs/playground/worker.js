// Python with refwasm, in a worker: the page stays alive while it works, and stops it by ending it.
import { loadPyodide } from "./pyodide/pyodide.mjs";

/** How much output of a program is shown, in bytes; the rest is dropped, and told. */
const MOST_OUTPUT = 200_000;

let written = 0;
const decoder = new TextDecoder();

/** Pass on what a program writes; returns how many bytes were taken, as Pyodide wants. */
function write(bytes) {
  if (written < MOST_OUTPUT) {
    postMessage({ type: "output", text: decoder.decode(bytes, { stream: true }) });
    if (written + bytes.length >= MOST_OUTPUT) {
      postMessage({ type: "output", text: "\n… the rest of the output is not shown\n" });
    }
  }
  written += bytes.length;
  return bytes.length;
}

async function bytesOf(address) {
  const response = await fetch(address);
  if (!response.ok) {
    throw new Error(`${address}: ${response.status} ${response.statusText}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

async function load() {
  const [python, archive, actions] = await Promise.all([
    loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href }),
    bytesOf("./refwasm.zip"),
    bytesOf("./actions.py"),
  ]);
  python.unpackArchive(archive, "zip");
  python.setStdout({ write, isatty: false });
  python.setStderr({ write, isatty: false });
  python.setStdin({ stdin: () => null });
  python.FS.writeFile("/home/pyodide/actions.py", actions);
  return [python, python.runPython("import actions; actions.perform")];
}

const loaded = load();
loaded.then(
  () => postMessage({ type: "ready" }),
  (error) => postMessage({ type: "broken", text: String(error.message).slice(-2000) }),
);

onmessage = async ({ data: { id, request, data } }) => {
  try {
    const [python, perform] = await loaded;
    written = 0;
    const progress = (text) => postMessage({ type: "progress", id, text });
    const [bytes, told] = [python.toPy(data), JSON.stringify(request)];
    postMessage({ type: "answer", id, answer: JSON.parse(perform(told, bytes, progress)) });
  } catch (error) {
    // The message of an error of Python's is its traceback; only our own mistakes come here.
    postMessage({ type: "broken", id, text: String(error.message).slice(-2000) });
  }
};
