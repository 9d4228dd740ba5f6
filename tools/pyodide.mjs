// Runs a Python file in Pyodide, with refwasm from a wheel: node pyodide.mjs PYODIDE WHEEL[,WHEEL…] FILE [FOLDER…]
// Each FOLDER of this machine can be read there at the same path. The exit code is the file's.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [pyodide, wheels, file, ...folders] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide();
for (const wheel of wheels.split(",")) {
  python.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel");
}
for (const folder of folders) {
  python.FS.mkdirTree(folder);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, folder);
}
try {
  python.runPython(readFileSync(file, "utf8"));
} catch (error) {
  // The stack of the exception holds a megabyte of generated code: its message is Python's traceback.
  console.error(String(error.message).slice(-4000));
  process.exitCode = 1;
}
