// V8 in node, as an engine that speaks the protocol of `refwasm oracle` (docs/oracle.md).
import { createInterface } from "node:readline";

// How V8's messages begin, and the kinds of traps that they are.
const TRAPS = [
  ["unreachable", "unreachable"],
  ["memory access out of bounds", "memory-access"],
  ["data segment", "memory-access"],
  ["divide by zero", "divide-by-zero"],
  ["remainder by zero", "divide-by-zero"],
  ["divide result unrepresentable", "integer-overflow"],
  ["float unrepresentable in integer range", "invalid-conversion"],
  ["table index is out of bounds", "table-access"],
  ["table access out of bounds", "table-access"],
  ["table initializer", "table-access"],
  ["element segment", "table-access"],
  ["null function or function signature mismatch", "call-type"],
  ["dereferencing a null pointer", "null-reference"],
  ["illegal cast", "cast"],
  ["array element access out of bounds", "array-access"],
  ["array access out of bounds", "array-access"],
  ["operation does not support unaligned accesses", "unaligned"],
  ["Atomics.wait cannot be called", "unshared-wait"],
];
const MERGES = [
  ["integer-overflow", "invalid-conversion"],
  ["table-access", "undefined-element"],
  ["call-type", "uninitialized-element", "undefined-element"],
  ["memory-access", "array-access", "table-access"],
];

const cases = new Map();
let next = 1;

function outcomeOf(error) {
  const text = String(error.message);
  if (error instanceof RangeError && text.includes("call stack")) return { kind: "exhausted" };
  if (error instanceof WebAssembly.CompileError) return { kind: "refused", stage: "validate", reason: text };
  if (error instanceof WebAssembly.LinkError) return { kind: "refused", stage: "link", reason: text };
  if (error instanceof WebAssembly.Exception) return { kind: "exception", tag: null, payload: [] };
  for (const [start, kind] of TRAPS) {
    const found = text.replace(/^WebAssembly\.Instance\(\): /, "");
    if (found.startsWith(start)) return { kind: "trap", trap: kind };
  }
  if (error instanceof WebAssembly.RuntimeError && !/too large|allocation|memory/.test(text)) {
    return { kind: "trap", trap: text };
  }
  return { kind: "limit", reason: text };
}

function returned(value) {
  if (value === undefined) return { kind: "returned", values: [] };
  const isLong = typeof value === "bigint";
  const bits = isLong ? BigInt.asUintN(64, value) : BigInt(value >>> 0);
  return { kind: "returned", values: [{ type: isLong ? "i64" : "i32", bits: "0x" + bits.toString(16) }] };
}

function attempt(run) {
  try {
    return { outcome: run() };
  } catch (error) {
    return { outcome: outcomeOf(error) };
  }
}

const operations = {
  hello: () => ({ protocol: 1, name: "v8", version: process.versions.v8, merges: MERGES }),
  instantiate: ({ module }) => {
    const number = next++;
    const answer = attempt(() => {
      const compiled = new WebAssembly.Module(Buffer.from(module, "base64"));
      cases.set(number, new WebAssembly.Instance(compiled, {}));
      return { kind: "returned", values: [] };
    });
    return { case: number, ...answer };
  },
  call: ({ case: number, name, args }) => {
    const words = args.map(({ type, bits }) => (type === "i64" ? BigInt.asIntN(64, BigInt(bits)) : Number(bits) | 0));
    return attempt(() => returned(cases.get(number).exports[name](...words)));
  },
  call_all: ({ case: number, calls }) => ({
    outcomes: calls.map(({ name, args }) => operations.call({ case: number, name, args }).outcome),
  }),
  memory: ({ case: number, name }) => {
    const { buffer } = cases.get(number).exports[name];
    return { bytes: Buffer.from(buffer).toString("base64") };
  },
  drop: ({ case: number }) => {
    cases.delete(number);
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const request = JSON.parse(line);
    answer = operations[request.op](request);
  } catch (error) {
    answer = { error: { kind: "bad-request", message: String(error) } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
