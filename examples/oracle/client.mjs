// Judges V8 with refwasm's oracle: node client.mjs MODULE.wasm
//
// The oracle is a process that reads a JSON object a line and answers with one (docs/oracle.md). Each exported function
// on integers is called with a few values, in V8 and in the oracle.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [command, ...args] = (process.env.REFWASM ?? "refwasm").split(" ");
const server = spawn(command, [...args, "oracle"], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: server.stdout })[Symbol.asyncIterator]();

async function ask(request) {
  server.stdin.write(JSON.stringify(request) + "\n");
  const answer = JSON.parse((await answers.next()).value);
  if (answer.error) throw new Error(answer.error.message);
  return answer;
}

// What V8 says when it traps, and the oracle's names for it.
const TRAPS = { unreachable: "unreachable", "divide by zero": "divide-by-zero", "remainder by zero": "divide-by-zero",
  "divide result unrepresentable": "integer-overflow", "memory access out of bounds": "memory-access" };

const word = (type, value) => ({ type, bits: "0x" + BigInt.asUintN(type === "i64" ? 64 : 32, BigInt(value)).toString(16) });

function observed(run, results) {
  try {
    const value = run();
    const values = results.length === 1 ? [value] : results.length ? value : [];
    return { kind: "returned", values: values.map((v, i) => word(results[i], v)) };
  } catch (error) {
    return { kind: "trap", trap: TRAPS[error.message] ?? error.message };
  }
}

const bytes = readFileSync(process.argv[2]);
const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
const { case: number, functions } = await ask({ op: "instantiate", module: bytes.toString("base64") });
const isInteger = (type) => type === "i32" || type === "i64";
for (const [name, { params, results }] of Object.entries(functions)) {
  if (![...params, ...results].every(isInteger)) continue;
  for (const value of [0, 1, -1, 2 ** 31 - 1]) {
    const words = params.map((type) => word(type, value));
    await ask({ op: "call", case: number, name, args: words });
    const given = params.map((type) => (type === "i64" ? BigInt(value) : value));
    const outcome = observed(() => instance.exports[name](...given), results);
    const { verdict, expected } = await ask({ op: "admits", case: number, outcome });
    console.log(`${name}(${given.join(", ")}): ${verdict}${expected ? `, expected ${expected}` : ""}`);
    if (verdict !== "agrees") process.exitCode = 1;
  }
}
server.stdin.end();
