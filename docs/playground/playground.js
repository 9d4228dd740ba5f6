// The page: what is in the editor, what is asked of the worker, and what comes back.
//
// A program with its choices is an object: { name, text | binary (base64), action, args, races, model, policy }. It is
// what an example is, what a link holds, and what the worker is asked to do.

const byId = (id) => document.getElementById(id);
const [source, marks, action, args, output, report, status, message] =
  ["source", "marks", "action", "args", "output", "report", "status", "message"].map(byId);

/** Bytes of a dropped module up to which it is shown, and edited, as text. */
const MOST_TEXT = 100_000;

let examples = [];
let program = { name: "program", binary: null };
let places = [];
let worker = null;
let running = null; // { id, started, timer, done }
let last = 0;

// ---- the worker -----------------------------------------------------------------------------------------------------

function start() {
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => handlers[data.type]?.(data);
  worker.onerror = (event) => handlers.broken({ text: event.message || "the worker did not start" });
}

const handlers = {
  ready() {
    if (!running) {
      status.textContent = "Ready.";
    }
  },
  output({ text }) {
    output.hidden = false;
    print(text);
  },
  progress({ id, text }) {
    if (running?.id === id) {
      running.told = text;
    }
  },
  answer({ id, answer }) {
    if (running?.id === id) {
      const { done } = running;
      finish(`${outcome(answer)} (${seconds()} s)`);
      done(answer);
    }
  },
  broken({ id, text }) {
    finish("Something went wrong that should not. Please report it with this message and the link.");
    show(text);
    worker.terminate();
    if (id !== undefined) {
      start(); // a run broke, not the loading: the next run may do
    }
  },
};

const seconds = () => ((performance.now() - running.started) / 1000).toFixed(1);

function outcome({ code, command }) {
  const words = { 0: "Done", 124: "A limit was reached", 134: "Trap" };
  return `${words[code] ?? `Exit code ${code}`}: ${command}`;
}

/** Ask the worker; `done` gets the answer. */
function ask(request, data, done) {
  if (running) {
    stop("");
  }
  const id = ++last;
  running = { id, started: performance.now(), told: "", done };
  running.timer = setInterval(() => {
    status.textContent = `Running… ${seconds()} s${running.told ? `: ${running.told}` : ""}`;
  }, 100);
  status.textContent = "Running…";
  byId("stop").disabled = false;
  worker.postMessage({ id, request, data });
}

function finish(text) {
  clearInterval(running?.timer);
  status.textContent = text;
  running = null;
  byId("stop").disabled = true;
}

/** End the worker, in the middle of whatever it does, and start another one for what comes next. */
function stop(text = "Stopped.") {
  if (!running) {
    return;
  }
  worker.terminate();
  finish(text);
  start();
}

// ---- output, with the colours that programs give it -----------------------------------------------------------------

let colours = ["", ""]; // of the text, and behind it
let unfinished = ""; // the beginning of an escape sequence

