// JavaScript's engines as servers of the protocol of `refwasm oracle` (docs/oracle.md): V8 in node, JavaScriptCore in
// bun, SpiderMonkey in gjs. They differ in how lines are read and written, and in what their errors say.

// How messages begin, or (with *) what they contain, and the kinds of traps that they are.
const V8 = {
  "unreachable": "unreachable", "memory access out of bounds": "memory-access", "data segment": "memory-access",
  "divide by zero": "divide-by-zero", "remainder by zero": "divide-by-zero",
  "divide result unrepresentable": "integer-overflow",
  "float unrepresentable in integer range": "invalid-conversion",
  "table index is out of bounds": "table-access", "table access out of bounds": "table-access",
  "table initializer": "table-access", "element segment": "table-access",
  "null function or function signature mismatch": "call-type", "dereferencing a null pointer": "null-reference",
  "rethrowing null": "null-reference", "illegal cast": "cast", "array element access out of bounds": "array-access",
  "array access out of bounds": "array-access", "operation does not support unaligned accesses": "unaligned",
  "Atomics.wait cannot be called": "unshared-wait", "invalid index into function table": "table-access",
  "function signature mismatch": "call-type", "RuntimeError: function signature mismatch": "call-type",
};
const JSC = {
  "Unreachable code": "unreachable", "Out of bounds memory access": "memory-access",
  "Division by zero": "divide-by-zero", "Integer overflow": "integer-overflow",
  "Out of bounds Trunc operation": "invalid-conversion", "Out of bounds table access": "table-access",
  "Out of bounds call_indirect": "undefined-element", "call_indirect to a null": "uninitialized-element",
  "call_indirect to a signature that does not match": "call-type", "Out of bounds array": "array-access",
  "Out of bounds or failed to allocate": "memory-access", "array.": "array-access", "null": "null-reference", "*null reference": "null-reference",
  "ref.cast failed": "cast", "ref.as_non_null": "null-reference", "Unaligned": "unaligned",
  "wait operation on a memory that is not shared": "unshared-wait", "Offset + array length": "array-access",
  "Element is trying to set an out of bounds table index": "table-access", "call_ref to a null": "null-reference",
  "i31.get": "null-reference", "struct.": "null-reference", "Access to a null": "null-reference",
  "*out of bounds": "memory-access", "Failed to": "memory-access", "Invalid segment": "memory-access",
};
const SPIDERMONKEY = {
  "unreachable executed": "unreachable", "index out of bounds": "memory-access",
  "integer divide by zero": "divide-by-zero", "integer overflow": "integer-overflow",
  "invalid conversion to integer": "invalid-conversion", "indirect call to null": "uninitialized-element",
  "indirect call signature mismatch": "call-type", "table index out of bounds": "table-access",
  "unaligned memory access": "unaligned", "null": "null-reference", "cast": "cast",
  "dereferencing a null pointer": "null-reference", "atomic wait on non-shared memory": "unshared-wait",
};
const ACCESS = ["memory-access", "array-access", "table-access", "undefined-element"];
const CALLS = ["call-type", "uninitialized-element", "undefined-element"];
const ENGINES = {
  v8: { traps: V8, merges: [["integer-overflow", "invalid-conversion"], ["table-access", "undefined-element"], CALLS,
                            ACCESS] },
  jsc: { traps: JSC, merges: [["integer-overflow", "invalid-conversion"], ACCESS, CALLS,
                              ["unshared-wait", "memory-access"], ["cast", "null-reference"]] },
  spidermonkey: { traps: SPIDERMONKEY, merges: [["integer-overflow", "invalid-conversion"], ACCESS, CALLS] },
};

// ---- hosts ---------------------------------------------------------------------------------------------------------

// A host: which engine, its version, lines, how to write one, base64 to bytes and back.
async function hostOf() {
  if (typeof process === "undefined") return gjs();
  const isBun = typeof Bun !== "undefined";
  const { createInterface } = await import("node:readline");
  const { writeSync } = await import("node:fs");
  return {
    name: isBun ? "jsc" : "v8",
    version: isBun ? `bun ${Bun.version}` : process.versions.v8,
    lines: createInterface({ input: process.stdin }),
    write: (line) => writeAll(writeSync, Buffer.from(line + "\n")),
    decode: (text) => Buffer.from(text, "base64"),
    encode: (bytes) => Buffer.from(bytes).toString("base64"),
  };
}

function writeAll(writeSync, bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

async function gjs() {
  const { default: Gio } = await import("gi://Gio");
  const { default: GLib } = await import("gi://GLib");
  const input = new Gio.DataInputStream({ base_stream: new Gio.UnixInputStream({ fd: 0 }) });
  return {
    name: "spidermonkey",
    version: `gjs ${imports.system.version}`,
    lines: { *[Symbol.iterator]() { for (let line; (line = input.read_line_utf8(null)[0]) !== null; ) yield line; } },
    write: (line) => print(line),
    decode: (text) => GLib.base64_decode(text),
    encode: (bytes) => GLib.base64_encode(bytes),
  };
}

// ---- outcomes ------------------------------------------------------------------------------------------------------

const host = await hostOf();
const { traps, merges } = ENGINES[host.name];
const cases = new Map();
let next = 1;

function trapOf(text) {
  for (const [start, kind] of Object.entries(traps)) {
    if (start[0] === "*" ? text.includes(start.slice(1)) : text.startsWith(start)) return kind;
  }
  return null;
}

function outcomeOf(error) {
  const text = String(error.message).replace(/^WebAssembly\.Instance\(\): /, "");
  if ((error instanceof RangeError || error.name === "InternalError") && /stack|recursion/.test(text)) {
    return { kind: "exhausted" };
  }
  if (error instanceof WebAssembly.CompileError) return { kind: "refused", stage: "validate", reason: text };
  if (error instanceof WebAssembly.LinkError) return { kind: "refused", stage: "link", reason: text };
  if (WebAssembly.Exception && error instanceof WebAssembly.Exception) {
    return { kind: "exception", tag: null, payload: [] };
  }
  const kind = trapOf(text);
  if (kind !== null) return { kind: "trap", trap: kind };
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

// ---- operations ----------------------------------------------------------------------------------------------------

const operations = {
  hello: () => ({ protocol: 1, name: host.name, version: host.version, merges }),
  instantiate: ({ module }) => {
    const number = next++;
    const answer = attempt(() => {
      const compiled = new WebAssembly.Module(host.decode(module));
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
    return { bytes: host.encode(new Uint8Array(buffer)) };
  },
  drop: ({ case: number }) => {
    cases.delete(number);
    return {};
  },
};

for await (const line of host.lines) {
  let answer;
  try {
    const request = JSON.parse(line);
    answer = operations[request.op](request);
  } catch (error) {
    answer = { error: { kind: "bad-request", message: String(error) } };
  }
  host.write(JSON.stringify(answer));
}