/** Append output; of escape sequences, those for 24-bit colours count, the others are dropped. */
function print(text) {
  const parts = (unfinished + text).split(/(\x1b\[[0-9;]*[A-Za-z])/);
  const end = parts.at(-1).search(/\x1b/);
  unfinished = end < 0 ? "" : parts.at(-1).slice(end);
  parts[parts.length - 1] = end < 0 ? parts.at(-1) : parts.at(-1).slice(0, end);
  parts.forEach((part, index) => {
    if (index % 2) {
      colour(part);
    } else if (part) {
      const span = document.createElement("span");
      [span.style.color, span.style.background] = colours;
      span.append(part);
      output.append(span);
    }
  });
}

function colour(sequence) {
  for (const [, side, red, green, blue] of sequence.matchAll(/([34])8;2;(\d+);(\d+);(\d+)/g)) {
    colours[side - 3] = `rgb(${red} ${green} ${blue})`;
  }
  if (/\[0?m$/.test(sequence)) {
    colours = ["", ""];
  }
}

// ---- what is asked --------------------------------------------------------------------------------------------------

const encoder = new TextEncoder();

function dataOf(current) {
  return current.binary === null
    ? encoder.encode(current.text)
    : Uint8Array.from(atob(current.binary), (c) => c.charCodeAt(0));
}

/** The program and the choices as they stand on the page. */
function state() {
  return {
    name: program.name,
    text: source.value,
    binary: program.binary,
    action: action.value,
    args: args.value,
    races: byId("races").checked,
    model: byId("model").checked,
    policy: byId("policy").value,
  };
}

function run() {
  const current = state();
  clear();
  const { text, binary, ...choices } = current;
  const request = { ...choices, invoke: choices.action === "invoke" };
  request.action = choices.action === "invoke" ? "run" : choices.action;
  request.model = choices.model && choices.action === "explore";
  ask(request, dataOf(current), (answer) => {
    report.innerHTML = answer.html;
    const said = answer.text.trim();
    if (answer.code !== 0 && said && !answer.html) {
      show(said);
    } else if (said && !answer.html) {
      output.hidden = false;
      output.append(said);
    }
    places = answer.places;
    draw();
    reveal();
  });
}

function clear() {
  output.textContent = "";
  [colours, unfinished] = [["", ""], ""];
  output.hidden = true;
  message.hidden = true;
  report.replaceChildren();
  places = [];
  draw();
}

function show(text) {
  const box = document.createElement("pre");
  box.className = "lines";
  box.textContent = text;
  message.replaceChildren(box);
  message.hidden = false;
}

// ---- the editor -----------------------------------------------------------------------------------------------------

/** Draw line numbers and marked places behind the text. */
function draw() {
  const fragment = document.createDocumentFragment();
  source.value.split("\n").forEach((line, index) => {
    const number = document.createElement("span");
    number.className = "number";
    number.textContent = index + 1;
    fragment.append(number);
    const place = places.find((found) => found.line === index + 1);
    if (place) {
      const start = place.column - 1;
      const length = (line.slice(start).match(/^(\([^\s()]*|[^\s()]+|.)/) ?? [" "])[0].length;
      const mark = document.createElement("span");
      mark.className = place === places[0] ? "here" : "called";
      mark.textContent = line.slice(start, start + length) || " ";
      fragment.append(line.slice(0, start), mark, line.slice(start + length));
    } else {
      fragment.append(line);
    }
    fragment.append("\n");
  });
  marks.replaceChildren(fragment);
  follow();
}

/** The marks scroll with the text. */
function follow() {
  marks.scrollTop = source.scrollTop;
  marks.scrollLeft = source.scrollLeft;
  for (const number of marks.querySelectorAll(".number")) {
    number.style.left = `${source.scrollLeft}px`;
  }
}

/** Bring the first marked place into view, and say it in words. */
function reveal() {
  const [first] = places;
  if (first) {
    const height = parseFloat(getComputedStyle(source).lineHeight);
    source.scrollTop = Math.max(0, (first.line - 4) * height);
    follow();
    byId("about").textContent = `Line ${first.line}, column ${first.column}: ${first.message}`;
  }
}

function change(next) {
  program = { name: next.name ?? "program", binary: next.binary ?? null };
  source.value = next.text ?? "";
  source.readOnly = program.binary !== null;
  action.value = next.action ?? "run";
  args.value = next.args ?? "";
  byId("races").checked = next.races ?? false;
  byId("model").checked = next.model ?? false;
  byId("policy").value = next.policy ?? "";
  byId("about").textContent = next.about ?? "";
  clear();
  adapt();
}

/** Show the choices that the action has. */
function adapt() {
  const chosen = action.value;
  const labels = { run: "Arguments", invoke: "Function and arguments", explore: "Threads", explain: "Function" };
  byId("args-label").textContent = labels[chosen];
  byId("races-box").hidden = !["run", "explore"].includes(chosen);
  byId("model-box").hidden = chosen !== "explore";
  byId("policy").hidden = byId("policy-label").hidden = chosen !== "run";
  byId("start").textContent = { explore: "Explore", explain: "Explain", invoke: "Call" }[chosen] ?? "Run";
}

async function open(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const isModule = bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
  if (!isModule) {
    change({ name: file.name, text: new TextDecoder().decode(bytes), about: file.name });
    return;
  }
  const binary = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  change({ name: file.name, binary, text: `;; ${file.name}: ${bytes.length} bytes`, about: file.name });
  if (bytes.length <= MOST_TEXT) {
    ask({ action: "text", name: file.name }, bytes, ({ code, text }) => {
      if (code === 0) {
        change({ name: file.name.replace(/\.wasm$/, ".wat"), text, about: `${file.name}, as text` });
      } else {
        show(text);
      }
    });
  }
}

// ---- links ----------------------------------------------------------------------------------------------------------

async function through(stream, bytes) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

/** The program and its choices as a fragment of an address. */
async function link() {
  const packed = await through(new CompressionStream("deflate-raw"), encoder.encode(JSON.stringify(state())));
  const text = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  return `#${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

async function fromLink(hash) {
  const text = atob(hash.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
  const packed = Uint8Array.from(text, (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), packed)));
}

async function share() {
  const address = new URL(await link(), location.href).href;
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address);
    status.textContent = "The link was copied.";
  } catch {
    status.textContent = "The link is in the address bar.";
  }
}

// ---- the beginning --------------------------------------------------------------------------------------------------

async function choose(index) {
  const { file, binary, ...choices } = examples[index];
  const response = await fetch(`examples/${file}`);
  if (binary) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    choices.binary = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    choices.text = `;; ${file}: ${bytes.length} bytes\n`;
  } else {
    choices.text = await response.text();
  }
  change({ name: file, ...choices });
}

async function begin() {
  start();
  examples = await (await fetch("examples/examples.json")).json();
  const list = byId("example");
  list.append(...examples.map(({ title }, index) => new Option(title, index)));
  if (location.hash.length > 1) {
    try {
      change(await fromLink(location.hash));
      list.prepend(new Option("from the link", ""));
      list.value = "";
      run();
      return;
    } catch {
      show("The link is damaged: it holds no program. An example is shown instead.");
    }
  }
  await choose(0);
  run();
}

byId("example").addEventListener("change", async (event) => {
  if (event.target.value !== "") {
    stop("");
    await choose(Number(event.target.value));
    run();
  }
});
byId("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
byId("stop").addEventListener("click", () => stop());
byId("share").addEventListener("click", share);
byId("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
action.addEventListener("change", adapt);
source.addEventListener("input", () => {
  places = [];
  draw();
});
source.addEventListener("scroll", follow);
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  } else if (event.key === "Escape") {
    stop();
  }
});
const editor = byId("editor");
editor.addEventListener("dragover", (event) => {
  event.preventDefault();
  editor.classList.add("over");
});
editor.addEventListener("dragleave", () => editor.classList.remove("over"));
editor.addEventListener("drop", (event) => {
  event.preventDefault();
  editor.classList.remove("over");
  if (event.dataTransfer.files[0]) {
    open(event.dataTransfer.files[0]);
  }
});
begin();
